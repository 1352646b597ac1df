"""Judgement: one file, one rule; each says what it detects, from which number on, and what to do about it."""
