"""Are backward nodes paired with the right forward operators? Against the sequence numbers that PyTorch recorded."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from llmprof.analyzers.facts.operators.backward import forward_of
from llmprof.analyzers.facts.operators.operator_facts import operator_facts
from llmprof.analyzers.facts.operators.operator_tree import OperatorTree
from llmprof.analyzers.facts.operators.recompute import BACKWARD
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import Kind
from tests.analyzers.facts.conftest import Recorded

CASES = (
    "h200/compute_recompute.rank0",
    "h200/compute_fp32.rank0",
    "kineto_public/tracelens_mi300_resnet_act_checkpoint",
)


@pytest.mark.parametrize("name", CASES)
def test_every_pair_has_one_sequence_number(recorded: Recorded, recordings: Path, name: str) -> None:
    rank = recorded(name)
    events = rank.events
    assert events is not None
    trace = json.loads(gzip.decompress((recordings / f"{name}.json.gz").read_bytes()))["traceEvents"]
    number = {
        one["args"]["External id"]: one["args"].get("Sequence number") for one in trace if one.get("cat") == "cpu_op"
    }
    pairs = forward_of(events, rank.marks.start_ns, rank.marks.end_ns)
    wrong = [
        (events.named(node), events.named(operator))
        for node, operator in pairs.items()
        if number[int(events.external[node])] != number[int(events.external[operator])]
    ]
    assert wrong == []
    nodes = sum(bool(BACKWARD.match(events.named(int(row)))) for row in events.rows(Kind.CPU_OP))
    assert len(pairs) > 0.4 * nodes


def test_modules_own_the_time_of_their_backward(recorded: Recorded) -> None:
    """A recorded ResNet with stacks: nearly all of its device time, forward and backward, has a module."""
    rank = recorded("kineto_public/tracelens_mi300_resnet_act_checkpoint")
    facts = operator_facts(rank, windows_of(rank))
    assert facts is not None
    assert sum(one.ns for one in facts.modules) > 0.9 * facts.ns
    assert sum(one.backward_ns for one in facts.modules) > 0.9 * facts.backward_ns
    first = next(one for one in facts.modules if one.path.endswith("ResNet_0/BatchNorm2d_0"))
    assert first.backward_ns > first.forward_ns > 0


def test_without_stacks_there_are_no_modules(recorded: Recorded) -> None:
    rank = recorded("h200/compute_fp32.rank0")
    facts = operator_facts(rank, windows_of(rank))
    assert facts is not None and facts.modules == ()


def test_the_tree_finds_what_runs_at_a_moment(recorded: Recorded) -> None:
    """Every operator is on its own path, and each one on it lasts at least as long as the next."""
    events = recorded("h200/compute_fp32.rank0").events
    assert events is not None
    rows = events.rows(Kind.CPU_OP)[::97]
    rows = rows[events.dur[rows] > 0]
    paths = OperatorTree.of(events).parents(rows)
    for row, path in zip(rows.tolist(), paths, strict=True):
        chain = path[path != -1]
        assert row in chain
        assert (np.diff(events.end[chain]) <= 0).all()
