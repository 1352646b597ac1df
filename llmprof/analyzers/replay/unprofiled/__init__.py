"""From the traced steps to those that really run: what the profiler, its first step and chance have added."""
