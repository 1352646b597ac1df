"""What can be done about a wait for batches, and what does each of it save? The fixes of the rule input-starvation."""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Basis, Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, part_ns
from llmprof.analyzers.rules.loader_sizing import (
    DEEPER,
    InputNeed,
    chance_ns,
    deeper_queue_ns,
    fast_enough,
    left_ns,
    less_work_ns,
    saved_ns,
    wanted_workers,
)
from llmprof.units import NS_PER_MS, format_ms, format_ns, ms

__all__ = ["input_fixes", "waits_for_pinning"]

_RULE = "input-starvation"


def waits_for_pinning(found: InputNeed) -> bool:
    """Whether most of the wait is for the thread that pins batches, and not for workers."""
    return found.pinning_ns > found.wait_ns / 2


def input_fixes(facts: Facts, found: InputNeed) -> list[Recommendation]:
    """What is recommended, in the order in which the rule thinks of it."""
    result = [_compact(facts, found)] if waits_for_pinning(found) else []
    if not result and fast_enough(found) and deeper_queue_ns(found) > thresholds.NOISE_SHARE.value * facts.step.mean_ns:
        result.append(_prefetch(facts, found))
    wanted = wanted_workers(found)
    if wanted is None or wanted > (found.workers or 0):
        result.append(_workers(facts, found, wanted))
    enough = found.receiving_ns + thresholds.NOISE_SHARE.value * facts.step.mean_ns
    # Slow batches may leave a wait with fewer workers than cores as well: that is not for want of cores.
    short = wanted is not None and wanted >= (found.cores or 0) and left_ns(found, wanted) > enough
    if not waits_for_pinning(found) and (short or (wanted is not None and wanted <= (found.workers or 0))):
        cores = f"{found.cores} cores per rank" if found.cores else "the cores of this machine"
        why = f"More workers do not help beyond {cores}; the work per batch has to become smaller."
        result.extend(_less_work(facts, found, why))
    elif not waits_for_pinning(found) and found.workers and found.loader.times is not None:
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
        rule=_RULE,
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
            rule=_RULE,
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
        rule=_RULE,
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
        rule=_RULE,
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
        rule=_RULE,
        facts=facts,
        action=f"Keep the workers alive between epochs{found.where}",
        why=why,
        how="DataLoader(persistent_workers=False) -> DataLoader(persistent_workers=True)",
        gain=gain(facts, expected_ns=saved, low_ns=low, high_ns=top, at_most_ns=top),
        watch="the data part",
    )
    return [one]
