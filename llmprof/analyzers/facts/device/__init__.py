"""The device: what it is, what its kernels are, how even and how busy it is."""
