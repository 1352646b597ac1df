"""What is not the same in two runs: what makes them hard to compare, and settings that may be why one is slower."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmprof.analyzers.diagnosis import Diagnosis

__all__ = ["SAME_TOKENS", "Unlike", "settings_between", "tokens_per_step", "unlike"]

SAME_TOKENS = 0.005
"""Steps whose tokens differ by less do the same work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """One thing that is not the same in both runs."""

    name: str
    a: Any
    b: Any
    why: str = ""
    """What that does to the comparison; empty for a setting."""


def tokens_per_step(diagnosis: Diagnosis) -> float | None:
    """Tokens that all ranks train on in one step; None where they were not recorded."""
    rate, mean = diagnosis.step.tokens_per_s, diagnosis.step.mean_ms
    return rate * mean / 1000 if rate and mean else None


def unlike(a: Diagnosis, b: Diagnosis) -> Iterator[Unlike]:
    """What the two would have to share to be compared as equals; what a run did not record cannot be checked."""
    models = [one.environment.get("model") or {} for one in (a, b)]
    checks = (
        ("GPU", a.environment.get("gpu"), b.environment.get("gpu"), "the hardware is not the same"),
        ("world size", a.source.world_size, b.source.world_size, "each rank has another share of the work"),
        ("model", models[0].get("name"), models[1].get("name"), "another model is trained"),
        (
            "trained parameters",
            models[0].get("trainable_parameters"),
            models[1].get("trainable_parameters"),
            "another model is trained",
        ),
    )
    for name, one, other, why in checks:
        if one != other and one is not None and other is not None:
            yield Unlike(name=name, a=one, b=other, why=why)
    if a.capture.basis != b.capture.basis:
        why = "one step was measured under the profiler, which slows it"
        yield Unlike(name="basis", a=a.capture.basis, b=b.capture.basis, why=why)
    tokens = (tokens_per_step(a), tokens_per_step(b))
    if tokens[0] and tokens[1]:
        if abs(tokens[0] / tokens[1] - 1) > SAME_TOKENS:
            why = "B's times are given for A's tokens"
            yield Unlike(name="tokens per step", a=round(tokens[0]), b=round(tokens[1]), why=why)
    else:
        batches = [(one.environment.get("loader") or {}).get("batch_size") for one in (a, b)]
        if batches[0] != batches[1] and None not in batches:
            why = "tokens of a step are not known, so that a step of B may do another amount of work"
            yield Unlike(name="batch size", a=batches[0], b=batches[1], why=why)


_NO_SETTINGS = ("gpu", "world_size", "hardware", "model.name", "model.trainable_parameters")
_OF_ONE_PROCESS = re.compile(r"variables\.(\w*RANK|MASTER_\w+|TORCHELASTIC_\w+|SLURM_\w+|HOSTNAME|\w*_RUN_ID)\Z")
"""Launchers set these anew for every process or run."""


def settings_between(a: Diagnosis, b: Diagnosis) -> Iterator[Unlike]:
    """Recorded settings that differ; not those that launchers set anew for every process or run."""
    one, other = dict(_flat("", a.environment)), dict(_flat("", b.environment))
    for name in sorted(one.keys() | other.keys()):
        if name.startswith(_NO_SETTINGS) or _OF_ONE_PROCESS.match(name) or one.get(name) == other.get(name):
            continue
        yield Unlike(name=name, a=one.get(name), b=other.get(name))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)
    elif value is not None:
        yield prefix, list(value) if isinstance(value, tuple) else value
