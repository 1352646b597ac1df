"""What can a fix save at most? Gains as honest bounds on the step that is explained.

A replay of the step answers this better; these bounds hold without one. A fix never saves more than the class of the
partition that it removes, work on the device saves nothing while the device waits for the host or for data, and work
on the host saves nothing but the waiting that it causes.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Basis, Gain
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.rules.thresholds import HOST_LATE_SHARE
from llmprof.units import NS_PER_MS, format_percent

__all__ = ["cost", "data_late_weight", "device_gain", "gain", "host_late_share", "input_wait_ns", "no_gain", "part_ns"]

_HOST_LATE = "the host is late anyway"
_INPUT_LATE = "the input is late anyway"
_WAITING = ("data", "host", "sync", "memory_management", "stalls")


def part_ns(facts: Facts, *names: str) -> float:
    """Ns per step of these parts of the critical rank together; 0 when there is no partition."""
    partition = facts.critical.partition
    return 0.0 if partition is None else sum(partition.parts.get(name, 0.0) for name in names)


def input_wait_ns(rank: RankFacts) -> float:
    """Idle ns per step while the launching thread is inside the loader; exposed input copies are not part of it.

    Starts of epochs are not either, where workers make the batches: they do not set the pace of the other steps.
    """
    partition, loader = rank.partition, rank.loader
    if partition is None:
        return 0.0
    if "wait" in partition.detail:
        worked = loader is not None and loader.in_process is False
        starts = loader.epochs.counted_ns if worked and loader is not None and loader.epochs is not None else 0.0
        return max(0.0, partition.detail["wait"] - starts)
    return max(0.0, partition.parts.get("data", 0.0) - partition.detail.get("input_copy", 0.0))


def gain(
    facts: Facts,
    *,
    expected_ns: float,
    low_ns: float,
    high_ns: float,
    at_most_ns: float,
    basis: Basis = "bound",
    memory_bytes: int | None = None,
) -> Gain:
    """A gain of a fix that removes waiting or work of `at_most_ns` per step; the three values are capped by it."""
    top = max(0.0, min(at_most_ns, facts.step.mean_ns))
    high = min(max(high_ns, 0.0), top)
    expected = min(max(expected_ns, 0.0), high)
    low = min(max(low_ns, 0.0), expected)
    return _gain(facts, expected, low, high, basis, memory_bytes)


def no_gain(facts: Facts, *, memory_bytes: int | None = None) -> Gain:
    """A fix that neither saves nor costs time."""
    return _gain(facts, 0.0, 0.0, 0.0, "bound", memory_bytes)


def cost(facts: Facts, *, expected_ns: float, least_ns: float, most_ns: float, memory_bytes: int | None) -> Gain:
    """A fix that costs time: from `least_ns` to `most_ns` more per step."""
    return _gain(facts, -expected_ns, -most_ns, -least_ns, "bound", memory_bytes)


def device_gain(
    facts: Facts, *, expected_ns: float, low_ns: float, high_ns: float, at_most_ns: float, basis: Basis = "roofline"
) -> tuple[Gain, str]:
    """The gain of less work on the device, and a sentence when waiting takes it away (else an empty string).

    Shorter kernels shorten the step only where the device is what the step waits for. The share of the step in which
    the device waits for the host or for data tells how far it is from that: expected and low fall to 0 at 20 %.
    """
    late = host_late_share(facts)
    weight = max(0.0, 1.0 - late / HOST_LATE_SHARE.value)
    result = gain(
        facts,
        expected_ns=expected_ns * weight,
        low_ns=low_ns * weight,
        high_ns=high_ns * (1.0 - late),
        at_most_ns=at_most_ns,
        basis=basis,
    )
    if weight > 0.0:
        return result, ""
    cause = _INPUT_LATE if part_ns(facts, "data") > part_ns(facts, "host", "sync") else _HOST_LATE
    return result, f"No gain is expected yet: {cause} (the device waits for {format_percent(late)} of the step)."


def data_late_weight(facts: Facts) -> tuple[float, str]:
    """How much of a gain outside the input stays while workers deliver too few batches, 0 to 1, and the reason.

    Workers set the pace of the step then, so whatever else gets shorter is waited for at the loader instead. Batches
    made in the training process stand in line with the rest of the step and take nothing away.
    """
    loader = facts.critical.loader
    share = input_wait_ns(facts.critical) / facts.step.mean_ns if facts.step.mean_ns > 0 else 0.0
    if loader is not None and loader.in_process:
        return 1.0, ""
    weight = max(0.0, 1.0 - share / HOST_LATE_SHARE.value)
    if weight > 0.0:
        return weight, ""
    return (
        weight,
        f"No gain is expected yet: {_INPUT_LATE} (the device waits for it {format_percent(share)} of the step).",
    )


def host_late_share(facts: Facts) -> float:
    """The share of the step in which the device waits for the host or for data."""
    return part_ns(facts, *_WAITING) / facts.step.mean_ns if facts.step.mean_ns > 0 else 0.0


def _gain(facts: Facts, expected: float, low: float, high: float, basis: Basis, memory_bytes: int | None) -> Gain:
    after = facts.step.mean_ns - expected
    return Gain(
        expected_ms=expected / NS_PER_MS,
        low_ms=low / NS_PER_MS,
        high_ms=high / NS_PER_MS,
        step_ms_after=after / NS_PER_MS,
        speedup=facts.step.mean_ns / after if after > 0 else None,
        memory_bytes=memory_bytes,
        basis=basis,
    )
