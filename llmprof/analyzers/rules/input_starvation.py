"""Does training wait for its input?

Detects:
    The device has nothing to do because the training process waits for the next batch: batches are made in the
    training process itself (`num_workers=0`), or the workers make them more slowly than the step uses them.

Why it costs time:
    A step that has no batch cannot begin. Workers make batches while the device computes; too few of them, or none,
    put the making of a batch into the step.

How it is measured:
    Time per step in which the device is idle while the thread that launches kernels is inside the loader's `next()`.
    Waiting that happens behind running kernels costs nothing and is not counted. The number of workers to use is
    ceil(time to make a batch / rest of the step) + 1, at most the cores per rank; the wait that is left is
    max(0, time to make a batch / workers - rest of the step).

Does not apply when:
    Nothing waits for a loader: synthetic input, or batches already on the device.

Fix:
    Raise `num_workers` of the DataLoader. When there are as many workers as cores already, make the work per sample
    smaller instead: prepare samples once before training, store them in large sequential files.

Verify:
    Record again: the data part of the step should be gone. When it is not, double `num_workers` until it stops falling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, input_wait_ns, part_ns
from llmprof.units import format_ms, format_ns, format_percent, ms

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
    ),
    thresholds=(
        thresholds.INPUT_WAIT,
        thresholds.INPUT_WAIT_IN_PROCESS,
        thresholds.SPARE_WORKERS,
        thresholds.WORKERS_AT_LEAST,
        thresholds.RANK_DIFFERENCE,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """What the fixes are worked out from; ns per step."""

    wait_ns: float
    rest_ns: float
    loader: LoaderFacts
    workers: int | None
    """Workers now; 0 when batches are made in the training process, None when nothing tells."""
    need_ns: float | None
    """Time to make the batches of one step, one after the other."""
    cores: int | None
    """Cores per rank."""
    where: str
    """` on rank 1` when only some ranks wait, else empty."""


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
    found = _input(facts, wait, loader, where)
    return RULE.fired(
        facts,
        f"The device waits {format_ns(wait)} per step for the next batch{where}: {_cause(found)}.",
        cost_ns=wait,
        confidence=confidence_of(facts, "data"),
        evidence=[*figures, *_figures(found, critical)],
        recommendations=_fixes(facts, found),
        ranks=ranks,
    )


def _waiting_ranks(facts: Facts) -> tuple[tuple[int, ...], str]:
    """The ranks whose input is late, and how a sentence names them when the others' is not."""
    waits = {rank: input_wait_ns(one) for rank, one in facts.ranks.items() if one.partition is not None}
    least = min(waits.values(), default=0.0)
    margin = thresholds.RANK_DIFFERENCE.value * facts.step.mean_ns
    late = tuple(sorted(rank for rank, wait in waits.items() if wait - least >= margin))
    if not late:
        limit = thresholds.INPUT_WAIT_IN_PROCESS.value * facts.step.mean_ns
        return tuple(sorted(rank for rank, wait in waits.items() if wait >= limit)) or (facts.critical.rank,), ""
    names = ", ".join(str(rank) for rank in late)
    return late, f" on rank {names}" if len(late) == 1 else f" on ranks {names}"


def _input(facts: Facts, wait: float, loader: LoaderFacts, where: str) -> _Input:
    settings = loader.settings
    workers = settings.num_workers if settings is not None else None
    if workers is None and loader.in_process:
        workers = 0
    fetches = loader.fetches_per_step or 1.0
    need: float | None = None
    if loader.batch_ns is not None:
        need = loader.batch_ns * fetches
    elif workers == 0:
        need = max(wait, loader.wait_ns or 0.0)
    elif workers is not None:
        # Every worker is busy all the time while its consumer waits, so `workers` batches take one step each.
        need = workers * facts.step.mean_ns
    cores = loader.cores or facts.critical.environment.cpu_count
    return _Input(
        wait_ns=wait,
        rest_ns=max(facts.step.mean_ns - wait, 1.0),
        loader=loader,
        workers=workers,
        need_ns=need,
        cores=None if cores is None else max(1, cores // _ranks_on_node(facts, loader)),
        where=where,
    )


def _ranks_on_node(facts: Facts, loader: LoaderFacts) -> int:
    environment = facts.critical.environment
    world = facts.world_size or environment.world_size or 1
    return max(1, loader.ranks_on_node or min(world, environment.gpus_per_node or world))


def _cause(found: _Input) -> str:
    made = "" if found.need_ns is None else f", {format_ns(found.need_ns)} of work per step"
    if found.workers == 0:
        return f"batches are made in the training process (num_workers=0{made})"
    if found.workers is None:
        return "its workers do not keep up"
    if _fast_enough(found):
        return f"its {found.workers} workers keep up on average, single batches come late{made}"
    return f"its {found.workers} workers do not keep up{made}"


def _figures(found: _Input, rank: RankFacts) -> list[Evidence]:
    window = evidence.longest(rank, "wait")
    return [
        evidence.number("workers", found.workers, "processes per rank", source="DataLoader settings", rank=rank.rank),
        evidence.time("making the batches of a step", found.need_ns, source="loader", rank=rank.rank, window=window),
        evidence.number("cores per rank", found.cores, "cores", source="affinity and cgroup", rank=rank.rank),
    ]


def _fast_enough(found: _Input) -> bool:
    """Workers whose mean rate suffices, as they measured it themselves: waits then come from slow single batches."""
    measured = found.loader.batch_ns is not None and found.need_ns is not None
    return bool(measured and found.workers and (found.need_ns or 0.0) / found.workers < found.rest_ns)


def _fixes(facts: Facts, found: _Input) -> list[Recommendation]:
    result = []
    if _fast_enough(found):
        result.append(_prefetch(facts, found))
    wanted = _wanted(found)
    if wanted is None or wanted > (found.workers or 0):
        result.append(_workers(facts, found, wanted))
    short = wanted is not None and _left_ns(found, wanted) > thresholds.NOISE_SHARE.value * facts.step.mean_ns
    if short or (wanted is not None and wanted <= (found.workers or 0)):
        result.extend(_less_work(facts, found))
    spike = _spike_ns(facts)
    settings = found.loader.settings
    if settings is not None and found.workers and settings.persistent_workers is False and spike > 0:
        result.append(_persistent(facts, found, spike))
    return result


def _wanted(found: _Input) -> int | None:
    """The number of workers that hides the making of batches, as far as there are cores; None when unknown."""
    if found.need_ns is None:
        return None
    wanted = math.ceil(found.need_ns / found.rest_ns) + int(thresholds.SPARE_WORKERS.value)
    return wanted if found.cores is None else min(wanted, found.cores)


def _left_ns(found: _Input, workers: int) -> float:
    """The wait per step that stays with this many workers."""
    return max(0.0, (found.need_ns or 0.0) / max(workers, 1) - found.rest_ns)


def _workers(facts: Facts, found: _Input, wanted: int | None) -> Recommendation:
    saved = found.wait_ns if wanted is None else max(0.0, found.wait_ns - _left_ns(found, wanted))
    refill = min(part_ns(facts, "host"), thresholds.REFILL_SHARE.value * found.wait_ns)
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
            low_ns=low.value * saved,
            high_ns=saved + refill,
            at_most_ns=found.wait_ns + refill,
        ),
        watch="the data part",
    )


