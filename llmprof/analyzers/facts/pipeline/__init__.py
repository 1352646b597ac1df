"""Pipelines: their schedules, stages and stragglers."""
