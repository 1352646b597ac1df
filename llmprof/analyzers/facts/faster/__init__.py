"""What kernels and activations would take with a fix: from the rates of the device, or timed on it."""
