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

from llmprof.analyzers.diagnosis import Basis, Evidence, Recommendation
from llmprof.analyzers.facts.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, input_wait_ns, part_ns
from llmprof.analyzers.rules.loader_sizing import (
    DEEPER,
    InputNeed,
    chance_ns,
    deeper_queue_ns,
    fast_enough,
    input_need,
    left_ns,
    less_work_ns,
    saved_ns,
    wanted_workers,
)
from llmprof.units import NS_PER_MS, format_ms, format_ns, format_percent, ms

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
        recommendations=_fixes(facts, found),
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
    if _pinning(found):
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


def _pinning(found: InputNeed) -> bool:
    """Whether most of the wait is for the thread that pins batches, and not for workers."""
    return found.pinning_ns > found.wait_ns / 2


def _fixes(facts: Facts, found: InputNeed) -> list[Recommendation]:
    result = [_compact(facts, found)] if _pinning(found) else []
    if not result and fast_enough(found) and deeper_queue_ns(found) > thresholds.NOISE_SHARE.value * facts.step.mean_ns:
        result.append(_prefetch(facts, found))
    wanted = wanted_workers(found)
    if wanted is None or wanted > (found.workers or 0):
        result.append(_workers(facts, found, wanted))
    enough = found.receiving_ns + thresholds.NOISE_SHARE.value * facts.step.mean_ns
    # Slow batches may leave a wait with fewer workers than cores as well: that is not for want of cores.
    short = wanted is not None and wanted >= (found.cores or 0) and left_ns(found, wanted) > enough
    if not _pinning(found) and (short or (wanted is not None and wanted <= (found.workers or 0))):
        cores = f"{found.cores} cores per rank" if found.cores else "the cores of this machine"
        why = f"More workers do not help beyond {cores}; the work per batch has to become smaller."
        result.extend(_less_work(facts, found, why))
    elif not _pinning(found) and found.workers and found.loader.times is not None:
        why = "In place of more workers, and without their cores and memory: a batch that is less work is made sooner."
        most = found.wait_ns / NS_PER_MS / 2
        result.extend(one for one in _less_work(facts, found, why) if one.gain.expected_ms > most)
    settings = found.loader.settings
    if settings is not None and found.workers and settings.persistent_workers is False:
        result.extend(_persistent(facts, found))
    return result


def _workers(facts: Facts, found: InputNeed, wanted: int | None) -> Recommendation:
    saved = found.wait_ns if wanted is None else saved_ns(found, wanted)
    refill, chance = _hidden_ns(facts, found), chance_ns(found)
    low = thresholds.PREPROCESSING_SHARE if wanted is None else thresholds.WORKERS_AT_LEAST
    now = "?" if found.workers is None else str(found.workers)
    if wanted is None:
        action = f"Raise num_workers of the DataLoader{found.where}: double it until the wait is gone"
        how = "DataLoader(..., num_workers=2 * what it is now, persistent_workers=True)"
    else:
        action = f"Raise num_workers of the DataLoader from {now} to {wanted}{found.where}"
        how = f"DataLoader(num_workers={now}) -> DataLoader(num_workers={wanted}, persistent_workers=True)"
    return recommend(
        "dataloader-workers",
        rule=RULE.id,
        facts=facts,
        action=action,
        why=_why_workers(found, wanted),
        how=how,
        gain=gain(
            facts,
            expected_ns=saved,
            low_ns=low.value * saved - chance,
            high_ns=saved + refill + chance + found.receiving_ns,  # where the device is busy meanwhile, nobody feels it
            at_most_ns=found.wait_ns + refill + chance,
            basis=_basis(found),
        ),
        watch="the data part",
    )


def _hidden_ns(facts: Facts, found: InputNeed) -> float:
    """Waiting for batches that idle time does not show: a step without it is shorter by this much at the most.

    A batch that comes earlier lets the host launch earlier by the whole time that it spent in the loader, which idle
    time before late launches then shrinks by. From a trace alone that time is not known: a host that the profiler slows
    finds more batches ready, so as much again as was seen is taken for possible.
    """
    loader = found.loader
    known = loader.wait_ns if loader.wait_measured else None
    most = found.wait_ns if known is None else max(0.0, known - found.wait_ns)
    return min(part_ns(facts, "host"), most)


def _basis(found: InputNeed) -> Basis:
    return "bound" if found.loader.times is None else "replay"


def _why_workers(found: InputNeed, wanted: int | None) -> str:
    if wanted is None or found.need_ns is None:
        return (
            "The step waits for batches; how long one takes to make was not recorded, so the number is found by trying."
        )
    left = left_ns(found, wanted)
    text = (
        f"Making the batches of a step takes {format_ns(found.need_ns)} and the rest of the step "
        f"{format_ns(found.rest_ns)}: {wanted} workers make them while the device computes."
    )
    if left > 0:
        text += f" There are {found.cores} cores per rank, so {format_ns(left)} of waiting stay."
    return text


