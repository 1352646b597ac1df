"""What does one stage of a pipeline compute in a step, and what of it comes with every micro-batch, however small?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.communication.collective_calls import describe
from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.facts.host.host import BLOCKED_NS, LAUNCH, named
from llmprof.analyzers.facts.pace.between import idle_share
from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64, lengths_inside
from llmprof.timeline.timeline import RankTimeline

__all__ = ["PassWork", "StageWork", "stage_work"]

TENSOR_LEAST_NS = 9_000
"""Of a matrix product, half the time of one output tile: the last wave of tiles is half empty on average (NVIDIA,
Matrix Multiplication Background User's Guide), and a tile of 128 x 256 and depth 2048 takes 18 us on one of the 132
multiprocessors of an H100 at its dense bf16 peak (134 MFLOP, 989 TFLOP/s)."""
KERNEL_LEAST_NS = 2_000
"""Of any other kernel: about what an empty one takes from its start to its end."""
QUEUED_NS = 20_000
"""A launch takes some us of the host; one that takes longer than this waits for a place in the launch queue."""
IN_TIME_NS = 10_000
"""A kernel launched so long before the one before it ends waits for nothing but that (a launch takes 5 to 10 us)."""
BUSY_SHARE = 0.1
"""Of the time in which a batch is fetched: a device that is idle for less had work queued."""
USUAL_GAP_NS = 1_000
"""Between kernels that stand in a queue, where none of the recording does."""
_ENGINE = "autograd::engine::evaluate_function"
_FORWARD, _BACKWARD, _ONCE = range(3)
_TENSOR = [CLASSES.index(name) for name in ("gemm", "attention", "convolution")]
_SINGLE = [CLASSES.index(name) for name in ("optimizer", "memcpy", "communication")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassWork:
    """All forward or all backward passes of a step together, on the device."""

    busy_ns: float
    gap_ns: float
    """Between kernels that were launched in time; waiting for other stages and for the host left out."""
    least_ns: float
    """Of `busy_ns` what would stay if each kernel had next to nothing to do."""
    kernels: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWork:
    """The traced step of one rank of a pipeline; its parts, and waiting for other stages or the host, make it up."""

    forward: PassWork
    backward: PassWork
    once_ns: float
    """Device time of what is done once per step: optimizer, input copies, gradients scaled, reductions between
    replicas, and the way to a step's first kernel."""
    message_ns: float
    """The shortest exchange between stages: one that no stage waited for."""
    queued_ns: float
    """Host time per step in launches that wait for a place in the queue, those that HostFacts leaves out not counted
    again."""
    late_share: float = 0.0
    """Of the passes' busy time, in kernels that the traced host launched late: the device had rested before."""
    host_early: bool = False
    """Whether the device still had work when the host of an unprofiled step came to fetch the next batch."""


def stage_work(rank: RankTimeline, windows: Windows | None) -> StageWork | None:
    """The work of a rank that has stages of a pipeline; None when it has none, or its steps hold no exchange."""
    events = rank.events
    if events is None or windows is None or len(windows) == 0 or rank.environment.pipeline is None:
        return None
    classes = row_classes(events)
    device = events.rows(*DEVICE_KINDS)
    device = device[step_of(windows.start_ns, windows.end_ns, events.ts[device]) != NONE]
    moved = _between_stages(events, device[classes[device] == CLASSES.index("communication")])
    own = np.setdiff1d(device, moved)
    if moved.size == 0 or own.size == 0:
        return None
    tensor_parallel = (rank.environment.parallelism.tp or 1) > 1
    start, end = host_steps(rank, windows)
    phase, step, told = _phases(events, own, classes, start, end, tensor_parallel=tensor_parallel)
    waits = events.spans(moved)
    before = np.concatenate([events.ts[own[:1]], np.maximum.accumulate(events.end[own])[:-1]])
    begin = np.maximum(events.ts[own], before)
    busy = np.maximum(events.end[own] - begin, 0)
    gap = begin - before - lengths_inside(waits, before, begin)
    in_time = _in_time(events, own, before)
    gap = np.minimum(gap, _gap_of_device(events, own, in_time, gap))
    first = np.concatenate([[False], step[1:] != step[:-1]]) & (gap > 0)
    least = np.minimum(busy, np.where(np.isin(classes[own], _TENSOR), TENSOR_LEAST_NS, KERNEL_LEAST_NS))
    parts = [_pass(phase == one, busy, np.where(first, 0, gap), least, len(windows)) for one in range(3)]
    forward, backward = parts[:2] if told else _divided(parts[_FORWARD])
    passes = phase != _ONCE
    late = passes & ~in_time & (events.launch[own] != NONE)
    idle = idle_share(rank.times)
    return StageWork(
        forward=forward,
        backward=backward,
        once_ns=parts[_ONCE].busy_ns + parts[_ONCE].gap_ns + float(gap[first].sum()) / len(windows),
        message_ns=float(events.dur[moved].min()),
        queued_ns=_queued_ns(events, start, end),
        late_share=float(busy[late].sum()) / max(1.0, float(busy[passes].sum())),
        host_early=idle is not None and idle < BUSY_SHARE,
    )


def _in_time(events: EventTable, rows: npt.NDArray[np.intp], before: Int64) -> npt.NDArray[np.bool_]:
    launch = events.launch[rows]
    found: npt.NDArray[np.bool_] = (launch != NONE) & (events.ts[np.maximum(launch, 0)] + IN_TIME_NS <= before)
    return found


def _gap_of_device(events: EventTable, rows: npt.NDArray[np.intp], in_time: npt.NDArray[np.bool_], gap: Int64) -> Int64:
    """The gap before each kernel that is the device's own: of those launched late, what the others have."""
    launch = events.launch[rows]
    usual = int(np.median(gap[in_time])) if in_time.any() else USUAL_GAP_NS
    result: Int64 = np.where(in_time | (launch == NONE), gap, usual)
    return result


def _between_stages(events: EventTable, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    kinds, index = describe(events, rows)
    return rows[np.array([kind.op == "send_recv" for kind in kinds], bool)[index]] if rows.size else rows


def _phases(
    events: EventTable,
    rows: npt.NDArray[np.intp],
    classes: npt.NDArray[np.int8],
    start: Int64,
    end: Int64,
    *,
    tensor_parallel: bool,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.intp], bool]:
    """Which pass each row belongs to, which step launched it, and whether backward passes can be told at all.

    The thread of the autograd engine launches backward passes. What another one launches after the step's last of them
    is done once: gradients are scaled, outputs merged, the optimizer runs.
    """
    launch = events.launch[rows]
    call = np.maximum(launch, 0)
    engine = _engine_lanes(events)
    backward = engine[events.lane[call]] & (launch != NONE)
    step = step_of(start, end, events.ts[call])
    last = np.full(start.size + 1, np.iinfo(np.int64).max, np.int64)
    if backward.any():
        last[:-1] = np.iinfo(np.int64).min
        np.maximum.at(last, step[backward], events.ts[call[backward]])
    single = _SINGLE[:-1] if tensor_parallel else _SINGLE
    after = (launch != NONE) & ~backward & (step != NONE) & (events.ts[call] > last[step])
    once = np.isin(classes[rows], single) | after
    phase = np.where(once, _ONCE, np.where(backward, _BACKWARD, _FORWARD)).astype(np.int8)
    return phase, step, bool(backward.any())


def _engine_lanes(events: EventTable) -> npt.NDArray[np.bool_]:
    """Which lanes run the autograd engine, one place a lane."""
    operators = events.rows(Kind.CPU_OP)
    names = events.strings.names
    engine = np.fromiter((name.startswith(_ENGINE) for name in names), bool, len(names))
    found = np.zeros(int(events.lane.max()) + 1, bool)
    found[events.lane[operators[engine[events.name[operators]]]]] = True
    return found


def _pass(chosen: npt.NDArray[np.bool_], busy: Int64, gap: Int64, least: Int64, steps: int) -> PassWork:
    return PassWork(
        busy_ns=float(busy[chosen].sum()) / steps,
        gap_ns=float(gap[chosen].sum()) / steps,
        least_ns=float(least[chosen].sum()) / steps,
        kernels=int(chosen.sum()) / steps,
    )


def _divided(both: PassWork) -> tuple[PassWork, PassWork]:
    """Forward and backward where the recording does not tell them apart: a third and two (PaLM, appendix B)."""

    def part(share: float) -> PassWork:
        return PassWork(
            busy_ns=share * both.busy_ns,
            gap_ns=share * both.gap_ns,
            least_ns=share * both.least_ns,
            kernels=share * both.kernels,
        )

    return part(1 / 3), part(2 / 3)


def _queued_ns(events: EventTable, start: Int64, end: Int64) -> float:
    calls = events.rows(Kind.RUNTIME)
    calls = calls[step_of(start, end, events.ts[calls]) != NONE]
    calls = calls[named(events, calls, LAUNCH)]
    took = events.dur[calls]
    late = (took >= QUEUED_NS) & (took < BLOCKED_NS)
    if not late.any():
        return 0.0
    return float((took[late] - np.quantile(took, 0.25)).sum()) / max(1, start.size)
