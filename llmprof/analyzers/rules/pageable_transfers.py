"""Are batches copied to the device from pageable memory?

Detects:
    Copies to the device from ordinary (pageable) host memory that hold up the step.

Why it costs time:
    The driver has to stage pageable memory through a pinned buffer of its own. The copy is slower, and the call
    returns only when the data has been read, even with `non_blocking=True`, so it cannot run beside the computation.
    Who pins has a thread of the loader read the batch and give its memory back; that thread then allows no shorter step
    than this takes it.

How it is measured:
    Device time in which only such a copy ran, plus the host time inside the copying calls as far as the device was
    idle because of the host, plus the silence before the call in which the memory of the last batch goes back (at most
    as long as the call; only for batches that workers made and nobody pinned). A few kilobytes of token ids cost
    nothing and do not count. Pinned by a loader with workers, the copy takes what the link needs for its bytes.

Does not apply when:
    Nothing is copied from pageable memory.

Fix:
    `pin_memory=True` in the DataLoader and `.to(device, non_blocking=True)` for its batches. Where most bytes are
    fp32, fewer of them cost less: hand over the type in which samples are stored, or bf16.

Verify:
    Record again: the copies should read "Pinned", and the data part of the step should fall.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.batch_memory import released_ns
from llmprof.analyzers.rules.compact_batches import SHARES, compact_batches, wide_share
from llmprof.analyzers.rules.copies import copies_of, link_bytes_per_s
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, part_ns
from llmprof.units import format_bytes, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="pageable-transfers",
    category="data",
    title="Batches are copied from pinned memory",
    failed_title="Batches are copied from pageable memory",
    fixes=("pin-memory", "compact-batches"),
    thresholds=(
        thresholds.PAGEABLE_COST,
        thresholds.PINNED_SPEEDUP,
        thresholds.LINK_ACHIEVABLE,
        thresholds.LARGE_COPY,
    ),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the pageable copies of the critical rank."""
    critical = facts.critical
    copies = copies_of(RULE, facts)
    if isinstance(copies, Judgement):
        return copies
    group = copies.pageable_to_device
    if group.count <= 0:
        return RULE.not_applicable("Nothing is copied to the device from pageable memory.")
    stall = _stall_ns(facts, copies)
    exposed = _exposed_ns(facts, copies)
    released = _released_ns(facts, stall)
    cost = exposed + stall + released
    share = cost / facts.step.mean_ns
    figures = [
        evidence.share("step time lost to pageable copies", facts, cost, thresholds.PAGEABLE_COST, source="copies"),
        evidence.number("pageable copies", group.bytes, "bytes per step", source="copies", rank=critical.rank),
        evidence.time(
            "only a pageable copy ran",
            exposed,
            source="copies",
            rank=critical.rank,
            window=evidence.longest(critical, "input_copy", "other_copy"),
        ),
        evidence.time("host blocked in the call, device idle", stall, source="copies", rank=critical.rank),
        evidence.time("silence before the call, memory going back", released, source="trace", rank=critical.rank),
    ]
    size = format_bytes(group.bytes)
    if share < thresholds.PAGEABLE_COST.value:
        return RULE.passed(
            f"{size} per step come from pageable memory; that costs {format_percent(share)} of the step.",
            evidence=figures,
        )
    return RULE.fired(
        facts,
        f"{size} per step are copied from pageable memory; the step loses {format_ns(cost)} to it.",
        cost_ns=cost,
        confidence=confidence_of(facts, "data"),
        evidence=figures,
        recommendations=[_pin(facts, copies, stall, released), *_compact(facts, copies, cost)],
    )


def _exposed_ns(facts: Facts, copies: CopyFacts) -> float:
    """Time in which only such a copy ran: at most what the partition charges to copies."""
    partition = facts.critical.partition
    charged = partition.detail.get("input_copy") if partition is not None else None
    if charged is None:
        return copies.pageable_to_device.exposed_ns
    return min(copies.pageable_to_device.exposed_ns, charged + part_ns(facts, "memcpy"))


