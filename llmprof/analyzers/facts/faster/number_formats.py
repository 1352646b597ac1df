"""What does each operator take with the matrix products in bf16 or TF32? At the rates of the device, casts included.

Under autocast a product reads copies of its weights, cast in every forward, and the gradients of weights are cast back.
What autocast keeps in fp32 (norms, softmax, losses) costs as much as before, and casts around it. All times that no
datasheet tells were recorded on H200s, the same model once in each format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from llmprof.analyzers.facts.device.roofline import Roofline, roofline_of
from llmprof.analyzers.facts.faster.channels_last import (
    CONVOLUTION_KERNELS,
    CONVOLUTION_NS,
    CONVOLUTION_TIME,
    in_channels_last,
)
from llmprof.analyzers.facts.faster.faster_attention import (
    CAUSAL,
    CAUSAL_BACKWARD,
    CAUSAL_BACKWARD_NS,
    CAUSAL_NS,
    HOPPER,
)
from llmprof.analyzers.facts.faster.timed_kernels import Timed, timed_of
from llmprof.analyzers.facts.operators.convolutions import (
    BACKWARD_CONVOLUTION,
    FORWARD_CONVOLUTION,
    is_depthwise,
)
from llmprof.analyzers.facts.operators.matmul_shapes import ALIGNED, product_of
from llmprof.analyzers.facts.operators.op_bytes import operands_of
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorKey, OperatorWork
from llmprof.timeline.environment import Device

__all__ = ["CONVERTED", "MEMORY_CLASSES", "WIDENING", "Converted", "converted", "slower_formats", "widened_attention"]

Times = tuple[float, float, float]
"""At worst, as expected, at best."""

FILL_NS = 4_000.0
"""What a product takes beyond its arithmetic and traffic: the device fills and drains (median of 800 products)."""
PRODUCT: Times = (1.35, 1.0, 0.9)
"""Time of products in bf16 against that at achievable rates, without the former (recorded: 1.0, a tenth from 0.9 to
1.35)."""
TF32_BACKWARD = 1.35
"""The same of products of backward in TF32 on Hopper: its tensor cores read transposed operands in 16 bits only (PTX
ISA, wgmma), and of the three products of a layer two have one. Recorded: forward 1.0, backward 1.36."""
UNALIGNED = 0.125
"""The share of the peak of bf16 that products with odd dimensions reach: operands are loaded number by number."""
CONVOLUTION: Times = (1.5, 1.0, 0.75)
"""The same of convolutions, against what they take in channels_last."""
NCHW = 2.0
"""How many times as long convolutions take that convert their images first."""
DEPTHWISE: Times = (1.0, 0.8, 0.5)
"""Convolutions of single channels read less in bf16, but gain nothing from tensor cores (an assumption)."""
CONVERTED = {FORWARD_CONVOLUTION: 2, BACKWARD_CONVOLUTION: 3}
"""Conversions around it where the images lie in NCHW: of input and result; of both images and of a gradient."""
ATTENTION: Times = (1.7, 1.0, 0.85)
"""Fused attention in bf16 against causal one at the rates of Hopper's kernels; at worst it is not causal."""
CAST_BYTES = 6
WIDENING = 0.53
"""The share of the bandwidth that PyTorch reaches with casts to fp32; casts to bf16 reach all of it."""
CAST_NS = 2_000.0
"""The shortest cast."""
MIXED = 1.4
"""Adding a bf16 tensor to one in fp32, against both in fp32: such operands are cast one by one."""
HALVED = {
    "elementwise": (0.9, 0.6, 0.5), "reduction": (1.0, 0.65, 0.5), "dropout": (0.9, 0.6, 0.5),
    "copy": (1.0, 0.85, 0.5),
}  # fmt: skip
"""Time of kernels on tensors of half the length. Plain ones halve, GELU takes 0.7, strided copies 0.86, sums 0.65."""
PLAIN: Times = (0.9, 0.5, 0.45)
GELU: Times = (0.9, 0.7, 0.5)
"""The same of sums and products of numbers, which nothing but their traffic limits (at best the cache holds more), and
of activations that compute an exponential or an error function for each."""
NORM: Times = (1.3, 1.0, 0.8)
NORM_PASSES, NORM_BACKWARD_PASSES = 8.5, 7.5
"""Batch norms in bf16 and channels_last, for which PyTorch takes its own kernels instead of cuDNN's: as long as so many
passes over the image at achievable bandwidth."""
NCHW_PASSES, NCHW_BLOCKS = 16.0, 1.5
"""The same in NCHW. There a channel is one block of threads: fewer channels than 1.5 for each multiprocessor leave
bandwidth unused."""

