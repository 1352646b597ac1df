"""How much arithmetic is in a step? FLOPs of matrix products and attention, from recorded input shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.operators.convolutions import (
    BACKWARD_CONVOLUTION,
    FORWARD_CONVOLUTION,
    Results,
    convolution_flops,
    results_of,
)
from llmprof.analyzers.facts.operators.operator_tree import OperatorTree
from llmprof.analyzers.facts.operators.recompute import recompute_spans
from llmprof.analyzers.facts.steps.inside import host_steps, step_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import NONE, EventTable, Kind
from llmprof.timeline.intervals import Int64
from llmprof.timeline.timeline import RankTimeline

__all__ = ["FORMATS", "FlopFacts", "count_flops", "flops_of", "rank_flops"]

Shapes = Sequence[tuple[int, ...]]

FORMATS = {
    "c10::BFloat16": "bf16",
    "c10::Half": "fp16",
    "float": "fp32",
    "double": "fp64",
    "c10::Float8_e4m3fn": "fp8",
    "c10::Float8_e5m2": "fp8",
    "c10::Float8_e4m3fnuz": "fp8",
}
"""Number formats by the profiler's names of types."""

_CONVOLUTIONS = (FORWARD_CONVOLUTION, BACKWARD_CONVOLUTION)
UNCOUNTED = frozenset({"aten::_grouped_mm", "aten::flex_attention"})
"""Operators whose arithmetic input shapes alone do not tell: a step that has them has more FLOPs than are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlopFacts:
    """Floating-point operations of one step of one rank; multiply and add are two."""

    model: float
    """What the model needs: attention in full (causal masks are not discounted, as in PaLM's appendix B), backward
    attention at twice the forward."""
    executed: float
    """What the device did: backward attention computes the scores again (2.5 times the forward), and checkpointed
    blocks are computed twice."""
    by_format: Mapping[str, float] = field(default_factory=dict)
    """`model` by number format of the inputs; `fp32` may run as TF32."""
    steps: int = 0
    """How many steps these are the mean of."""
    uncounted: tuple[str, ...] = ()
    """Operators in these steps whose arithmetic is not known."""


def rank_flops(rank: RankTimeline, windows: Windows | None) -> FlopFacts | None:
    """The FLOPs of a step of one rank: from the steps that were traced for shapes, else from the traced steps."""
    if rank.shaped is not None and len(rank.shaped.marks):
        marks = rank.shaped.marks
        return count_flops(rank.shaped.events, marks.start_ns, marks.end_ns)
    if rank.events is None or windows is None:
        return None
    return count_flops(rank.events, *host_steps(rank, windows))


def count_flops(events: EventTable, start_ns: Int64, end_ns: Int64) -> FlopFacts | None:
    """The FLOPs a step of the operators that began on the host inside [start_ns[i], end_ns[i]); shapes (steps,).

    None without input shapes, without steps, or without a single operator that is counted.
    """
    rows = events.rows(Kind.CPU_OP)
    inside = rows[step_of(start_ns, end_ns, events.ts[rows]) != NONE]
    if not events.shapes or not len(start_ns) or not inside.size:
        return None
    total, executed, formats, uncounted = 0.0, 0.0, dict[str, float](), set[str]()
    outer = {events.strings[name] for name in np.unique(events.name[inside])}
    again = _recomputed(events, inside)
    calls = [(*call, True) for call in _distinct(events, inside[~again])]
    calls += [(*call, False) for call in _distinct(events, inside[again])]
    results = results_of((operator, shapes) for operator, shapes, _, _ in calls)
    calls += [(*call, True) for call in _first_layers(events, inside, start_ns, end_ns)]
    for operator, shapes, times, is_model in calls:
        if _INSIDE_OF.get(operator) in outer:
            continue
        found = flops_of(operator, shapes, results)
        if found is None:
            if operator in UNCOUNTED or operator in _CONVOLUTIONS:
                uncounted.add(operator.removeprefix("aten::"))
            continue
        needed, done, number_format = found
        executed += done * times
        if is_model:
            total += needed * times
            formats[number_format] = formats.get(number_format, 0.0) + needed * times / len(start_ns)
    if total <= 0:
        return None
    steps = len(start_ns)
    return FlopFacts(
        model=total / steps,
        executed=executed / steps,
        by_format=formats,
        steps=steps,
        uncounted=tuple(sorted(uncounted)),
    )


def flops_of(operator: str, text: str, results: Results | None = None) -> tuple[float, float, str] | None:
    """(FLOPs the model needs, FLOPs done, number format) of one call; None for what is not counted.

    text       an operator's shapes as `EventTable.shapes` has them: `[16,64];[64,32]|float;float`
    results    sizes of the results of convolutions, which their own shapes do not tell
    """
    if operator in _CONVOLUTIONS:
        flops = convolution_flops(operator, text, results or {})
        first = text.partition("|")[2].split(";")[0]
        return None if flops is None else (flops, flops, FORMATS.get(first, "unknown"))
    formula = _FORMULAS.get(operator)
    if formula is None:
        return None
    dims, _, types = text.partition("|")
    shapes = [tuple(map(int, re.findall(r"\d+", one))) for one in _split(dims)]
    try:
        needed, done, operand = formula(shapes)
    except (IndexError, ValueError):
        return None
    names = types.split(";")
    return float(needed), float(done), FORMATS.get(names[operand] if operand < len(names) else "", "unknown")


def _first_layers(events: EventTable, rows: Int64, start_ns: Int64, end_ns: Int64) -> list[tuple[str, str, int]]:
    """What backward does not compute: the gradient of the images that a step begins with.

    The last backward call of a step belongs to the first convolution when both have the same input; that convolution
    reads the batch, which needs no gradient. The record is one forward call that is taken off (times -1).
    """
    ends: list[tuple[str, str, int]] = []
    first, last = (events.strings.find(name) for name in _CONVOLUTIONS)
    step = step_of(start_ns, end_ns, events.ts[rows])
    for place in range(start_ns.size):
        forward, backward = (rows[(step == place) & (events.name[rows] == name)] for name in (first, last))
        if not forward.size or not backward.size:
            continue
        head, tail = (events.shapes.get(int(row)) for row in (forward[0], backward[-1]))
        if head is not None and tail is not None and head.split(";")[:2] == tail.split(";")[1:3]:
            ends.append((FORWARD_CONVOLUTION, head, -1))
    return ends


def _recomputed(events: EventTable, rows: Int64) -> npt.NDArray[np.bool_]:
    """Whether each operator does forward work a second time inside backward: done, but not needed by the model."""
    result = np.zeros(rows.size, dtype=bool)
    for lane, spans in recompute_spans(events, OperatorTree.of(events)).items():
        result |= (events.lane[rows] == lane) & spans.contains(events.ts[rows])
    return result


def _distinct(events: EventTable, rows: Int64) -> list[tuple[str, str, int]]:
    """(operator, shapes, how often) of the operators in `rows` that may count."""
    wanted = {place for place, name in enumerate(events.strings.names) if name in _COUNTED}
    counts: dict[tuple[int, str], int] = {}
    chosen = rows[np.isin(events.name[rows], list(wanted))]
    for row in chosen.tolist():  # the matrix products of a few steps: hundreds, not all events
        text = events.shapes.get(row)
        if text is not None:
            key = (int(events.name[row]), text)
            counts[key] = counts.get(key, 0) + 1
    return [(events.strings[name], text, times) for (name, text), times in counts.items()]


def _split(dims: str) -> list[str]:
    """Items of `[16,64];[];[[2],[3]]`."""
    return dims.split(";") if dims else []


def _product(first: int, *, batched: bool = False) -> Callable[[Shapes], tuple[float, float, int]]:
    """[M, K] x [K, N], both with a batch in front when `batched`; `first` is the place of the left one."""

    def count(shapes: Shapes) -> tuple[float, float, int]:
        left, right = shapes[first], shapes[first + 1]
        if len(left) != 2 + batched or len(right) != 2 + batched or left[-1] != right[-2]:
            raise ValueError
        flops = 2.0 * math.prod(left) * right[-1]
        return flops, flops, first

    return count


def _vector(first: int) -> Callable[[Shapes], tuple[float, float, int]]:
    def count(shapes: Shapes) -> tuple[float, float, int]:
        flops = 2.0 * math.prod(shapes[first])
        return flops, flops, first

    return count


def _attention(first: int, *, backward: bool, heads_last: bool = False) -> Callable[[Shapes], tuple[float, float, int]]:
    """Q [B, H, S, D], K [B, H', T, D], V [B, H', T, E] from place `first` on: two products forward, four backward.

    Backward computes the scores again: five products of which four are the model's (FlashAttention, section 3.1).
    `heads_last` is the layout [B, S, H, D].
    """

    def count(shapes: Shapes) -> tuple[float, float, int]:
        query, key, value = shapes[first : first + 3]
        if not len(query) == len(key) == len(value) == 4:
            raise ValueError
        batch, length, heads = query[0], query[1 if heads_last else 2], query[2 if heads_last else 1]
        other = key[1 if heads_last else 2]
        scores, mixed = (2.0 * batch * heads * length * other * width for width in (query[3], value[3]))
        if not backward:
            return scores + mixed, scores + mixed, first
        return 2 * (scores + mixed), 3 * scores + 2 * mixed, first

    return count


_FORMULAS: Mapping[str, Callable[[Shapes], tuple[float, float, int]]] = {
    "aten::mm": _product(0),
    "aten::addmm": _product(1),
    "aten::bmm": _product(0, batched=True),
    "aten::baddbmm": _product(1, batched=True),
    "aten::_scaled_mm": _product(0),
    "aten::mv": _vector(0),
    "aten::addmv": _vector(1),
    "aten::_scaled_dot_product_flash_attention": _attention(0, backward=False),
    "aten::_scaled_dot_product_flash_attention_backward": _attention(1, backward=True),
    "aten::_scaled_dot_product_efficient_attention": _attention(0, backward=False),
    "aten::_scaled_dot_product_efficient_attention_backward": _attention(1, backward=True),
    "aten::_scaled_dot_product_cudnn_attention": _attention(0, backward=False),
    "aten::_scaled_dot_product_cudnn_attention_backward": _attention(1, backward=True),
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention(0, backward=False),
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": _attention(1, backward=True),
    "aten::_flash_attention_forward": _attention(0, backward=False, heads_last=True),
    "aten::_flash_attention_backward": _attention(1, backward=True, heads_last=True),
    "aten::_efficient_attention_forward": _attention(0, backward=False, heads_last=True),
    "aten::_efficient_attention_backward": _attention(1, backward=True, heads_last=True),
    "flash_attn::_flash_attn_forward": _attention(0, backward=False, heads_last=True),
    "flash_attn::_flash_attn_backward": _attention(1, backward=True, heads_last=True),
}
_COUNTED = frozenset(_FORMULAS) | UNCOUNTED | frozenset(_CONVOLUTIONS)
_INSIDE_OF = {
    f"aten::_{kind}_attention_{way}": f"aten::_scaled_dot_product_{kind}_attention{suffix}"
    for kind in ("flash", "efficient")
    for way, suffix in (("forward", ""), ("backward", "_backward"))
}
"""Operators that another one calls, which is counted in their place."""
