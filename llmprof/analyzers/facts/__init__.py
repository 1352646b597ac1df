"""Measurements: one module answers one question, without judgement and without prose for people."""