FIXES = {"bf16": "bf16-autocast", "tf32": "tf32"}
"""The fix that brings products into a format."""
MEMORY_CLASSES = ("elementwise", "normalization", "softmax", "cross_entropy", "reduction", "dropout", "copy")
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
_PLAIN = re.compile(r"^aten::(add|sub|mul|neg|square|tanh_backward|sigmoid_backward|threshold_backward|relu)_?$")
_GELU = re.compile(r"gelu|silu|mish|softplus")
_WEIGHT = {"aten::mm": 1, "aten::addmm": 2, FORWARD_CONVOLUTION: 1, BACKWARD_CONVOLUTION: 2}
"""Which operand is the weight (of backward products only convolutions have it)."""
_NORMS = ("layer_norm", "group_norm", "rms_norm")
_FLOAT = (
    *_NORMS, "softmax", "loss", "cross_entropy", "aten::pow", "aten::rsqrt", "aten::exp", "aten::log", "aten::mean",
    "aten::norm", "aten::linalg", "aten::cumsum", "aten::softplus", "aten::fill_", "aten::zero_", "embedding",
    "_foreach", "_fused_adam",
)  # fmt: skip
"""What autocast runs in fp32 (PyTorch's list of operators), and what has no part in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """One operator as it would be in the other format; per step."""

    work: OperatorWork
    ns: Times
    """The time then, casts included."""
    kernels: float
    """How many of its kernels are left."""
    casts: float = 0.0
    """Launches of casts that come on top."""
    cast_ns: float = 0.0
    """What they take of `ns`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """What the conversion of one operator depends on besides itself."""

    line: Roofline
    fast: str
    channels_last: bool
    wide_residual: bool
    """Whether the residual stream stays in fp32, as the rows of an embedding table and of positions are."""
    hopper: bool
    multiprocessors: int
    weights: Collection[tuple[int, ...]]
    tokens: Collection[int]
    timed: Mapping[OperatorKey, Timed]
    widened: Collection[OperatorKey]
    """Operators of attention that PyTorch computes in fp32 from 16-bit operands: autocast does not reach them."""

    def passes_ns(self, moved: float) -> float:
        return moved / self.line.bytes_per_s * 1e9

    def timed_ns(self, one: OperatorWork, after: Times) -> Times:
        """What was timed alone on this GPU; `after` where it was not."""
        timed = self.timed.get(one.key)
        if timed is None:
            return after
        return one.ns * timed.left_at(1), one.ns * timed.left_at(0), one.ns * timed.left_at(-1)

    def casts_ns(self, elements: float, *, wider: bool, times: float) -> float:
        return times * (self.passes_ns(CAST_BYTES * elements) / (WIDENING if wider else 1.0) + CAST_NS)


def slower_formats(fast: str) -> tuple[str, ...]:
    """The formats whose products another one makes faster."""
    return ("fp32",) if fast == "tf32" else ("fp32", "tf32")


def converted(operators: OperatorFacts, device: Device, fast: str) -> tuple[Converted, ...]:
    """The operators that change and whose shapes tell by how much; none for a device of unknown rates.

    fast    `bf16` by autocast, or `tf32`
    """
    line = roofline_of(device)
    if line is None or line.peaks.achievable(fast) is None:
        return ()
    work = [one for one in operators.work if one.shapes and not one.compiled and one.calls > 0 and one.ns > 0]
    forward = [one for one in work if not one.backward]
    sizes = [operands_of(one.shapes or "").dims[_WEIGHT[one.operator]] for one in forward if one.operator in _WEIGHT]
    products = [found for one in forward if (found := product_of(one)) is not None]
    timed = timed_of(FIXES[fast], operators, channels_last=in_channels_last(operators))
    model = _Model(
        line=line,
        fast=fast,
        channels_last=in_channels_last(operators),
        wide_residual=any(one.operator == "aten::embedding" for one in operators.work) or any(map(_of_table, forward)),
        hopper=device.capability == HOPPER or line.peaks.name.startswith(("H100", "H200")),
        multiprocessors=line.peaks.sm_counts[0],
        weights={size for dims in sizes for size in (dims, dims[::-1])},
        tokens={one.m for one in products},
        timed={work.key: one for one in timed for work in one.work},
        widened={one.key for one in widened_attention(operators)},
    )
    return tuple(then for one in work if (then := _converted(one, model)) is not None)


