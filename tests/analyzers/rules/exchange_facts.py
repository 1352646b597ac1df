"""What do the rules see of runs that exchange data? Facts of built recordings, measured as real ones are."""

from __future__ import annotations

from typing import Any

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import ModelSettings, Parallelism
from llmprof.timeline.timeline import Timeline
from llmprof.timeline.topology import Gpu, GpuPair, Node
from tests.analyzers.rules.facts_builder import H200
from tests.scenarios.exchange import Run

__all__ = ["NVLINK", "environment", "facts_of", "gain_ms"]

NVLINK = Node(gpus=(Gpu(index=0), Gpu(index=1)), pairs=(GpuPair(a=0, b=1, nvlinks=18, nvlink=True),))
"""Two H200 that reach each other over NVLink."""


def environment(rank: int = 0, **settings: Any) -> Environment:
    """Two ranks on one node of two H200, data-parallel where nothing else is given."""
    values: dict[str, Any] = {
        "device": H200,
        "host": "node0",
        "world_size": 2,
        "backend": "nccl",
        "node": NVLINK,
        "gpu_index": rank,
        "parallelism": Parallelism(dp=2),
        "models": (ModelSettings(name="GPT", trainable_count=100_000_000, trainable_bytes={"float32": 400_000_000}),),
    }
    return Environment(**(values | settings))


def facts_of(*runs: Run, settings: dict[str, Any] | None = None, **overrides: Any) -> Facts:
    """The facts of ranks 0, 1, ...; of one run on both ranks when only one is given."""
    both = runs if len(runs) > 1 else runs * 2
    ranks = tuple(
        run.builder.rank(number, environment=environment(number, **(settings or {})), **overrides)
        for number, run in enumerate(both)
    )
    return measure(Timeline(ranks=ranks, kind="run", paths=(), world_size=len(ranks)))


def gain_ms(before: Run, after: Run) -> float:
    """What the step really lost."""
    return (before.step_ns - after.step_ns) / 1e6
