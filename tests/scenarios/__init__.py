"""Timelines whose truth is known, built by hand."""