def widened_attention(operators: OperatorFacts | None) -> tuple[OperatorWork, ...]:
    """What PyTorch computes in fp32 although its operands are in 16 bits already, as they are under autocast."""
    attention = None if operators is None else operators.attention
    return attention.work if attention is not None and attention.widened else ()


def _converted(one: OperatorWork, model: _Model) -> Converted | None:
    if model.fast == "bf16" and one.key in model.widened:
        return Converted(work=one, ns=(one.ns, one.ns, one.ns), kernels=one.kernels)
    if one.operator in CONVOLUTION_KERNELS and one.number_format in slower_formats(model.fast):
        return _convolution(one, model)
    if one.flops and one.number_format in slower_formats(model.fast):
        if "attention" in one.operator:
            # The memory-efficient kernels have no TF32 mode of their own: the setting does not reach them.
            return _attention(one, model) if model.fast == "bf16" else None
        return _product(one, model) if one.operator in _PRODUCTS else None
    wide = operands_of(one.shapes or "").types[:1] == ("float",)
    return _traffic(one, model) if model.fast == "bf16" and wide else None


def _best_ns(one: OperatorWork, model: _Model, rate: float | None = None) -> float:
    """At achievable rates, tensors in the format that they then have; by the peaks where FLOPs are not known."""
    peaks = model.line.peaks.flops
    if not one.flops:
        return one.ns * min(1.0, peaks.get(one.number_format or "", math.inf) / peaks[model.fast])
    flops_per_s = rate or model.line.peaks.achievable(model.fast) or math.inf
    moved = (one.bytes or 0.0) * (0.5 if model.fast == "bf16" else 1.0)
    return max(one.flops / flops_per_s * 1e9, model.passes_ns(moved))


def _spread(spread: Times, ns: float, fixed: float, most: float) -> Times:
    """`spread` times `ns`, and what is fixed; none longer than before."""
    slow, expected, fast = (min(factor * ns + fixed, most) for factor in spread)
    return slow, expected, fast


def _product(one: OperatorWork, model: _Model) -> Converted:
    product, rate, slower = product_of(one), None, 1.0
    needed = ALIGNED[model.fast]
    if product is not None:
        sides = {product.n, product.k, *([product.m] if one.backward else [])}
        if any(size > 1 and size % needed and size not in model.tokens for size in sides):
            rate = UNALIGNED * model.line.peaks.flops["bf16"]
    if model.fast == "tf32" and one.backward and model.hopper and rate is None:
        slower = TF32_BACKWARD
    after = _spread(PRODUCT, slower * _best_ns(one, model, rate), FILL_NS * one.calls, one.ns)
    return _with_weight(one, model, model.timed_ns(one, after), one.kernels)


def _convolution(one: OperatorWork, model: _Model) -> Converted:
    if is_depthwise(one.operator, one.shapes or ""):
        slow, expected, fast = DEPTHWISE if model.fast == "bf16" else (1.0, 1.0, 1.0)
        after = (slow * one.ns, expected * one.ns, fast * one.ns)
        return _with_weight(one, model, model.timed_ns(one, after), one.kernels)
    each = CONVOLUTION_KERNELS[one.operator] + (0 if model.channels_last else CONVERTED[one.operator])
    kernels = one.kernels if one.tensor_core else min(one.kernels, each * one.calls)
    longer = CONVOLUTION_TIME * (1.0 if model.channels_last else NCHW)
    if model.fast == "tf32" and one.backward and model.hopper and model.channels_last:
        longer *= TF32_BACKWARD  # both gradients read a transposed operand; in NCHW the conversions transpose it
    after = _spread(CONVOLUTION, longer * _best_ns(one, model), CONVOLUTION_NS * kernels, one.ns)
    return _with_weight(one, model, model.timed_ns(one, after), kernels)


def _attention(one: OperatorWork, model: _Model) -> Converted:
    left, fixed = (CAUSAL_BACKWARD, CAUSAL_BACKWARD_NS) if one.backward else (CAUSAL, CAUSAL_NS)
    after = _spread(ATTENTION, left * _best_ns(one, model), fixed * one.calls, one.ns)
    return Converted(work=one, ns=model.timed_ns(one, after), kernels=one.kernels)


