"""What the fixes share: taking hold of torch's functions, finding models, reading losses, and saying what was done."""
