"""Collectives: what each one is, how the ranks match, what is exposed, what they and kernels cost each other."""
