from __future__ import annotations

import numpy as np

from llmprof.analyzers.facts.steps.inside import step_of
from llmprof.timeline.events import NONE


def test_a_step_holds_its_start_but_not_its_end() -> None:
    start, end = np.array([10, 30], dtype=np.int64), np.array([20, 40], dtype=np.int64)
    assert step_of(start, end, [9, 10, 19, 20, 25, 30, 39, 40]).tolist() == [NONE, 0, 0, NONE, NONE, 1, 1, NONE]


def test_without_steps_nothing_is_inside() -> None:
    none = np.empty(0, dtype=np.int64)
    assert step_of(none, none, [1, 2]).tolist() == [NONE, NONE]
