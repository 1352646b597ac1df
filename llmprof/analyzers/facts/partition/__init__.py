"""Where each nanosecond of a step goes, with the profiler and without it."""
