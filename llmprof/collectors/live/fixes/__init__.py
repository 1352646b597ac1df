"""Fixes that can be applied to a training process at run time: one module is one fix, named by its recommendation id.

A module says in NUMERICS whether losses may change, in VALUE (a regular expression with one group, or "") where a
recommendation's `how` names a number, and in `apply(attempt)` what to take hold of. `applying/` is what they share.
"""
