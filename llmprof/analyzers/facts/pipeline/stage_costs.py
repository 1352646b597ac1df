"""What does a micro-batch cost a stage of a pipeline on device and host, and what of it stays for a smaller one?"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.device.devices import find_device
from llmprof.analyzers.facts.measured import RankFacts
from llmprof.analyzers.facts.pipeline.stage_work import PassWork
from llmprof.timeline.environment import Environment
from llmprof.units import NS_PER_S

__all__ = ["PassCost", "StageCost", "mean_stage", "scaled", "stage_cost"]

LEAST_HOST = 1 / 3
"""Of the traced host at least this is left without the profiler."""
_LAUNCH_ROWS = 3
_LOW_FORMATS = ("bfloat16", "float16", "bf16", "fp16")
_PASSES = ("forward", "backward")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCost:
    """One pass of one micro-batch as recorded, ns on the device.

    `gap_ns`, `least_ns` and `casts_ns` stay for a smaller one, and `added_ns` for all but the first, whose gradients
    meet no others; the rest of `busy_ns` shrinks with it.
    """

    busy_ns: float
    gap_ns: float
    least_ns: float
    casts_ns: float = 0.0
    added_ns: float = 0.0
    kernels: float = 0.0

    def ns(self, before: int, now: int, least: float) -> float:
        """The mean pass with the data in `now` instead of `before` micro-batches."""
        added = (before - 1) / before * self.added_ns
        fixed = min(self.busy_ns, least * self.least_ns + self.casts_ns + added)
        more = (now - 1) / now * self.added_ns - added
        return fixed + before / now * (self.busy_ns - fixed) + more + self.gap_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """One stage, mean of the ranks that have it."""

    forward: PassCost
    backward: PassCost
    once_ns: float
    message_ns: float
    host_ns: float = 0.0
    """Host time per step as traced, without waiting, and without the optimizer's."""
    host_rows: float = 0.0
    """Rows that the profiler wrote meanwhile, as it pays for them."""
    host_once_ns: float = 0.0
    late_share: float = 0.0
    """Of the passes, in kernels that began after a rest, since the traced host launched them late."""
    slower: float = 1.0
    """How many times as long as recorded the passes are taken to be."""

    @property
    def work_ns(self) -> float:
        """Kernels of one micro-batch as recorded, ns."""
        return (self.forward.busy_ns + self.backward.busy_ns) / self.slower

    def host_untraced_ns(self, row_ns: float) -> float:
        """The host's time without the profiler, if that needs so long for a row; at least a third of it stays."""
        return max(self.host_ns - row_ns * self.host_rows, LEAST_HOST * self.host_ns)


def stage_cost(rank: RankFacts, microbatches: int) -> StageCost:
    """The cost of a rank that has one stage, whose work was measured."""
    work = rank.stage
    assert work is not None
    casts, added = _weight_bytes(rank.environment)
    device = rank.environment.device
    peaks = find_device(device.name, device.sm_count)
    per_byte = NS_PER_S / peaks.achievable_bytes_per_s if peaks is not None else 0.0
    host, rows, once = _host(rank, work.queued_ns)
    return StageCost(
        forward=_pass(work.forward, microbatches, casts * per_byte, 0.0),
        backward=_pass(work.backward, microbatches, casts * per_byte, added * per_byte),
        once_ns=work.once_ns,
        message_ns=work.message_ns,
        host_ns=host,
        host_rows=rows,
        host_once_ns=once,
        late_share=work.late_share,
    )


def _pass(work: PassWork, microbatches: int, casts_ns: float, added_ns: float) -> PassCost:
    return PassCost(
        busy_ns=work.busy_ns / microbatches,
        gap_ns=work.gap_ns / microbatches,
        least_ns=work.least_ns / microbatches,
        casts_ns=casts_ns,
        added_ns=added_ns,
        kernels=work.kernels / microbatches,
    )


def _weight_bytes(environment: Environment) -> tuple[float, float]:
    """Bytes moved for the weights of one micro-batch: casts in each direction, and gradients added to those before.

    Autocast casts fp32 weights to two bytes in the forward pass and their gradients back. Of a sum both parts are read
    and it is written.
    """
    model = environment.models[0] if environment.models else None
    sizes: Mapping[str, int] = model.trainable_bytes if model is not None else environment.parameter_bytes
    formats = [environment.autocast_dtype or "", *environment.precision.autocast]
    lower = any(name in one for one in formats for name in _LOW_FORMATS)
    casts = sum(1.5 * size for dtype, size in sizes.items() if dtype == "float32") if lower else 0.0
    return casts, 3.0 * sum(sizes.values())


def _host(rank: RankFacts, queued_ns: float) -> tuple[float, float, float]:
    """Host time per step as traced, the optimizer's left out; rows that the profiler wrote; the optimizer's time."""
    host = rank.host
    if host is None or host.busy_ns is None or host.recorded_events is None:
        return 0.0, 0.0, 0.0
    busy = max(0.0, host.busy_ns - queued_ns)
    once = min((rank.kernels.optimizer_host_ns or 0.0) if rank.kernels is not None else 0.0, busy)
    return busy - once, host.recorded_events + _LAUNCH_ROWS * (host.launches or 0.0), once


def mean_stage(stages: Sequence[StageCost]) -> StageCost:
    """The mean of ranks that have the same stage."""

    def both(one: str) -> PassCost:
        passes = [getattr(stage, one) for stage in stages]
        names = PassCost.__dataclass_fields__
        return PassCost(**{name: statistics.fmean(getattr(each, name) for each in passes) for name in names})

    rest = [name for name in StageCost.__dataclass_fields__ if name not in _PASSES]
    values = {name: statistics.fmean(getattr(stage, name) for stage in stages) for name in rest}
    return StageCost(forward=both("forward"), backward=both("backward"), **values)


def scaled(one: PassCost, factor: float) -> PassCost:
    """A pass through so many times the layers."""
    return PassCost(**{name: factor * getattr(one, name) for name in PassCost.__dataclass_fields__})
