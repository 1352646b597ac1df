"""What is there to gain in the kernels? Operators by shape, and the patterns among them, in one record."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from llmprof.analyzers.facts.device.roofline import roofline_of
from llmprof.analyzers.facts.operators.fusion import FusionFacts, fusion_facts
from llmprof.analyzers.facts.operators.group_norms import copies_group_norms
from llmprof.analyzers.facts.operators.loss_layer import LossLayer, loss_layer
from llmprof.analyzers.facts.operators.modules import ModuleTime, module_times
from llmprof.analyzers.facts.operators.op_bytes import result_bytes
from llmprof.analyzers.facts.operators.operator_tree import names_matching
from llmprof.analyzers.facts.operators.operators import KernelCalls, OperatorWork, kernel_calls, operator_work
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention, as_given, written_attention
from llmprof.analyzers.facts.operators.written_norm import WrittenNorm, written_norm
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import EventTable
from llmprof.timeline.kernel_times import KernelTimes
from llmprof.timeline.timeline import RankTimeline

__all__ = ["CONVERSION", "OperatorFacts", "RecomputeFacts", "operator_facts"]

CONVERSION = re.compile(r"nchwToNhwc|nhwcToNchw", re.IGNORECASE)
"""Kernels that convert images between NCHW and NHWC."""

MOST = 150
"""Operators that are kept, the longest first; the rest is counted in the sums all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputeFacts:
    """Forward work that was done a second time inside backward, per step."""

    ns: float
    """Device time."""
    calls: float
    """Operators that put work on the device."""
    result_bytes: float | None
    """What these operators return: at most this is kept when they are not recomputed. None where shapes are missing
    for a tenth of their time."""
    product_ns: float = 0.0
    """Device time of matrix products, convolutions and attention among them."""
    product_bytes: float | None = None
    """What these return, as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFacts:
    """The device work of one rank by operator, per step; ns are summed kernel times."""

    work: tuple[OperatorWork, ...] = ()
    """The longest operators, longest first."""
    ns: float = 0.0
    shaped_share: float = 0.0
    """The share of that time whose input shapes are known."""
    backward_ns: float = 0.0
    """Time of what backward launched, recomputation included."""
    device: str | None = None
    """The device whose rates the best times are for; None when they are not known."""
    memory_limited_ns: float = 0.0
    """Time of operators whose traffic takes longer than their arithmetic."""
    arithmetic_limited_ns: float = 0.0
    fusion: FusionFacts | None = None
    attention: WrittenAttention | None = None
    loss: LossLayer | None = None
    norm: WrittenNorm | None = None
    recompute: RecomputeFacts | None = None
    """None when nothing is recomputed."""
    math_attention_ns: float = 0.0
    """Time of forward kernels of scaled_dot_product_attention where PyTorch chose no fused kernel."""
    modules: tuple[ModuleTime, ...] = ()
    """Modules by their own time; empty where the recording has no stacks."""
    conversion_ns: float = 0.0
    """Time of kernels that convert images between NCHW and NHWC."""
    step_ns: float = 0.0
    """Of the traced steps that this was measured in."""
    timed: KernelTimes | None = None
    """What was timed alone on this GPU after the run."""
    copies_group_norms: bool = True
    """Whether group norms copy images that lie in channels_last."""


def operator_facts(rank: RankTimeline, windows: Windows | None) -> OperatorFacts | None:
    """Operators of one rank; None without traced steps, kernels or operators."""
    if windows is None or rank.events is None:
        return None
    calls = kernel_calls(rank, windows)
    if calls is None:
        return None
    work = operator_work(rank, calls)
    total = sum(one.ns for one in work)
    if total <= 0:
        return None
    line = roofline_of(rank.environment.device)
    math_ns = float(rank.events.dur[calls.rows[calls.math]].sum()) / calls.steps
    attention = _attention(rank, windows, work)
    if attention is not None and math_ns > 0:
        attention = as_given(attention, rank.environment.autocast_dtype)
    return OperatorFacts(
        work=work[:MOST],
        ns=total,
        shaped_share=sum(one.ns for one in work if one.shapes) / total,
        backward_ns=sum(one.ns for one in work if one.backward),
        device=None if line is None else line.peaks.name,
        memory_limited_ns=sum(one.ns for one in work if one.memory_limited is True),
        arithmetic_limited_ns=sum(one.ns for one in work if one.memory_limited is False),
        fusion=fusion_facts(rank.events, calls, None if line is None else line.bytes_per_s),
        attention=attention,
        loss=loss_layer(work),
        norm=written_norm(work),
        recompute=_recompute(work),
        math_attention_ns=math_ns,
        modules=module_times(rank, windows, calls),
        conversion_ns=_named_ns(rank.events, calls, CONVERSION.search),
        step_ns=windows.total_ns / len(windows),
        timed=rank.kernel_times,
        copies_group_norms=copies_group_norms(rank.environment.torch_version),
    )


def _attention(rank: RankTimeline, windows: Windows, work: tuple[OperatorWork, ...]) -> WrittenAttention | None:
    """With the clones of scores, which are no kernels; they are looked up only where there are scores."""
    if written_attention(work) is None:
        return None
    copies = kernel_calls(rank, windows, copies=True)
    return written_attention(work, () if copies is None else operator_work(rank, copies))


def _named_ns(events: EventTable, calls: KernelCalls, test: Callable[[str], object]) -> float:
    """Time per step of the kernels whose name passes a test."""
    chosen = calls.rows[names_matching(events, test)[events.name[calls.rows]]]
    return float(events.dur[chosen].sum()) / calls.steps


def _recompute(work: tuple[OperatorWork, ...]) -> RecomputeFacts | None:
    again = [one for one in work if one.recomputed]
    ns = sum(one.ns for one in again)
    if ns <= 0:
        return None
    products = [one for one in again if one.kind in ("gemm", "attention", "convolution")]
    return RecomputeFacts(
        ns=ns,
        calls=sum(one.calls for one in again),
        result_bytes=_result_bytes(again),
        product_ns=sum(one.ns for one in products),
        product_bytes=_result_bytes(products),
    )


def _result_bytes(work: list[OperatorWork]) -> float | None:
    sizes = [(one, result_bytes(one.operator, one.shapes) if one.shapes else None) for one in work]
    known = sum(one.ns for one, size in sizes if size is not None)
    kept = math.fsum(one.calls * size for one, size in sizes if size is not None)
    return kept if work and known >= 0.9 * sum(one.ns for one in work) else None
