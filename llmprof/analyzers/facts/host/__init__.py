"""The host: its launches, waits, work, memory and cores."""