def _with_weight(one: OperatorWork, model: _Model, after: Times, kernels: float) -> Converted:
    """With the casts of its weight, or of the gradient of one, and of a bias."""
    if model.fast != "bf16":
        return Converted(work=one, ns=after, kernels=kernels)
    size: tuple[int, ...] = ()
    if one.operator in _WEIGHT and (not one.backward or one.operator == BACKWARD_CONVOLUTION):
        size = operands_of(one.shapes or "").dims[_WEIGHT[one.operator]]
    elif one.operator == "aten::mm" and (product := product_of(one)) is not None:
        # Over the tokens only the gradient of a weight adds up.
        of_weight = product.k in model.tokens and (product.m, product.n) in model.weights
        size = (product.m, product.n) if of_weight else ()
    if not size:
        return Converted(work=one, ns=after, kernels=kernels)
    casts = (2 if one.operator == "aten::addmm" else 1) * one.calls
    ns = model.casts_ns(math.prod(size), wider=one.backward, times=one.calls) + CAST_NS * (casts - one.calls)
    slow, expected, fast = after
    then = (slow + ns, expected + ns, fast + ns)
    return Converted(work=one, ns=then, kernels=kernels, casts=casts, cast_ns=ns)


def _traffic(one: OperatorWork, model: _Model) -> Converted | None:
    """A kernel that memory limits: on shorter tensors, or as it is with casts around it."""
    if "batch_norm" in one.operator:
        return _batch_norm(one, model)
    same = partial(Converted, work=one, kernels=one.kernels)
    size = operands_of(one.shapes or "").dims[0]
    if size in model.weights:  # gradients of weights, on their way to the other ranks or the optimizer
        return same(ns=(one.ns, one.ns, one.ns))
    if any(name in one.operator for name in _FLOAT):
        narrow, wide = _casts(one.operator, backward=one.backward, wide_residual=model.wide_residual)
        cast_ns = model.casts_ns(math.prod(size), wider=False, times=narrow * one.calls)
        cast_ns += model.casts_ns(math.prod(size), wider=True, times=wide * one.calls)
        ns = one.ns + cast_ns
        return same(ns=(ns, ns, ns), casts=(narrow + wide) * one.calls, cast_ns=cast_ns)
    if one.kind not in HALVED:
        return None
    if one.operator in ("aten::add", "aten::add_") and model.wide_residual:
        mixed = 1.0 if one.backward or not _alike(one) else MIXED
        return same(ns=(mixed * one.ns, mixed * one.ns, HALVED["elementwise"][1] * one.ns))
    spread = GELU if _GELU.search(one.operator) else HALVED[one.kind]
    slow, expected, fast = PLAIN if _PLAIN.search(one.operator) else spread
    return same(ns=(slow * one.ns, expected * one.ns, fast * one.ns))


def _of_table(one: OperatorWork) -> bool:
    """Whether a table, such as that of the positions, is added to all samples of a batch."""
    first, second = (*operands_of(one.shapes or "").dims, (), ())[:2]
    repeated = len(first) > len(second) > 1 and first[-len(second) :] == second
    repeated |= len(first) == len(second) > 2 and second[0] == 1 and first[1:] == second[1:] and first[0] > 1
    return one.operator == "aten::add" and repeated


def _alike(one: OperatorWork) -> bool:
    """Whether both operands have one shape, as a block's result and the residual stream do."""
    dims = operands_of(one.shapes or "").dims
    return len(dims) > 1 and dims[0] == dims[1]


def _casts(operator: str, *, backward: bool, wide_residual: bool) -> tuple[int, int]:
    """(casts to bf16, casts to fp32) of each call of an operator that stays in fp32 between products in bf16."""
    if any(name in operator for name in _NORMS):
        return (1, 1) if backward or not wide_residual else (1, 0)
    if "_log_softmax" in operator:
        return (1, 0) if backward else (0, 1)
    return (1, 1) if "softmax" in operator else (0, 0)


def _batch_norm(one: OperatorWork, model: _Model) -> Converted | None:
    image = operands_of(one.shapes or "").dims[0]
    if len(image) < 4:
        return None
    passes = NORM_BACKWARD_PASSES if one.backward else NORM_PASSES
    if not model.channels_last:
        passes = NCHW_PASSES * max(1.0, NCHW_BLOCKS * model.multiprocessors / image[1])
    ns = model.passes_ns(2 * math.prod(image) * passes) * one.calls + CAST_NS * one.calls
    slow, expected, fast = (factor * ns for factor in NORM)
    return Converted(work=one, ns=(slow, expected, fast), kernels=one.kernels)