def _stall_ns(facts: Facts, copies: CopyFacts) -> float:
    """Host time inside the copying calls that can have left the device idle: at most the idle that the host causes."""
    blocked = max(0.0, (copies.pageable_stall_ns or 0.0) - copies.pageable_to_device.ns)
    return min(blocked, part_ns(facts, "host", "sync"))


def _released_ns(facts: Facts, stall_ns: float) -> float:
    """The memory of the last batch going back, as far as the host's part of the step holds it beside the stall."""
    return max(0.0, min(released_ns(facts), part_ns(facts, "host", "sync") - stall_ns))


def _pin(facts: Facts, copies: CopyFacts, stall_ns: float, released: float) -> Recommendation:
    group = copies.pageable_to_device
    slow, fast = group.bytes_per_s, copies.pinned_to_device.bytes_per_s
    # The run's own pinned copies tell the rate best, when they are no slower than the pageable ones.
    speedup = fast / slow if slow and fast and fast > slow else thresholds.PINNED_SPEEDUP.value
    exposed = _exposed_ns(facts, copies)
    quicker = exposed * (1 - 1 / speedup)
    most = exposed + stall_ns + released
    likely = _likely_rate(facts, copies)
    expected = (quicker + most) / 2 if likely is None else max(quicker, most - exposed * (slow or 0.0) / likely)
    # The thread that pins reads the same memory as the call does now, and gives it back: no step is shorter than that.
    reading, work = copies.pageable_stall_ns or 0.0, facts.critical.causes.work if facts.critical.causes else None
    # All of the silence, that behind a busy device too: the thread that pins has nothing to hide it behind.
    shortest = reading + (min(work.preparing_silent_ns or 0.0, reading) if released > 0 and work is not None else 0.0)
    loader = facts.critical.environment.loaders[0] if facts.critical.environment.loaders else None
    if loader is not None and loader.pin_memory:
        action = "Pin the tensors that are copied to the device outside the DataLoader"
        how = "tensor.pin_memory().to(device, non_blocking=True)"
        why = "The DataLoader pins its batches (pin_memory=True), yet the copies come from pageable memory."
    else:
        action = "Pin the DataLoader's batches and copy them without blocking"
        now = "DataLoader(...)" if loader is None or loader.pin_memory is None else "DataLoader(pin_memory=False)"
        how = f"{now} -> DataLoader(pin_memory=True); batch.to(device, non_blocking=True)"
        why = "A copy from pinned memory is faster and runs beside the computation."
    return recommend(
        "pin-memory",
        rule=RULE.id,
        facts=facts,
        action=action,
        why=why,
        how=how,
        gain=gain(
            facts,
            # Faster for certain; beside the computation, and without the stall, where the loop lets it.
            expected_ns=min(expected, max(0.0, facts.step.mean_ns - shortest)),
            low_ns=quicker,
            high_ns=min(most, max(0.0, facts.step.mean_ns - reading)),
            at_most_ns=most,
        ),
        watch="the data part",
    )


def _likely_rate(facts: Facts, copies: CopyFacts) -> float | None:
    """What large copies reach once a thread of the loader pins them; None where that is not known.

    Without workers the training process pins, and what the driver does now in the call it does before it.
    """
    loader = facts.critical.environment.loaders[0] if facts.critical.environment.loaders else None
    group, link = copies.pageable_to_device, link_bytes_per_s(facts.critical.hardware)
    large = group.largest_bytes >= thresholds.LARGE_COPY.value
    if loader is None or not loader.num_workers or link is None or not large:
        return None
    return max(link, group.bytes_per_s or 0.0)


def _compact(facts: Facts, copies: CopyFacts, cost_ns: float) -> list[Recommendation]:
    wide = wide_share(copies.pageable_to_device, copies.pageable_float_bytes)
    why = "Staging, copying and giving back memory take as long as there are bytes, and these are fp32."
    low, expected, high = (wide * gone * cost_ns for gone in SHARES)
    saved = gain(facts, expected_ns=expected, low_ns=low, high_ns=high, at_most_ns=cost_ns)
    return [compact_batches(facts, RULE.id, why, saved)] if wide else []