def _why_workers(found: _Input, wanted: int | None) -> str:
    if wanted is None or found.need_ns is None:
        return (
            "The step waits for batches; how long one takes to make was not recorded, so the number is found by trying."
        )
    left = _left_ns(found, wanted)
    text = (
        f"Making the batches of a step takes {format_ns(found.need_ns)} and the rest of the step "
        f"{format_ns(found.rest_ns)}: {wanted} workers make them while the device computes."
    )
    if left > 0:
        text += f" There are {found.cores} cores per rank, so {format_ns(left)} of waiting stay."
    return text


def _less_work(facts: Facts, found: _Input) -> list[Recommendation]:
    estimate = gain(
        facts,
        expected_ns=thresholds.PREPROCESSING_SHARE.value * found.wait_ns,
        low_ns=0.0,
        high_ns=found.wait_ns,
        at_most_ns=found.wait_ns,
    )
    cores = f"{found.cores} cores per rank" if found.cores else "the cores of this machine"
    why = f"More workers do not help beyond {cores}; the work per batch has to become smaller."
    texts = (
        (
            "offline-preprocessing",
            f"Prepare the samples once, before training{found.where}",
            "Tokenise, decode and resize in a separate job and store the results; let the dataset only read them.",
        ),
        (
            "packed-dataset",
            f"Store the samples in large sequential files{found.where}",
            "Write shards (memory-mapped token arrays, WebDataset, MosaicML Streaming, Arrow) and read them in order.",
        ),
    )
    return [
        recommend(fix, rule=RULE.id, facts=facts, action=action, why=why, how=how, gain=estimate, watch="the data part")
        for fix, action, how in texts
    ]


def _prefetch(facts: Facts, found: _Input) -> Recommendation:
    settings = found.loader.settings
    now = settings.prefetch_factor if settings is not None and settings.prefetch_factor else 2
    return recommend(
        "dataloader-prefetch",
        rule=RULE.id,
        facts=facts,
        action=f"Keep more batches ready: prefetch_factor {now} to {4 * now}{found.where}",
        why=f"{found.workers} workers are fast enough on average; a deeper queue hides their slow batches.",
        how=f"DataLoader(prefetch_factor={now}) -> DataLoader(prefetch_factor={4 * now})",
        gain=gain(
            facts,
            expected_ns=thresholds.PREFETCH_SHARE.value * found.wait_ns,
            low_ns=0.0,
            high_ns=found.wait_ns,
            at_most_ns=found.wait_ns,
        ),
        watch="the data part",
    )


def _spike_ns(facts: Facts) -> float:
    """How far the mean step lies above the median, when that is far enough to speak of rare long waits."""
    median = facts.step.median_ns
    spike = 0.0 if median is None else facts.step.mean_ns - median
    return spike if spike >= thresholds.EPOCH_SPIKE.value * facts.step.mean_ns else 0.0


def _persistent(facts: Facts, found: _Input, spike_ns: float) -> Recommendation:
    top = min(spike_ns, found.wait_ns)
    return recommend(
        "persistent-workers",
        rule=RULE.id,
        facts=facts,
        action=f"Keep the workers alive between epochs{found.where}",
        why=f"The mean step is {format_ms(ms(spike_ns))} above the median: few steps wait long, as when workers start.",
        how="DataLoader(persistent_workers=False) -> DataLoader(persistent_workers=True)",
        gain=gain(facts, expected_ns=top / 2, low_ns=0.0, high_ns=top, at_most_ns=top),
        watch="the data part",
    )
