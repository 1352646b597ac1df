"""Where a timeline comes from: a live training run, or files on disk."""
