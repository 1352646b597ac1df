"""The `environment` of analysis.json: plain JSON, the keys of the contract, unknown values null."""

from __future__ import annotations

import json
from dataclasses import replace

from llmprof.analyzers.environment import environment_of
from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import (
    DdpSettings,
    LoaderSettings,
    Mesh,
    ModelSettings,
    OptimizerSettings,
    Parallelism,
    Precision,
)
from llmprof.timeline.topology import GpuPair, NetworkCard, Node
from tests.analyzers.rules.facts_builder import make_facts

CONTRACT = {"gpu", "gpus_per_node", "torch", "parallelism"}


def test_of_an_unknown_environment_everything_is_null():
    found = json.loads(json.dumps(environment_of(make_facts(100, environment=Environment()))))
    assert set(found) >= CONTRACT
    assert set(found["parallelism"]) >= {"dp", "tp", "pp", "fsdp"}

    def leaves(value: object) -> set[object]:
        return set().union(*map(leaves, value.values())) if isinstance(value, dict) else {value}

    assert leaves(found) == {None}


def test_what_is_known_is_told():
    known = Environment(
        torch_version="2.9.0",
        parallelism=Parallelism(dp=8),
        ddp=DdpSettings(bucket_cap_bytes=25 << 20, find_unused_parameters=True),
        meshes=(Mesh(names=("dp", "tp"), sizes=(4, 2)),),
        loaders=(LoaderSettings(num_workers=4),),
        optimizers=(OptimizerSettings(name="AdamW", fused=False),),
        models=(ModelSettings(name="GPT", trainable_count=7, checkpointing=("recompute seen",)),),
        precision=Precision(autocast_watched=True, sdpa_backends=("flash", "math")),
        node=Node(
            driver_version="570.86.15",
            pairs=(GpuPair(a=0, b=1, nvlinks=18, ancestor="system"), GpuPair(a=0, b=2, nvlinks=0, ancestor="system")),
            network=(NetworkCard(kind="infiniband", megabits_per_s=400_000), NetworkCard(kind="ethernet")),
        ),
    )
    facts = make_facts(100, environment=known)
    critical = replace(facts.critical, hardware=HardwareFacts(samples=5, sm_mhz=990.0, sm_mhz_max=1980))
    found = json.loads(json.dumps(environment_of(replace(facts, critical=critical))))
    assert found["ddp"] == {"bucket_cap_bytes": 25 << 20, "find_unused_parameters": True}
    assert found["mesh"] == {"dp": 4, "tp": 2}
    assert found["model"]["checkpointing"] == ["recompute seen"]
    assert (found["precision"]["autocast"], found["precision"]["sdpa_backends"]) == ("none", ["flash", "math"])
    assert found["driver"] == "570.86.15"
    assert (found["node"]["nvlinks_between_gpus"], found["node"]["gpu_paths"]) == (0, ["system"])
    assert found["node"]["infiniband_gigabits_per_s"] == 400.0
    assert (found["hardware"]["clock_share"], found["hardware"]["pcie_below_max"]) == (0.5, None)


def test_autocast_that_was_never_watched_is_unknown():
    assert environment_of(make_facts(100))["precision"]["autocast"] is None
