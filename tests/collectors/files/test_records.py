"""JSON from strangers becomes records: what fits is taken, what does not keeps its default."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.collectors.files.records import record_of
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.settings import FsdpSettings, Mesh, OptimizerSettings
from llmprof.timeline.topology import Gpu, Node


def test_every_kind_of_field():
    found = record_of(
        Environment,
        {
            "host": "node0",
            "cpu_count": 4,
            "cpu_quota": 3,
            "compiled": True,
            "device": {"name": "NVIDIA H200", "capability": [9, 0]},
            "fsdp": {"version": 2},
            "optimizers": [{"name": "AdamW", "state_bytes": {"float32": 8}}, {"name": "SGD"}],
            "meshes": [{"names": ["dp", "tp"], "sizes": [4, 2]}],
            "parameter_bytes": {"bfloat16": 12},
            "numa_nodes": [0, 1],
            "command": ["python", "train.py"],
        },
    )
    assert found == Environment(
        host="node0",
        cpu_count=4,
        cpu_quota=3.0,
        compiled=True,
        device=Device(name="NVIDIA H200", capability=(9, 0)),
        fsdp=FsdpSettings(version=2),
        optimizers=(OptimizerSettings(name="AdamW", state_bytes={"float32": 8}), OptimizerSettings(name="SGD")),
        meshes=(Mesh(names=("dp", "tp"), sizes=(4, 2)),),
        parameter_bytes={"bfloat16": 12},
        numa_nodes=(0, 1),
        command=("python", "train.py"),
    )


@pytest.mark.parametrize(
    "data",
    [
        {"cpu_count": "4"},
        {"cpu_count": True},
        {"cpu_count": 4.0},
        {"cpu_count": 1 << 70},
        {"cpu_quota": "3"},
        {"cpu_quota": float("inf")},
        {"compiled": 1},
        {"host": 7},
        {"device": "H200"},
        {"device": {"capability": [9]}},
        {"device": {"capability": [9, "0"]}},
        {"optimizers": {"name": "AdamW"}},
        {"parameter_bytes": [1]},
        {"parameter_bytes": {"bfloat16": "many"}},
        {"numa_nodes": ["0"]},
        {"fsdp": []},
        {"no_such_field": 1},
        [],
        None,
        7,
    ],
)
def test_what_does_not_fit_keeps_its_default(data):
    assert record_of(Environment, data) == Environment()


def test_an_entry_that_does_not_fit_costs_itself_alone():
    found = record_of(Environment, {"optimizers": [7, {"name": "AdamW", "fused": "yes"}], "numa_nodes": [0, None, 2]})
    assert (found.optimizers, found.numa_nodes) == ((OptimizerSettings(name="AdamW"),), (0, 2))


def test_a_gpu_is_found_by_its_number():
    node = record_of(Node, {"gpus": [{"index": 0}, {"index": 3, "name": "NVIDIA H200"}]})
    assert node.gpu(3) == Gpu(index=3, name="NVIDIA H200")
    assert (node.gpu(1), node.gpu(None)) == (None, None)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from([*Environment.__dataclass_fields__])


@given(st.dictionaries(fields, anything, max_size=8))
def test_no_json_raises(data: dict[str, Any]):
    found = record_of(Environment, json.loads(json.dumps(data)))
    assert isinstance(found.device, Device)
    assert isinstance(found.command, tuple)
