"""The dependency graph of the traced steps: built from a recording, joined over the ranks, and replayed."""
