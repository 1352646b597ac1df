"""What do rules about kernels see? Operators from their shapes and a time, with the roofline of an H200."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmprof.analyzers.facts.device.roofline import roofline_of
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.operators.flops import flops_of
from llmprof.analyzers.facts.operators.loss_layer import loss_layer
from llmprof.analyzers.facts.operators.op_bytes import bytes_of
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.written_attention import written_attention
from llmprof.analyzers.facts.operators.written_norm import written_norm
from llmprof.timeline.environment import Device
from llmprof.units import NS_PER_MS
from tests.analyzers.rules.facts_builder import H200, make_facts

TYPES: Mapping[str, str] = {"bf16": "c10::BFloat16", "fp16": "c10::Half", "tf32": "float", "fp32": "float"}
NVJET = "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_NTN"


def work(
    operator: str,
    dims: str,
    ms: float,
    *,
    kind: str,
    number_format: str = "bf16",
    calls: float = 1.0,
    kernel: str = "",
    device: Device = H200,
    types: str | None = None,
    **fields: Any,
) -> OperatorWork:
    """An operator with FLOPs, bytes and best times from its shapes; `types` as the profiler writes them."""
    given = types or ";".join(TYPES[number_format] for _ in dims.split(";"))
    text = f"{dims}|{given}"
    counted = flops_of(operator, text)
    flops = None if counted is None else counted[1] * calls
    one = bytes_of(operator, text)
    moved = None if one is None else one * calls
    line = roofline_of(device)
    return OperatorWork(
        operator=operator,
        kind=kind,
        ns=ms * NS_PER_MS,
        calls=calls,
        kernels=calls,
        shapes=text,
        number_format=number_format,
        flops=flops,
        bytes=moved,
        best_ns=None if line is None else line.best_ns(flops, moved, number_format),
        least_ns=None if line is None else line.least_ns(flops, moved, number_format),
        memory_limited=None if line is None else line.memory_limited(flops, moved, number_format),
        kernel=kernel,
        **fields,
    )


def product(m: int, k: int, n: int, ms: float, *, kernel: str = NVJET, **fields: Any) -> OperatorWork:
    """A matrix product [m, k] x [k, n]."""
    return work("aten::mm", f"[{m},{k}];[{k},{n}]", ms, kind="gemm", kernel=kernel, tensor_core=True, **fields)


def copied(elements: int, ms: float, *, types: str = "c10::BFloat16;c10::BFloat16", **fields: Any) -> OperatorWork:
    """A copy on the device; the first type is the target's."""
    return work("aten::copy_", f"[{elements}];[{elements}]", ms, kind="copy", types=types, **fields)


def make_operators(*operators: OperatorWork, **fields: Any) -> OperatorFacts:
    """Operator facts with the patterns that are among these operators."""
    given = {
        "ns": sum(one.ns for one in operators),
        "shaped_share": 1.0,
        "device": "H200 SXM",
        "memory_limited_ns": sum(one.ns for one in operators if one.memory_limited is True),
        "arithmetic_limited_ns": sum(one.ns for one in operators if one.memory_limited is False),
        "attention": written_attention(operators),
        "loss": loss_layer(operators),
        "norm": written_norm(operators),
    }
    return OperatorFacts(work=tuple(sorted(operators, key=lambda one: -one.ns)), **{**given, **fields})


def with_operators(
    *operators: OperatorWork, step_ms: float = 100.0, given: OperatorFacts | None = None, **kw: Any
) -> Facts:
    """Facts of a step of 100 ms (compute takes what other parts leave) in which these operators ran."""
    facts = make_facts(step_ms, **kw)
    return put(facts, operators=given or make_operators(*operators))


def put(facts: Facts, **fields: Any) -> Facts:
    """The same facts with other fields of the only rank."""
    rank = replace(facts.critical, **fields)
    return replace(facts, ranks={0: rank}, critical=rank)
