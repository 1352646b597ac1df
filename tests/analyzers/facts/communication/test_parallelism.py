"""Is the kind of parallelism told from settings, from the names of groups, and else from their traffic?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.communication.collectives import CollectiveGroup
from llmprof.analyzers.facts.communication.parallelism import parallelism_of
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import Parallelism
from tests.analyzers.rules.exchange_facts import facts_of
from tests.scenarios.exchange import MIB, ddp_run, fsdp_run, pipeline_run


def group(op: str, size: int = 4, *, name: str = "1", calls: float = 8, backward: float | None = 1.0, called: str = ""):
    return CollectiveGroup(
        op=op,
        dtype="bf16",
        count=calls,
        bytes=1.0,
        ns=1.0,
        exposed_ns=0.0,
        group_size=size,
        backward_share=backward,
        group_name=name,
        description=called or None,
    )


def degrees(*groups: CollectiveGroup, **known: int) -> Parallelism:
    return parallelism_of(Environment(parallelism=Parallelism(**known)), groups)


@pytest.mark.parametrize(
    ("traffic", "expected"),
    [
        ([group("all_reduce")], Parallelism(dp=4)),
        ([group("all_reduce", calls=48, backward=0.5)], Parallelism(tp=4)),
        (
            [group("all_reduce", calls=9, backward=0.9)],
            Parallelism(dp=4),
        ),  # and one metric
        ([group("all_reduce", backward=0.0)], Parallelism()),  # after the backward pass: by hand, or a norm
        ([group("all_gather", backward=0.5), group("reduce_scatter")], Parallelism(fsdp=4)),
        ([group("all_gather", backward=0.5), group("reduce_scatter", backward=0.5)], Parallelism(tp=4)),
        ([group("send_recv", 2)], Parallelism(pp=2)),
        ([group("all_to_all", 8)], Parallelism(ep=8)),
        ([group("all_reduce", backward=None)], Parallelism()),
    ],
)
def test_traffic(traffic: list[CollectiveGroup], expected: Parallelism) -> None:
    assert degrees(*traffic) == expected


@pytest.mark.parametrize(
    ("called", "op", "expected"),
    [
        ("mesh_tp", "all_reduce", Parallelism(tp=4)),
        ("mesh_dp_shard", "all_gather", Parallelism(fsdp=4)),
        ("mesh_dp", "reduce_scatter", Parallelism(fsdp=4)),
        ("mesh_dp_replicate", "all_reduce", Parallelism(dp=4)),
        ("TENSOR_MODEL_PARALLEL_GROUP", "all_reduce", Parallelism(tp=4)),
        ("mesh_ep", "all_reduce", Parallelism(ep=4)),
        ("default_pg", "all_reduce", Parallelism(dp=4)),
    ],
)
def test_names_of_groups_say_more_than_traffic(called: str, op: str, expected: Parallelism) -> None:
    assert degrees(group(op, called=called)) == expected


def test_settings_are_believed() -> None:
    assert degrees(group("all_reduce"), dp=16).dp == 16


def test_reductions_beside_sharding_are_no_data_parallelism() -> None:
    found = degrees(group("all_gather", backward=0.5), group("reduce_scatter"), group("all_reduce", 8, name="2"))
    assert found == Parallelism(fsdp=4)


def test_recordings_of_each_kind() -> None:
    """From traffic alone: nothing in the settings."""
    silent = {"parallelism": Parallelism()}
    runs = {
        "dp": [ddp_run([MIB] * 4)],
        "fsdp": [fsdp_run([MIB] * 4)],
        "pp": [pipeline_run(stage, 4) for stage in (0, 1)],
    }
    for kind, recorded in runs.items():
        critical = facts_of(*recorded, settings=silent).critical
        assert critical.collectives is not None
        assert parallelism_of(critical.environment, critical.collectives.groups) == Parallelism(**{kind: 2})
