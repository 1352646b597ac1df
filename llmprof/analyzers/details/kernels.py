"""Where does the device's time go, how far from its peak, and what was compiled? Figures of three sections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from llmprof.analyzers.facts.device.kernels import TopKernel
from llmprof.analyzers.facts.device.roofline import roofline_of
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.timeline.timeline import RankTimeline
from llmprof.units import NS_PER_MS

__all__ = ["compilation", "kernels", "precision"]

MOST_ROWS = 20
LONGEST_NAME = 400


def kernels(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Kernel time by class, the longest kernels and the longest operators with their shapes."""
    rank = facts.critical
    if rank.kernels is None:
        return {}
    found = rank.kernels
    order = sorted(found.ns_by_class, key=lambda name: -found.ns_by_class[name])
    return {
        "count": found.count_per_step,
        "summed_ms": sum(found.ns_by_class.values()) / NS_PER_MS,
        "classes": {
            name: {"ms": found.ns_by_class[name] / NS_PER_MS, "count": found.count_by_class.get(name)} for name in order
        },
        "top": [_kernel(one) for one in found.top[:MOST_ROWS]],
        "operators": [] if rank.operators is None else [_operator(one) for one in rank.operators.work[:MOST_ROWS]],
        "modules": []
        if rank.operators is None
        else [
            {"path": one.path, "forward_ms": one.forward_ns / NS_PER_MS, "backward_ms": one.backward_ns / NS_PER_MS}
            for one in rank.operators.modules[:MOST_ROWS]
        ],
    }


def _kernel(one: TopKernel) -> Mapping[str, Any]:
    return {
        "name": one.name[:LONGEST_NAME],
        "class": one.kind,
        "ms": one.ns_per_step / NS_PER_MS,
        "count": one.count_per_step,
        "format": one.dtype,
        "tensor_core": one.tensor_core,
    }


def _operator(one: OperatorWork) -> Mapping[str, Any]:
    return {
        "name": one.operator or one.kernel[:LONGEST_NAME],
        "class": one.kind,
        "shapes": None if one.shapes is None else one.shapes[:LONGEST_NAME],
        "format": one.number_format,
        "ms": one.ns / NS_PER_MS,
        "calls": one.calls,
        "backward": one.backward,
        "flops": one.flops,
        "bytes": one.bytes,
        "efficiency": one.efficiency,
        "memory_limited": one.memory_limited,
    }


def precision(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """Matrix products by number format, the peaks of the device and how much of them is used."""
    rank = facts.critical
    if rank.kernels is None:
        return {}
    line, used = roofline_of(rank.environment.device), rank.utilization
    found: dict[str, Any] = {
        "gemm_ms_by_format": {name: ns / NS_PER_MS for name, ns in rank.kernels.gemm_ns_by_format.items()},
        "tensor_core_gemm_ms": rank.kernels.tensor_core_gemm_ns / NS_PER_MS,
        "cuda_core_gemm_ms": rank.kernels.cuda_core_gemm_ns / NS_PER_MS,
        "unknown_gemm_ms": rank.kernels.unknown_gemm_ns / NS_PER_MS,
        "mfu": None if used is None else used.mfu,
        "hfu": None if used is None else used.hfu,
        "basis": None if used is None else used.basis,
        "formats": _rates(rank.operators.work if rank.operators is not None else ()),
    }
    if line is not None:
        found["device"] = {
            "name": line.peaks.name,
            "flops": dict(line.peaks.flops),
            "bytes_per_s": line.peaks.memory_bytes_per_s,
        }
    return found


def _rates(work: tuple[OperatorWork, ...]) -> list[Mapping[str, Any]]:
    """Arithmetic by kernel class and number format: time and FLOPs per step of operators whose FLOPs are known."""
    sums: dict[tuple[str, str], list[float]] = {}
    for one in work:
        if one.flops and one.number_format:
            entry = sums.setdefault((one.kind, one.number_format), [0.0, 0.0])
            entry[0] += one.ns
            entry[1] += one.flops
    return [
        {"class": kind, "format": form, "ms": ns / NS_PER_MS, "flops": flops}
        for (kind, form), (ns, flops) in sorted(sums.items(), key=lambda item: -item[1][0])
    ]


def compilation(facts: Facts, recorded: RankTimeline | None) -> Mapping[str, Any]:
    """What torch.compile was asked for and did, and what compiling cost in the counted steps."""
    rank = facts.critical
    known = rank.environment
    found: dict[str, Any] = {}
    if known.compiled is not None:
        found["compiled"] = known.compiled
    if known.compilation is not None:
        found |= {name: value for name, value in asdict(known.compilation).items() if value is not None}
    stall = None if rank.partition is None else rank.partition.stall_classes.get("compile")
    if stall is not None:
        found["compile_ms"] = stall / NS_PER_MS
    if rank.host is not None and rank.host.graph_launches is not None:
        found["graph_launches"] = rank.host.graph_launches
    if recorded is not None and recorded.times is not None and "compile" in recorded.times.parts:
        spent = recorded.times.parts["compile"]
        slow = spent > 0
        found["steps"] = [
            {"number": int(number), "ms": float(ns) / NS_PER_MS}
            for number, ns in zip(recorded.times.number[slow][:200], spent[slow][:200], strict=True)
        ]
    return found
