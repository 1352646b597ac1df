"""How long do single kernels take on the GPU of a run, after it? A process of its own in the Python of the training."""
