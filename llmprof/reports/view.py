"""What does every report say? The view model that terminal, HTML, Markdown and plain text share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmprof.analyzers.diagnosis import Diagnosis, Verdict
from llmprof.reports.checks import Check, Proof, checks_of, why_of
from llmprof.reports.fixes import TOP, Fix, Together, fixes_of, others_tried, together_of
from llmprof.reports.labels import BOUND_NAMES, confidence_word, headline_label
from llmprof.reports.parts import Part, bar_segments, part_rows, parts_sum
from llmprof.reports.text import short, visible
from llmprof.reports.trust import Trust, trust_of
from llmprof.units import UNKNOWN, format_bytes, format_count, format_ms, format_percent

__all__ = ["Figure", "View", "build_view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the four numbers of the first screen."""

    key: str
    """Name of the field of `step` in analysis.json."""
    title: str
    value: str
    raw: float | None
    note: str
    """More about a known value, or the reason why it is unknown."""
    level: float | None = None
    """How full a meter stands, 0 to 1; None for a number that has no natural full mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that a report shows. All texts are plain text, made visible, and still need the format's escaping."""

    label: str
    bound: str
    """Name of the bound, `unknown` when llmprof abstains."""
    sentence: str
    reason: str
    """Why there is no verdict; empty when there is one."""
    confidence: str
    runner_up: str
    flags: tuple[str, ...]
    figures: tuple[Figure, ...]
    history_ms: tuple[float, ...]
    rows: tuple[Part, ...]
    segments: tuple[Part, ...]
    sum_ms: float | None
    partition_note: str
    fixes: tuple[Fix, ...]
    together: Together | None
    tried: tuple[str, ...]
    """What was tried without being recommended."""
    trust: tuple[Trust, ...]
    checks: tuple[Check, ...]
    why: tuple[Proof, ...]
    facts: tuple[tuple[str, str], ...]
    subject: str
    """What was looked at, in a few words: `8 x NVIDIA H200`."""
    steps: str
    """`96 steps`, `steps unknown`."""

    @property
    def top_fixes(self) -> tuple[Fix, ...]:
        """The fixes of the first screen: the first ones that help; when none does, the first that was considered."""
        helping = [fix for fix in self.fixes if fix.helps]
        return tuple(helping[:TOP]) or self.fixes[:1]

    @property
    def weak(self) -> bool:
        """True when something about the recording weakens the verdict."""
        return any(item.weak for item in self.trust)


def build_view(diagnosis: Diagnosis) -> View:
    """The view model of a diagnosis; pure, and the same for the same diagnosis."""
    verdict, rows = diagnosis.verdict, part_rows(diagnosis)
    runner = verdict.runner_up
    if runner is not None and verdict.share is not None and runner.share > verdict.share:
        runner = None  # what one rank has more than the others and parts of the step are shares of two things
    return View(
        label=headline_label(verdict.bound, visible(verdict.detail) if verdict.detail else None),
        bound=verdict.bound or UNKNOWN,
        sentence=visible(verdict.sentence),
        reason=visible(verdict.reason or "") if verdict.bound is None else "",
        confidence=confidence_word(verdict.confidence),
        runner_up=f"{BOUND_NAMES.get(runner.bound, runner.bound)} {format_percent(runner.share)}" if runner else "",
        flags=tuple(visible(flag).replace("-", " ") for flag in verdict.flags if flag not in _told(verdict)),
        figures=_figures(diagnosis),
        history_ms=tuple(value for value in diagnosis.history_ms if value is not None),
        rows=rows,
        segments=bar_segments(rows),
        sum_ms=parts_sum(rows),
        partition_note=_partition_note(diagnosis, rows),
        fixes=fixes_of(diagnosis),
        together=together_of(diagnosis),
        tried=others_tried(diagnosis),
        trust=trust_of(diagnosis),
        checks=checks_of(diagnosis),
        why=why_of(diagnosis),
        facts=_facts(diagnosis),
        subject=_subject(diagnosis),
        steps=_steps(diagnosis),
    )


def _told(verdict: Verdict) -> frozenset[str]:
    """Flags that the sentence or the label say already."""
    return frozenset(("nothing-found", "cpu-only", *(("memory-capacity",) if verdict.detail == "capacity" else ())))