def _less_work(facts: Facts, found: InputNeed, why: str) -> list[Recommendation]:
    # The device's own work stays in any case.
    rest = facts.step.mean_ns - part_ns(facts, "compute", "communication")
    most = min(found.wait_ns + _hidden_ns(facts, found) + chance_ns(found), max(rest, found.wait_ns))
    share = thresholds.PREPROCESSING_SHARE.value
    texts = (
        (
            "offline-preprocessing",
            less_work_ns(found, share, "cpu"),
            f"Prepare the samples once, before training{found.where}",
            "Tokenise, decode and resize in a separate job and store the results; let the dataset only read them.",
        ),
        (
            "packed-dataset",
            less_work_ns(found, share, "other"),
            f"Store the samples in large sequential files{found.where}",
            "Write shards (memory-mapped token arrays, WebDataset, MosaicML Streaming, Arrow) and read them in order.",
        ),
    )
    return [
        recommend(
            fix,
            rule=RULE.id,
            facts=facts,
            action=action,
            why=why,
            how=how,
            gain=gain(facts, expected_ns=saved, low_ns=0.0, high_ns=most, at_most_ns=most),
            watch="the data part",
        )
        for fix, saved, action, how in texts
    ]


def _compact(facts: Facts, found: InputNeed) -> Recommendation:
    saved, most = (min(found.wait_ns, found.pinning_ns - found.pinning_with(share)) for share in (1 / 2, 1 / 4))
    return recommend(
        "compact-batches",
        rule=RULE.id,
        facts=facts,
        action=f"Hand over batches of fewer bytes{found.where}: in the type in which they are stored",
        why="One thread reads all batches and gives their memory back, byte for byte; more workers do not change that.",
        how="Return uint8 images (or bf16) from the dataset; on the device: batch.to(device).float().div_(255)",
        gain=gain(facts, expected_ns=saved, low_ns=saved / 2, high_ns=most, at_most_ns=found.wait_ns),
        watch="the data part",
    )


def _prefetch(facts: Facts, found: InputNeed) -> Recommendation:
    now, deeper = found.prefetch, DEEPER * found.prefetch
    return recommend(
        "dataloader-prefetch",
        rule=RULE.id,
        facts=facts,
        action=f"Keep more batches ready: prefetch_factor {now} to {deeper}{found.where}",
        why=f"{found.workers} workers are fast enough on average; a deeper queue hides their slow batches.",
        how=f"DataLoader(prefetch_factor={now}) -> DataLoader(prefetch_factor={deeper})",
        gain=gain(
            facts,
            expected_ns=deeper_queue_ns(found),
            low_ns=0.0,
            high_ns=found.wait_ns + chance_ns(found),
            at_most_ns=found.wait_ns + chance_ns(found),
            basis=_basis(found),
        ),
        watch="the data part",
    )


def _spike_ns(facts: Facts) -> float:
    """How far the mean step lies above the median, when that is far enough to speak of rare long waits."""
    median = facts.step.median_ns
    spike = 0.0 if median is None else facts.step.mean_ns - median
    return spike if spike >= thresholds.EPOCH_SPIKE.value * facts.step.mean_ns else 0.0


def _persistent(facts: Facts, found: InputNeed) -> list[Recommendation]:
    """Nothing where epochs start too seldom, or too fast, to be felt."""
    epochs, times = found.loader.epochs, found.loader.times
    if epochs is None and found.loader.wait_measured:
        return []  # all starts of epochs are noted then: none came after the first
    if epochs is not None and times is not None:
        # The first batch of an epoch has to be made in any case: nothing was on order for it.
        saved = epochs.per_step_ns * max(0.0, 1.0 - times.p50_ns / epochs.mean_ns)
        top, low = epochs.per_step_ns, saved / 2
        why = (
            f"Each of {epochs.count} new epochs costs {format_ns(epochs.mean_ns)}: workers end, start, and begin anew."
        )
        if saved < thresholds.NOISE_SHARE.value * facts.step.mean_ns:
            return []
    else:
        spike = _spike_ns(facts)
        top = min(spike, found.wait_ns)
        saved, low = top / 2, 0.0
        why = f"The mean step is {format_ms(ms(spike))} above the median: few steps wait long, as when workers start."
        if spike <= 0:
            return []
    one = recommend(
        "persistent-workers",
        rule=RULE.id,
        facts=facts,
        action=f"Keep the workers alive between epochs{found.where}",
        why=why,
        how="DataLoader(persistent_workers=False) -> DataLoader(persistent_workers=True)",
        gain=gain(facts, expected_ns=saved, low_ns=low, high_ns=top, at_most_ns=top),
        watch="the data part",
    )
    return [one]
