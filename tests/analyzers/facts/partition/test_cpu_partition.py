"""Without a GPU, operators stand for kernels, a batch being fetched is data, and the rest is Python."""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.partition.cpu_partition import cpu_partition
from llmprof.analyzers.facts.steps.windows import windows_of
from tests.scenarios.builder import TraceBuilder


def test_every_nanosecond_of_a_cpu_step_has_its_class() -> None:
    b = TraceBuilder()
    b.step(0, 0, 100)
    b.annotation("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 30)
    b.op("aten::stack", 20, 5)  # collating the batch is data
    b.op("aten::linear", 40, 20)
    b.op("aten::addmm", 42, 10)
    b.op("autograd::engine::evaluate_function: AddmmBackward0", 62, 18, tid=2)
    b.op("aten::mm", 65, 10, tid=2)
    b.annotation("Optimizer.step#AdamW.step", 82, 12)
    b.op("aten::_foreach_add_", 84, 8)
    rank = b.rank()
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    found = cpu_partition(rank.events, windows)
    assert found.cpu_only
    assert found.parts["data"] == 30
    assert found.compute_classes == {"gemm": 30, "other": 8, "optimizer": 8}
    assert found.detail["python"] == 100 - 30 - 38 - 8
    assert sum(found.parts.values()) == pytest.approx(100)


def test_collectives_on_the_host_are_communication_where_no_operator_runs() -> None:
    b = TraceBuilder()
    b.step(0, 0, 100)
    b.op("aten::mm", 0, 50)
    b.annotation("gloo:all_reduce", 40, 40, tid=9)
    rank = b.rank()
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    found = cpu_partition(rank.events, windows)
    assert found.parts["communication"] == 30
    assert found.parts["compute"] == 50
