"""Do the parts of every worker's step sum to it, and is waiting where the slow worker is not?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.pipeline.operation_times import parts_by_rank, step_lengths
from tests.scenarios.operations import BACKWARD, BATCHES, FORWARD, TAIL, pipeline_table


def test_the_parts_of_each_rank_sum_to_the_mean_step() -> None:
    table = pipeline_table(slow=(1, 0), factor=1.7)
    mean = step_lengths(table).mean()
    for parts in parts_by_rank(table).values():
        assert sum(parts.values()) == pytest.approx(mean, rel=1e-9)


def test_passes_and_optimizer_are_compute() -> None:
    parts = parts_by_rank(pipeline_table())
    assert parts[0]["compute"] == pytest.approx(BATCHES * (FORWARD + BACKWARD) + TAIL)


def test_who_has_less_to_do_waits() -> None:
    parts = parts_by_rank(pipeline_table(slow=(None, 1), factor=2.0))
    assert parts[1]["compute"] > parts[0]["compute"]
    assert parts[1]["skew"] + parts[1]["other"] < parts[0]["skew"] + parts[0]["other"]


def test_steps_on_clocks_that_start_anew_are_told_apart() -> None:
    table = pipeline_table()
    anew = replace(table, start_ns=table.start_ns - table.step * 10**9)
    assert step_lengths(anew).tolist() == step_lengths(table).tolist()
    ours, others = parts_by_rank(anew), parts_by_rank(table)
    for rank, parts in ours.items():
        assert np.allclose(list(parts.values()), list(others[rank].values()))