def _figures(diagnosis: Diagnosis) -> tuple[Figure, ...]:
    step = diagnosis.step
    spread = [
        f"{name} {format_ms(value)}"
        for name, value in (("median", step.median_ms), ("p95", step.p95_ms))
        if value is not None
    ]
    capacity, peak = step.memory_capacity_bytes, step.peak_memory_bytes
    share = peak / capacity if peak is not None and capacity else None
    of_capacity = f"of {format_bytes(capacity)}" if capacity else "capacity unknown"
    return (
        Figure(
            key="mean_ms",
            title="Time per step",
            value=format_ms(step.mean_ms),
            raw=step.mean_ms,
            note="no complete step in the recording"
            if step.mean_ms is None
            else ", ".join(spread) or "median and p95 not recorded",
        ),
        Figure(
            key="tokens_per_s",
            title="Tokens per second",
            value=format_count(step.tokens_per_s),
            raw=step.tokens_per_s,
            note="tokens of a batch not recorded" if step.tokens_per_s is None else "in the measured steps",
        ),
        Figure(
            key="mfu",
            title="Model FLOP utilization",
            value=format_percent(step.mfu),
            raw=step.mfu,
            note=step.utilization_basis or "FLOPs of the model not known",
            level=step.mfu,
        ),
        Figure(
            key="peak_memory_bytes",
            title="Peak device memory",
            value=format_bytes(peak),
            raw=peak,
            note="allocator readings not recorded"
            if peak is None
            else of_capacity + (f" ({format_percent(share)})" if share is not None else ""),
            level=share,
        ),
    )


def _partition_note(diagnosis: Diagnosis, rows: tuple[Part, ...]) -> str:
    if not rows:
        return "The recording does not tell where the time goes."
    total, mean = parts_sum(rows), diagnosis.step.mean_ms
    where = (
        f"Rank {diagnosis.partition_rank}, "
        if len(diagnosis.ranks) > 1 and diagnosis.partition_rank is not None
        else ""
    )
    note = f"{where}average of the counted steps" if where else "Average of the counted steps"
    if mean and total is not None and abs(total - mean) > 0.001 * mean:
        note += f"; the parts sum to {format_ms(total)}, the step is {format_ms(mean)}"
    return note


def _subject(diagnosis: Diagnosis) -> str:
    count = diagnosis.source.world_size or len(diagnosis.source.ranks) or 1
    gpu = diagnosis.environment.get("gpu")
    unknown = "no GPU" if "cpu-only" in diagnosis.verdict.flags else "GPU unknown"
    return f"{count} x {visible(gpu)}" if gpu else f"{count} rank{'' if count == 1 else 's'}, {unknown}"


def _steps(diagnosis: Diagnosis) -> str:
    count = diagnosis.capture.steps_measured
    return "steps unknown" if count is None else f"{count} step{'' if count == 1 else 's'}"


_FACT_NAMES = {
    "gpu": "GPU",
    "gpus_per_node": "GPUs per node",
    "torch": "PyTorch",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "nccl": "NCCL",
    "cpu_count": "CPU count",
    "cpu_affinity": "CPU affinity",
    "cpu_threads": "CPU threads",
    "numa_nodes": "NUMA nodes",
}


def _facts(diagnosis: Diagnosis) -> tuple[tuple[str, str], ...]:
    source = diagnosis.source
    ranks = ", ".join(str(rank) for rank in source.ranks[:16]) + (", ..." if len(source.ranks) > 16 else "")
    facts = [
        ("Input", visible(source.kind)),
        *(("File", visible(path)) for path in source.paths[:16]),
        ("Ranks", ranks or UNKNOWN),
        ("World size", UNKNOWN if source.world_size is None else str(source.world_size)),
    ]
    for key, value in diagnosis.environment.items():
        if key == "world_size":
            continue
        facts += _flat(_FACT_NAMES.get(key, visible(key).replace("_", " ")), value)
    return tuple(facts)


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Environment entries as lines: mappings become `name key`, lists are joined, unknown entries are left out."""
    if value is None or value in ({}, (), []):
        return []
    if isinstance(value, Mapping):
        plain = [_plain(key, item) for key, item in value.items() if isinstance(item, str | int | float)]
        nested = [(key, item) for key, item in value.items() if not isinstance(item, str | int | float)]
        lines = [line for key, item in nested for line in _flat(f"{name} {visible(key).replace('_', ' ')}", item)]
        return ([(name, ", ".join(plain))] if plain else []) + lines
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [line for index, item in enumerate(value) for line in _flat(f"{name} {index + 1}", item)]
    if isinstance(value, list | tuple):
        return [(name, visible(" ".join(str(item) for item in value)))]
    return [(name, _shown(value))]


def _plain(key: str, value: str | int | float) -> str:
    """One entry of a mapping, under the name that it can be searched by: `num_workers 4`, `memory 251.8 GiB`."""
    name = visible(key)
    if name.endswith("_bytes") and not isinstance(value, str | bool):
        return f"{name.removesuffix('_bytes')} {format_bytes(value)}"
    return f"{name} {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short(value) if isinstance(value, float) and math.isfinite(value) else visible(value)
