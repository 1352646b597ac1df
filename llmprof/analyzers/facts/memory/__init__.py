"""Device memory: how full, of what, and what would fit."""
