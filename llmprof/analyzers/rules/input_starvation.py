"""Does training wait for its input?

Detects:
    The device has nothing to do because the training process waits for the next batch: batches are made in the
    training process itself (`num_workers=0`), or the workers make them more slowly than the step uses them.

Why it costs time:
    A step that has no batch cannot begin. Workers make batches while the device computes; too few of them, or none,
    put the making of a batch into the step.

How it is measured:
    Time per step in which the device is idle while the thread that launches kernels is inside the loader's `next()`.
    Waiting that happens behind running kernels costs nothing and is not counted. At least ceil(time to make a batch /
    rest of the step) workers are needed. Where the time of every batch was recorded, the loader is replayed with that
    number and more, until the wait is gone: workers take turns, batches arrive in order, and one slow batch holds up
    all; where they are more than the cores, with the training thread, they share these. The number advised is that plus
    1, at most the cores per rank. Without such times the wait that is left is max(0, time to make a batch / workers -
    rest of the step). The replay also says what it saves if half of the CPU time of a batch is spent
    before training (offline-preprocessing), or half of its waiting for storage is gone (packed-dataset). With
    pin_memory one thread reads every batch and gives its memory back: where workers have time to spare and fetches find
    nothing ready all the same, that thread sets the pace, and only batches of fewer bytes help (compact-batches).

Does not apply when:
    Nothing waits for a loader: synthetic input, or batches already on the device.

Fix:
    Raise `num_workers` of the DataLoader. When there are as many workers as cores already, or cores are dear, make the
    work per sample smaller instead: prepare samples once before training, store them in large sequential files.

Verify:
    Record again: the data part of the step should be gone. When it is not, double `num_workers` until it stops falling.
"""

from __future__ import annotations

import math

from llmprof.analyzers.diagnosis import Evidence
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.gains import input_wait_ns
from llmprof.analyzers.rules.input_fixes import input_fixes, waits_for_pinning
from llmprof.analyzers.rules.loader_sizing import InputNeed, fast_enough, input_need
from llmprof.units import format_ns, format_percent, ms

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="input-starvation",
    category="data",
    title="The input pipeline keeps up",
    failed_title="The device waits for the next batch",
    fixes=(
        "dataloader-workers",
        "dataloader-prefetch",
        "persistent-workers",
        "offline-preprocessing",
        "packed-dataset",
        "compact-batches",
    ),
    thresholds=(
        thresholds.INPUT_WAIT,
        thresholds.INPUT_WAIT_IN_PROCESS,
        thresholds.SPARE_WORKERS,
        thresholds.WORKERS_AT_LEAST,
        thresholds.RANK_DIFFERENCE,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the wait for input of the critical rank, and name the ranks that wait."""
    critical = facts.critical
    if critical.partition is None:
        return RULE.no_data("No step of this recording could be taken apart, so the wait for input is not known.")
    wait = input_wait_ns(critical)
    loader = critical.loader or LoaderFacts()
    if wait <= 0 and critical.loader is None:
        return RULE.not_applicable("No data loader was seen: nothing in the step waits for one.")
    limit = thresholds.INPUT_WAIT_IN_PROCESS if loader.in_process else thresholds.INPUT_WAIT
    share = wait / facts.step.mean_ns
    figures = [
        evidence.share("device idle while the next batch is fetched", facts, wait, limit),
        evidence.time("wait inside the loader", loader.wait_ns, source="loader", rank=critical.rank),
    ]
    if share < limit.value:
        return RULE.passed(f"Waiting for batches takes {format_percent(share)} of the step.", evidence=figures)
    ranks, where = _waiting_ranks(facts)
    found = input_need(facts, wait, loader, where)
    return RULE.fired(
        facts,
        f"The device waits {format_ns(wait)} per step for the next batch{where}: {_cause(found)}.",
        cost_ns=wait,
        confidence=confidence_of(facts, "data"),
        evidence=[*figures, *_figures(found, critical)],
        recommendations=input_fixes(facts, found),
        ranks=ranks,
    )


MOST_NAMED = 8
"""Ranks in a sentence; the finding lists all."""


def _waiting_ranks(facts: Facts) -> tuple[tuple[int, ...], str]:
    """The ranks whose input is late, and how a sentence names them when the others' is not."""
    waits = {rank: input_wait_ns(one) for rank, one in facts.ranks.items() if one.partition is not None}
    least = min(waits.values(), default=0.0)
    margin = thresholds.RANK_DIFFERENCE.value * facts.step.mean_ns
    late = tuple(sorted(rank for rank, wait in waits.items() if wait - least >= margin))
    if not late:
        limit = thresholds.INPUT_WAIT_IN_PROCESS.value * facts.step.mean_ns
        return tuple(sorted(rank for rank, wait in waits.items() if wait >= limit)) or (facts.critical.rank,), ""
    names = ", ".join(str(rank) for rank in late[:MOST_NAMED])
    if len(late) > MOST_NAMED:
        names += f" and {len(late) - MOST_NAMED} more"
    return late, f" on rank {names}" if len(late) == 1 else f" on ranks {names}"


def _cause(found: InputNeed) -> str:
    made = "" if found.need_ns is None else f", {format_ns(found.need_ns)} of work per step"
    if found.workers == 0:
        return f"batches are made in the training process (num_workers=0{made})"
    if found.workers is None:
        return "its workers do not keep up"
    if waits_for_pinning(found):
        return f"the one thread that pins them takes {format_ns(found.loader.passing_ns or 0.0)} with each"
    if fast_enough(found):
        return f"its {found.workers} workers keep up on average, single batches come late{made}"
    return f"its {found.workers} workers do not keep up{made}"


def _figures(found: InputNeed, rank: RankFacts) -> list[Evidence]:
    window = evidence.longest(rank, "wait")
    return [
        evidence.number("workers", found.workers, "processes per rank", source="DataLoader settings", rank=rank.rank),
        evidence.time("making the batches of a step", found.need_ns, source="loader", rank=rank.rank, window=window),
        evidence.number("cores per rank", found.cores, "cores", source="affinity and cgroup", rank=rank.rank),
        *_batch_figures(found, rank.rank),
    ]


def _batch_figures(found: InputNeed, rank: int) -> list[Evidence]:
    """What is known of single batches; nothing where they were not measured."""
    loader, times = found.loader, found.loader.times
    if times is None:
        return []
    source = "training process" if found.workers == 0 else "loader workers"
    least = math.ceil((found.need_ns or 0.0) / found.rest_ns)
    figures = [
        evidence.number("making one batch, median", ms(times.p50_ns), "ms", source=source, rank=rank),
        evidence.number("making one batch, 95th percentile", ms(times.p95_ns), "ms", source=source, rank=rank),
        evidence.number(
            "workers needed at least", least, "processes per rank", source="replay of the loader", rank=rank
        ),
    ]
    optional = (
        ("batches the workers can make", loader.delivered_per_s, "per second", source),
        ("batches the step would use", loader.needed_per_s, "per second", "loader"),
        ("fetches that found no batch ready", loader.queue_empty_share, "of 1", "loader queue"),
    )
    figures.extend(
        evidence.number(label, value, unit, source=origin, rank=rank)
        for label, value, unit, origin in optional
        if value is not None and found.workers
    )
    return figures
