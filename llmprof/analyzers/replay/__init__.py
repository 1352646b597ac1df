"""Prediction: the dependency graph of the traced steps, its replay, and what a fix would change in it."""
