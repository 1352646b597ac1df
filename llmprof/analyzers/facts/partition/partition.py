"""Where does each nanosecond of a step go? The exclusive partition of the traced windows of one rank.

Where device activities overlap, one of them is charged: compute before exposed collectives before exposed copies
before idle. Idle time is split by its cause (`idle.py`). The classes are disjoint and cover every window, so they sum
to the step by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.analyzers.facts.partition.idle import idle_causes
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Intervals, lengths_inside, union

__all__ = ["CLASS_PRIORITY", "PART_OF", "Partition", "device_partition", "partition_of", "parts_of", "with_skew"]

CLASS_PRIORITY = (
    "gemm",
    "attention",
    "convolution",
    "moe",
    "quantization",
    "elementwise",
    "normalization",
    "softmax",
    "cross_entropy",
    "optimizer",
    "embedding",
    "index",
    "reduction",
    "dropout",
    "copy",
    "other",
)
"""Which class is charged where kernels of several classes overlap: the one that is hardest to hide first."""

PART_OF = {
    "communication": "communication",
    "skew": "skew",
    "input_copy": "data",
    "wait": "data",
    "peer": "memcpy",
    "to_host": "memcpy",
    "other_copy": "memcpy",
    "launch": "host",
    "gap": "host",
    "python": "host",
    "sync": "sync",
    "memory_management": "memory_management",
    "checkpoint": "stalls",
    "evaluation": "stalls",
    "gc": "stalls",
    "compile": "stalls",
    "plan_build": "stalls",
    "dependency": "other",
    "unlinked": "other",
    "untraced": "other",
}
"""The part of the step to which each detailed class belongs; a compute class belongs to `compute`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Nanoseconds per step of each class of `diagnosis.PARTS`, summing to `step_ns`.

    `compute_classes` splits compute, `stall_classes` splits stalls and `detail` splits all the rest (`PART_OF`).
    `spans` says when each of these detailed classes was charged, on the rank's own clock.
    """

    step_ns: float
    parts: Mapping[str, float]
    compute_classes: Mapping[str, float] = field(default_factory=dict)
    stall_classes: Mapping[str, float] = field(default_factory=dict)
    detail: Mapping[str, float] = field(default_factory=dict)
    spans: Mapping[str, Intervals] = field(default_factory=dict)
    cpu_only: bool = False
    """True when there is no device work: operators stand for kernels."""
    spread: Mapping[str, float] = field(default_factory=dict)
    """Standard deviation of each part over the traced steps, ns."""

    def share(self, *parts: str) -> float:
        """The share of the step that these parts take together."""
        return sum(self.parts.get(name, 0.0) for name in parts) / self.step_ns if self.step_ns > 0 else 0.0


def device_partition(events: EventTable, windows: Windows) -> Partition:
    """The partition of one rank with device work, as far as it can tell alone: waiting for peers is communication."""
    whole = Intervals.of(windows.start_ns, windows.end_ns)
    kinds = _spans_by_kind(events)
    spans: dict[str, Intervals] = {}
    free = whole
    for name in CLASS_PRIORITY:
        spans[name] = free & kinds.get(name, EMPTY)
        free = free - spans[name]
    spans["communication"] = free & kinds.get("communication", EMPTY)
    free = free - spans["communication"]
    for name, copies in _copies(events, windows, kinds.get("memcpy", EMPTY)).items():
        spans[name] = free & copies
        free = free - spans[name]
    for name, idle in idle_causes(events, free).items():
        charged = "wait" if name == "data" else name
        spans[charged] = spans.get(charged, EMPTY) | idle
    return partition_of({name: value for name, value in spans.items() if value}, windows)


def partition_of(spans: Mapping[str, Intervals], windows: Windows, *, cpu_only: bool = False) -> Partition:
    """The partition whose detailed classes are charged at `spans`: disjoint, covering the windows."""
    count = len(windows)
    columns = {name: lengths_inside(value, windows.start_ns, windows.end_ns) for name, value in spans.items()}
    means = {name: float(column.sum()) / count for name, column in columns.items()}
    per_part: dict[str, npt.NDArray[np.int64]] = {}
    for name, column in columns.items():
        part = PART_OF.get(name, "compute")
        per_part[part] = per_part.get(part, np.zeros(count, np.int64)) + column
    stalls = {name for name, part in PART_OF.items() if part == "stalls"}
    return Partition(
        step_ns=windows.total_ns / count,
        parts=parts_of(means),
        compute_classes={name: value for name, value in means.items() if name not in PART_OF},
        stall_classes={name: value for name, value in means.items() if name in stalls},
        detail={name: value for name, value in means.items() if name in PART_OF and name not in stalls},
        spans=spans,
        cpu_only=cpu_only,
        spread={name: float(column.std()) for name, column in per_part.items()},
    )


def with_skew(partition: Partition, windows: Windows, *, exposed: Intervals, skew: Intervals) -> Partition:
    """The partition of one rank alone, its exposed collectives split into waiting for a later peer and the rest.

    exposed    when collectives were charged
    skew       when a collective waits for a later peer
    """
    split = {"skew": exposed & skew, "communication": exposed - skew}
    columns = {name: lengths_inside(spans, windows.start_ns, windows.end_ns) for name, spans in split.items()}
    detail = {name: value for name, value in partition.detail.items() if name not in split}
    detail |= {name: float(column.sum()) / len(windows) for name, column in columns.items() if split[name]}
    spans = {name: value for name, value in partition.spans.items() if name not in split}
    return replace(
        partition,
        parts=parts_of({**partition.compute_classes, **partition.stall_classes, **detail}),
        detail=detail,
        spans=spans | {name: value for name, value in split.items() if value} if partition.spans else {},
        spread={name: value for name, value in partition.spread.items() if name not in split}
        | {name: float(columns[name].std()) for name in split if split[name]},
    )


def parts_of(detail: Mapping[str, float]) -> Mapping[str, float]:
    """Sum detailed classes into the parts of the step; every part is present."""
    parts = dict.fromkeys(("compute", *dict.fromkeys(PART_OF.values())), 0.0)
    for name, value in detail.items():
        parts[PART_OF.get(name, "compute")] += value
    return parts


def _spans_by_kind(events: EventTable) -> Mapping[str, Intervals]:
    """When the device ran work of each class; memset counts as other compute."""
    kind = row_classes(events)
    rows = events.rows(Kind.KERNEL, Kind.MEMSET)
    result = {CLASSES[k]: events.spans(rows[kind[rows] == k]) for k in np.unique(kind[rows])}
    result["other"] = union([result.get("other", EMPTY), result.pop("memset", EMPTY)])
    return result


def _copies(events: EventTable, windows: Windows, kernels: Intervals) -> Mapping[str, Intervals]:
    """Copies by what they are for: the batch on its way in, results on their way out, peers, and the rest.

    kernels    when kernels ran that only copy (ROCm's copyBuffer)

    A copy to the device counts as input when it is issued before the first kernel of its step: that is where a loop
    moves its batch. Later ones (offloaded parameters, scalars) do not.
    """
    rows = events.rows(Kind.MEMCPY)
    names = events.strings.names
    to_device = np.fromiter(("HtoD" in n or "HostToDevice" in n for n in names), bool, len(names))[events.name[rows]]
    to_host = np.fromiter(("DtoH" in n or "DeviceToHost" in n for n in names), bool, len(names))[events.name[rows]]
    peer = np.fromiter(("PtoP" in n or "PeerToPeer" in n for n in names), bool, len(names))[events.name[rows]]
    early = to_device & _before_first_kernel(events, rows, windows)
    rest = ~(early | to_host | peer)
    return {
        "input_copy": events.spans(rows[early]),
        "peer": events.spans(rows[peer]),
        "to_host": events.spans(rows[to_host]),
        "other_copy": events.spans(rows[rest]) | kernels,
    }


def _before_first_kernel(events: EventTable, copies: npt.NDArray[np.intp], windows: Windows) -> npt.NDArray[np.bool_]:
    """Whether each copy starts on the device before the first kernel of the window that it starts in."""
    kernels = np.sort(events.ts[events.rows(Kind.KERNEL)])
    window = np.searchsorted(windows.start_ns, events.ts[copies], side="right") - 1
    first = np.searchsorted(kernels, windows.start_ns, side="left")
    reached = np.full(len(windows), np.iinfo(np.int64).max, dtype=np.int64)
    some = first < kernels.size
    reached[some] = kernels[first[some]]
    result: npt.NDArray[np.bool_] = (window >= 0) & (events.ts[copies] < reached[np.maximum(window, 0)])
    return result
