"""What do the kernels do? Each kernel's class, number format and tensor-core use, and the time of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.kernel_names import CLASSES, COMPUTE_CLASSES, NameTable, classify_table
from llmprof.analyzers.facts.host.updates import update_spans
from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import DEVICE_KINDS, NONE, EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Intervals, lengths_inside, union
from llmprof.timeline.timeline import RankTimeline

__all__ = [
    "COMPUTE_CLASSES",
    "KernelClass",
    "KernelFacts",
    "TopKernel",
    "class_spans",
    "kernel_facts",
    "row_classes",
]

KernelClass = str
"""One of COMPUTE_CLASSES, or `communication`, `memcpy`, `memset`."""

SHORT_NS = 10_000
"""A kernel below this is about as long as its own launch (public guidance on launch-bound work says 5 to 10 µs)."""

TOP = 20

_INDEX = {name: place for place, name in enumerate(CLASSES)}
_GENERIC = np.array([_INDEX[name] for name in ("elementwise", "reduction", "copy", "other")], dtype=np.int8)
"""Classes that an optimizer's own kernels have by name."""
_MODEL = np.array(
    [_INDEX[n] for n in ("attention", "convolution", "normalization", "softmax", "cross_entropy", "embedding")], np.int8
)
"""Classes that no optimizer launches: in an update they prove that a closure ran the model, of which no node of
autograd was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopKernel:
    """One kernel name with its time and count per step."""

    name: str
    kind: KernelClass
    ns_per_step: float
    count_per_step: float
    dtype: str | None = None
    tensor_core: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """Kernels of one rank inside the traced windows; summed kernel time per step in ns (overlap counted twice)."""

    count_per_step: float
    mean_ns: float | None
    short_share: float | None
    """Share of kernels under 10 µs."""
    ns_by_class: Mapping[KernelClass, float] = field(default_factory=dict)
    count_by_class: Mapping[KernelClass, float] = field(default_factory=dict)
    gemm_ns_by_format: Mapping[str, float] = field(default_factory=dict)
    """GEMM time by number format of the inputs: bf16, fp16, tf32, fp32, fp8, unknown."""
    tensor_core_gemm_ns: float = 0.0
    cuda_core_gemm_ns: float = 0.0
    unknown_gemm_ns: float = 0.0
    """GEMM time of which the name does not tell whether tensor cores ran; never counted as "none"."""
    optimizer_kind: str | None = None
    """`fused`, `foreach`, `for-loop`, or None when no optimizer kernel was recognised."""
    optimizer_kernels_per_step: float | None = None
    optimizer_device_ns: float | None = None
    optimizer_host_ns: float | None = None
    """Host time of the updates inside `Optimizer.step` annotations."""
    top: tuple[TopKernel, ...] = ()


def row_classes(events: EventTable) -> npt.NDArray[np.int8]:
    """The class of every row: an index into `kernel_names.CLASSES`, NONE for rows that are not device work; shape (n,).

    The name decides, except that generic kernels launched inside an `Optimizer.step` annotation belong to the
    optimizer.
    """
    classes = np.full(len(events), NONE, dtype=np.int8)
    kernels = events.rows(Kind.KERNEL)
    if kernels.size:
        classes[kernels] = classify_table(events.strings, events.name[kernels]).kind[events.name[kernels]]
    classes[events.rows(Kind.MEMCPY)] = _INDEX["memcpy"]
    classes[events.rows(Kind.MEMSET)] = _INDEX["memset"]
    for lane, spans in _optimizer_spans(events, classes).items():
        rows = kernels[np.isin(classes[kernels], _GENERIC)]
        classes[rows[_launched_in(events, rows, lane, spans)]] = _INDEX["optimizer"]
    return classes


def class_spans(rank: RankTimeline) -> Mapping[str, Intervals]:
    """When the device was busy over the whole recording, as unions on the rank's clock.

    compute         `kernels` and `memset` together
    communication   collectives
    memcpy          copies, those that ran as a kernel included
    kernels         kernels that are not collectives
    memset          memory fills
    """
    names = ("communication", "memcpy", "memset", "kernels")
    if rank.events is None:
        return dict.fromkeys((*names, "compute"), EMPTY)
    rows = rank.events.rows(*DEVICE_KINDS)
    classes = row_classes(rank.events)[rows]
    masks = [classes == _INDEX[name] for name in names[:3]]
    masks.append(~np.logical_or.reduce(masks))
    spans = {name: rank.events.spans(rows[mask]) for name, mask in zip(names, masks, strict=True)}
    return {**spans, "compute": spans["kernels"] | spans["memset"]}


def kernel_facts(rank: RankTimeline, windows: Windows) -> KernelFacts | None:
    """What the kernels that start inside the windows do; None when the recording has no device rows.

    Counts, mean and short share leave collectives out: how long those take depends on the peers.
    """
    events = rank.events
    if events is None or len(windows) == 0 or events.rows(*DEVICE_KINDS).size == 0:
        return None
    steps = len(windows)
    every_class = row_classes(events)
    rows = events.rows(*DEVICE_KINDS)
    rows = rows[step_of(windows.start_ns, windows.end_ns, events.ts[rows]) != NONE]
    classes, dur = every_class[rows], events.dur[rows]
    ns = np.bincount(classes, weights=dur, minlength=len(CLASSES)) / steps
    counts = np.bincount(classes, minlength=len(CLASSES)) / steps
    table = classify_table(events.strings, events.name[rows])
    own = (events.kind[rows] == Kind.KERNEL) & (classes != _INDEX["communication"])
    gemm = rows[classes == _INDEX["gemm"]]
    tensor = {value: _ns(events, gemm[table.tensor_core[events.name[gemm]] == value], steps) for value in (1, 0, NONE)}
    optimizer = rows[classes == _INDEX["optimizer"]]
    host, kind = _optimizer_host_ns(rank, windows, every_class), _optimizer_kind(events, optimizer, table)
    # Of a for-loop optimizer without annotations only a few kernels are recognised, so their number says nothing.
    countable = kind is not None and not (kind == "for-loop" and host is None)
    return KernelFacts(
        count_per_step=float(own.sum()) / steps,
        mean_ns=float(dur[own].mean()) if own.any() else None,
        short_share=float((dur[own] < SHORT_NS).mean()) if own.any() else None,
        ns_by_class={CLASSES[i]: float(ns[i]) for i in np.flatnonzero(counts)},
        count_by_class={CLASSES[i]: float(counts[i]) for i in np.flatnonzero(counts)},
        gemm_ns_by_format=_by_format(events, gemm, table, steps),
        tensor_core_gemm_ns=tensor[1],
        cuda_core_gemm_ns=tensor[0],
        unknown_gemm_ns=tensor[NONE],
        optimizer_kind=kind,
        optimizer_kernels_per_step=optimizer.size / steps if countable else None,
        optimizer_device_ns=_ns(events, optimizer, steps) if countable else None,
        optimizer_host_ns=host,
        top=_top(events, rows[events.kind[rows] == Kind.KERNEL], every_class, table, steps),
    )


def _ns(events: EventTable, rows: npt.NDArray[np.intp], steps: int) -> float:
    return float(events.dur[rows].sum()) / steps


def _by_format(events: EventTable, rows: npt.NDArray[np.intp], table: NameTable, steps: int) -> Mapping[str, float]:
    """GEMM time per step by number format."""
    result: dict[str, float] = {}
    for name in np.unique(events.name[rows]):
        key = table.names[int(name)].dtype or "unknown"
        result[key] = result.get(key, 0.0) + _ns(events, rows[events.name[rows] == name], steps)
    return result


def _top(
    events: EventTable, rows: npt.NDArray[np.intp], classes: npt.NDArray[np.int8], table: NameTable, steps: int
) -> tuple[TopKernel, ...]:
    """The kernels with most time; one name that serves two classes is listed once for each."""
    if rows.size == 0:
        return ()
    keys, where = np.unique(events.name[rows].astype(np.int64) * len(CLASSES) + classes[rows], return_inverse=True)
    ns, counts = np.bincount(where, weights=events.dur[rows]), np.bincount(where)
    return tuple(
        TopKernel(
            name=events.strings[int(keys[i]) // len(CLASSES)],
            kind=CLASSES[int(keys[i]) % len(CLASSES)],
            ns_per_step=float(ns[i]) / steps,
            count_per_step=float(counts[i]) / steps,
            dtype=table.names[int(keys[i]) // len(CLASSES)].dtype,
            tensor_core=table.names[int(keys[i]) // len(CLASSES)].tensor_core,
        )
        for i in np.argsort(-ns, kind="stable")[:TOP]
    )


def _optimizer_kind(events: EventTable, rows: npt.NDArray[np.intp], table: NameTable) -> str | None:
    """How the optimizer runs, by the kind on which its kernels spend most time."""
    ns: dict[str, int] = {}
    for name in np.unique(events.name[rows]):
        kind = table.names[int(name)].optimizer_kind
        if kind is None and "multi_tensor_apply" not in events.strings[int(name)]:
            kind = "for-loop"  # a plain kernel that was launched inside Optimizer.step
        if kind is not None:
            ns[kind] = ns.get(kind, 0) + int(events.dur[rows[events.name[rows] == name]].sum())
    return max(ns, key=lambda kind: ns[kind]) if ns else None


def _optimizer_host_ns(rank: RankTimeline, windows: Windows, classes: npt.NDArray[np.int8]) -> float | None:
    """Host time inside `Optimizer.step` per step; None without such annotations."""
    if rank.events is None:
        return None
    spans = union(_optimizer_spans(rank.events, classes).values())
    return float(lengths_inside(spans, *host_steps(rank, windows)).mean()) if spans else None


def _optimizer_spans(events: EventTable, classes: npt.NDArray[np.int8]) -> Mapping[int, Intervals]:
    """When each host lane updated parameters, without the steps in which a closure ran the model there."""
    result: dict[int, Intervals] = {}
    model = np.flatnonzero(np.isin(classes, _MODEL))
    for lane, spans in update_spans(events).items():
        closure = model[_launched_in(events, model, lane, spans)]
        begun = np.unique(step_of(spans.starts, spans.ends, events.ts[events.launch[closure]]))
        kept = np.delete(np.arange(len(spans)), begun)
        result[lane] = Intervals(spans.starts[kept], spans.ends[kept])
    return result


def _launched_in(events: EventTable, rows: npt.NDArray[np.intp], lane: int, spans: Intervals) -> npt.NDArray[np.bool_]:
    """Whether each device row was launched by this lane during `spans`."""
    launch = events.launch[rows]
    calls = np.maximum(launch, 0)
    inside: npt.NDArray[np.bool_] = (launch != NONE) & (events.lane[calls] == lane) & spans.contains(events.ts[calls])
    return inside
