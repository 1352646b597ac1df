"""What would matrix products with odd dimensions take if these were aligned? At the rate of the aligned ones."""

from __future__ import annotations

from collections.abc import Sequence

from llmprof.analyzers.facts.device.devices import DevicePeaks, find_device
from llmprof.analyzers.facts.operators.matmul_shapes import misaligned, odd_dimensions, product_of
from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving, saving_of
from llmprof.timeline.environment import Device

__all__ = ["LEAST", "aligned_savings", "is_vocabulary", "odd_products", "odd_size"]

LEAST = 0.75
"""The share of the expected saving that comes true at the least: TraceLens closes 75 % of a kernel's gap."""


def odd_products(operators: OperatorFacts) -> list[OperatorWork]:
    """The products whose dimensions are not aligned; without those of attention scores, which a fused kernel mends."""
    return [one for one in misaligned(operators.work) if not _of_scores(one, operators)]


def odd_size(odd: Sequence[OperatorWork]) -> int:
    """The odd dimension on which most time is spent."""
    ns: dict[int, float] = {}
    for one in odd:
        product = product_of(one)
        sizes = odd_dimensions(one) or (() if product is None else (product.n,))
        for size in sizes:
            ns[size] = ns.get(size, 0.0) + one.ns
    return max(ns, key=lambda size: ns[size])


def is_vocabulary(size: int, operators: OperatorFacts) -> bool:
    """Whether an embedding table has so many rows, or the loss so many classes."""
    tables = {
        operands_of(one.shapes).dims[0][0]
        for one in operators.work
        if one.operator == "aten::embedding" and one.shapes and operands_of(one.shapes).dims[0]
    }
    return size in tables or (operators.loss is not None and size == operators.loss.vocabulary)


def aligned_savings(operators: OperatorFacts, device: Device) -> tuple[Saving, ...] | None:
    """What each odd product would save at the efficiency of the aligned ones; None for a device of unknown rates.

    At most it saves the time down to the peak rates of the device.
    """
    peaks = find_device(device.name, device.sm_count)
    if peaks is None:
        return None
    found = []
    for one in odd_products(operators):
        at_best = one.best_ns or one.ns
        usual = _usual_ns(one, operators, peaks) or at_best
        expected = max(0.0, one.ns - max(usual, at_best))
        found.append(
            saving_of(
                one.ns,
                low_ns=LEAST * expected,
                expected_ns=expected,
                high_ns=one.ns - (one.least_ns or at_best),
                work=(one,),
            )
        )
    return tuple(found)


def _of_scores(one: OperatorWork, operators: OperatorFacts) -> bool:
    found, product = operators.attention, product_of(one)
    if found is None or product is None or product.batch <= 1:
        return False
    return found.keys in (product.m, product.n, product.k) and found.queries in (product.m, product.n, product.k)


def _usual_ns(one: OperatorWork, operators: OperatorFacts, peaks: DevicePeaks) -> float | None:
    """The time at the efficiency of the aligned products in the same format, weighted by their arithmetic."""
    peak = peaks.flops.get(one.number_format or "")
    bad = {id(other) for other in misaligned(operators.work)}
    good = [
        other
        for other in operators.work
        if other.kind == "gemm"
        and other.number_format == one.number_format
        and other.flops
        and other.memory_limited is False
        and other.efficiency is not None
        and id(other) not in bad
    ]
    if peak is None or not good or not one.flops:
        return None
    reached = sum(other.flops or 0.0 for other in good) / sum(other.ns for other in good) * 1e9
    return one.flops / min(reached, peak) * 1e9
