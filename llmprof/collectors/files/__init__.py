"""From files on disk to a timeline: one format, one module, recognised by content and not by name."""
