"""Do matrix products run in a slow number format?

Detects:
    Matrix products (convolutions and attention too) in fp32 on CUDA cores, or in TF32, on a GPU whose tensor cores run
    bf16.

Why it costs time:
    Tensor cores multiply bf16 many times faster than CUDA cores multiply fp32 (fifteen times on an H100) and twice as
    fast as TF32, and bf16 tensors take half the traffic.

How it is measured:
    Time of matrix products by the number format in the kernels' names. The gain scales that time by the ratio of the
    device's peak rates, as an interval that allows for kernels that stay further from their peak than others.

Does not apply when:
    The step has no matrix products, or the device has neither bf16 nor TF32.

Fix:
    `torch.autocast("cuda", dtype=torch.bfloat16)` around forward and loss. Where numerics forbid bf16:
    `torch.set_float32_matmul_precision("high")`, which lets fp32 products use TF32, and for convolutions
    `torch.backends.cudnn.allow_tf32 = True`, which is the default.

Verify:
    Record again: the names of the matrix kernels should contain bf16 (or nvjet), and the gemm class should shrink.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Evidence, Recommendation
from llmprof.analyzers.facts.device.devices import find_device
from llmprof.analyzers.facts.device.kernels import KernelFacts
from llmprof.analyzers.facts.faster.number_formats import widened_attention
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.operators.operator_facts import CONVERSION, OperatorFacts
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import device_gain
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="fp32-matmul",
    category="compute",
    title="Matrix products run in a fast number format",
    failed_title="Matrix products run in fp32 or TF32",
    fixes=("bf16-autocast", "tf32"),
    thresholds=(
        thresholds.FP32_GEMM,
        thresholds.TF32_GEMM,
        thresholds.FORMAT_FASTER,
        thresholds.FORMAT_EXPECTED,
        thresholds.FORMAT_SLOWER,
        thresholds.ATTENTION_EXPECTED,
        thresholds.HALVED_TRAFFIC,
        thresholds.HOST_LATE_SHARE,
    ),
)

_TRAFFIC_CLASSES = ("elementwise", "normalization", "softmax", "cross_entropy", "reduction", "dropout", "copy")
"""Compute classes that are limited by memory traffic and may see shorter tensors under autocast."""
_MATRIX = ("gemm", "convolution")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Device time that another number format would shorten; ns per step."""

    fp32_ns: float
    tf32_ns: float
    fp32_convolution_ns: float
    """Of the former what convolutions take, which have a setting of their own."""
    unknown_ns: float
    widened_ns: Mapping[str, float]
    """By format: of the former what PyTorch computes from 16-bit operands, in attention that it writes out itself."""
    attention_ns: float
    """Attention on fp32 inputs."""
    traffic_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saving:
    """Device time saved per step, ns."""

    low_ns: float
    expected_ns: float
    high_ns: float

    def __add__(self, other: _Saving) -> _Saving:
        return _Saving(
            low_ns=self.low_ns + other.low_ns,
            expected_ns=self.expected_ns + other.expected_ns,
            high_ns=self.high_ns + other.high_ns,
        )


def evaluate(facts: Facts) -> Judgement:
    """Judge the number formats of the matrix products of the critical rank."""
    critical = facts.critical
    partition, kernels = critical.partition, critical.kernels
    if partition is not None and partition.cpu_only:
        return RULE.not_applicable("Training runs on the CPU: there are no tensor cores.")
    if partition is None or kernels is None:
        return RULE.no_data("The recording holds no kernels of traced steps; record a burst with device activities.")
    work = _work(partition, kernels, critical.operators)
    if work.fp32_ns + work.tf32_ns + work.unknown_ns <= 0:
        return RULE.not_applicable("The step has no matrix products in fp32 or TF32.")
    if not _has_fast_formats(facts):
        return RULE.not_applicable("This device has neither bf16 nor TF32 tensor cores.")
    step = facts.step.mean_ns
    figures = [
        evidence.share("matrix products in fp32", facts, work.fp32_ns, thresholds.FP32_GEMM, source="kernel names"),
        evidence.share("matrix products in TF32", facts, work.tf32_ns, thresholds.TF32_GEMM, source="kernel names"),
        evidence.time("attention on fp32 inputs", work.attention_ns, source="kernel names", rank=critical.rank),
        *_settings(critical),
    ]
    if not _counts(work.fp32_ns, work.tf32_ns, facts):
        if work.unknown_ns > max(thresholds.TF32_GEMM.value * step, work.fp32_ns + work.tf32_ns):
            return RULE.no_data("The names of most matrix kernels do not tell their number format.")
        share = format_percent((work.fp32_ns + work.tf32_ns) / step)
        return RULE.passed(f"Products in fp32 or TF32 take {share} of the step.", evidence=figures)
    fixes = _fixes(facts, work)
    if not fixes:
        return RULE.passed("Products outside bf16 are those of attention that PyTorch writes out.", evidence=figures)
    return RULE.fired(
        facts,
        f"{_mix(work)} of the step are matrix products outside bf16.",
        cost_ns=fixes[0].gain.expected_ms * NS_PER_MS,
        confidence=confidence_of(facts, "compute", strength=_known(work)),
        evidence=[*figures, *_top(kernels)],
        recommendations=fixes,
    )


def _counts(fp32_ns: float, tf32_ns: float, facts: Facts) -> bool:
    step = facts.step.mean_ns
    return fp32_ns >= thresholds.FP32_GEMM.value * step or tf32_ns >= thresholds.TF32_GEMM.value * step


def _settings(critical: RankFacts) -> list[Evidence]:
    """What the process was told, as far as that is known."""
    environment = critical.environment
    autocast = environment.autocast_dtype or ("off" if environment.precision.autocast_watched else None)
    tf32 = {True: "allowed", False: "not allowed", None: None}[environment.allow_tf32]
    told = [("autocast in the steps", autocast), ("TF32 in fp32 products", tf32)]
    found = [(label, value) for label, value in told if value is not None]
    return [evidence.number(label, value, "", source="settings", rank=critical.rank) for label, value in found]


def _work(partition: Partition, kernels: KernelFacts, operators: OperatorFacts | None) -> _Work:
    """Scale the summed kernel times to the exclusive classes of the partition, in which overlap is counted once."""
    formats = kernels.gemm_ns_by_format
    total = sum(formats.values())
    exclusive = partition.compute_classes.get("gemm", min(total, partition.parts.get("compute", 0.0)))
    scale = exclusive / total if total > 0 else 0.0
    convolution = _by_format(partition, kernels, "convolution")
    attention = _by_format(partition, kernels, "attention")
    fp32_convolution = convolution.get("fp32", 0.0)
    widened = [one for one in widened_attention(operators) if one.flops]
    return _Work(
        fp32_ns=formats.get("fp32", 0.0) * scale + fp32_convolution,
        tf32_ns=formats.get("tf32", 0.0) * scale + convolution.get("tf32", 0.0),
        widened_ns={name: sum(one.ns for one in widened if one.number_format == name) for name in ("fp32", "tf32")},
        fp32_convolution_ns=fp32_convolution,
        unknown_ns=formats.get("unknown", 0.0) * scale,
        attention_ns=attention.get("fp32", 0.0) + attention.get("tf32", 0.0),
        traffic_ns=sum(partition.compute_classes.get(name, 0.0) for name in _TRAFFIC_CLASSES),
    )


def _by_format(partition: Partition, kernels: KernelFacts, kind: str) -> dict[str, float]:
    """The time of a class by the number format of its longest kernels; conversions of layouts multiply nothing."""
    some = [top for top in kernels.top if top.kind == kind]
    seen = sum(top.ns_per_step for top in some)
    found: dict[str, float] = {}
    for top in (top for top in some if not CONVERSION.search(top.name)):
        share = top.ns_per_step / seen if seen > 0 else 0.0
        found[top.dtype or ""] = found.get(top.dtype or "", 0.0) + share * partition.compute_classes.get(kind, 0.0)
    return found


def _known(work: _Work) -> float:
    """The share of the matrix time whose number format the names tell."""
    known = work.fp32_ns + work.tf32_ns
    return known / (known + work.unknown_ns) if known > 0 else 0.0


def _has_fast_formats(facts: Facts) -> bool:
    device = facts.critical.environment.device
    peaks = find_device(device.name, device.sm_count)
    if peaks is not None:
        return "bf16" in peaks.flops
    return device.capability is None or device.capability >= (8, 0)


def _ratio(facts: Facts, slow: str, fast: str) -> float:
    """Time in the fast format over time in the slow one, from the device's peaks."""
    device = facts.critical.environment.device
    peaks = find_device(device.name, device.sm_count)
    if peaks is not None and slow in peaks.flops and fast in peaks.flops:
        return min(1.0, peaks.flops[slow] / peaks.flops[fast])
    return thresholds.TF32_TO_BF16.value if slow == "tf32" else thresholds.FP32_TO_TENSOR_CORES.value


def _scaled(ns: float, ratio: float, faster: float, expected: float, slower: float) -> _Saving:
    """What is saved when `ns` shrink to ratio * factor of themselves."""
    return _Saving(
        low_ns=ns * max(0.0, 1 - ratio * slower),
        expected_ns=ns * max(0.0, 1 - ratio * expected),
        high_ns=ns * max(0.0, 1 - ratio * faster),
    )


def _matrix(ns: float, ratio: float) -> _Saving:
    limits = thresholds
    return _scaled(ns, ratio, limits.FORMAT_FASTER.value, limits.FORMAT_EXPECTED.value, limits.FORMAT_SLOWER.value)


def _fixes(facts: Facts, work: _Work) -> list[Recommendation]:
    fp32 = _ratio(facts, "fp32", "bf16")
    attention = _scaled(
        work.attention_ns, fp32, 1.0, thresholds.ATTENTION_EXPECTED.value, thresholds.ATTENTION_SLOWER.value
    )
    traffic = _Saving(low_ns=0.0, expected_ns=0.0, high_ns=work.traffic_ns * thresholds.HALVED_TRAFFIC.value)
    wide, medium = (
        max(0.0, ns - work.widened_ns[name]) for name, ns in (("fp32", work.fp32_ns), ("tf32", work.tf32_ns))
    )
    bf16 = _matrix(wide, fp32) + _matrix(medium, _ratio(facts, "tf32", "bf16")) + attention + traffic
    result = [_bf16(facts, work, bf16)] if _counts(wide, medium, facts) else []
    environment = facts.critical.environment
    convolution = 0.0 if environment.precision.cudnn_tf32 else work.fp32_convolution_ns
    products = 0.0 if environment.allow_tf32 else work.fp32_ns - work.fp32_convolution_ns
    if products + convolution >= thresholds.FP32_GEMM.value * facts.step.mean_ns:
        saving = _matrix(products + convolution, _ratio(facts, "fp32", "tf32"))
        result.append(_tf32(facts, saving, products=products, convolution=convolution))
    return result


def _bf16(facts: Facts, work: _Work, saving: _Saving) -> Recommendation:
    total = work.fp32_ns + work.tf32_ns + work.attention_ns + work.traffic_ns
    estimate, late = device_gain(
        facts, expected_ns=saving.expected_ns, low_ns=saving.low_ns, high_ns=saving.high_ns, at_most_ns=total
    )
    why = "Tensor cores run bf16 at the device's full rate, and attention gets its flash kernels."
    settings = facts.critical.environment
    if settings.autocast_dtype in ("bf16", "bfloat16", "torch.bfloat16"):
        why = "Autocast is on, but these products run outside it."
    return recommend(
        "bf16-autocast",
        rule=RULE.id,
        facts=facts,
        action="Run forward and loss under bf16 autocast",
        why=f"{why} {late}".rstrip(),
        how='with torch.autocast("cuda", dtype=torch.bfloat16): loss = model(batch)',
        gain=estimate,
        watch="the gemm class",
    )


def _tf32(facts: Facts, saving: _Saving, *, products: float, convolution: float) -> Recommendation:
    estimate, late = device_gain(
        facts,
        expected_ns=saving.expected_ns,
        low_ns=saving.low_ns,
        high_ns=saving.high_ns,
        at_most_ns=saving.high_ns,
    )
    now = facts.critical.environment.matmul_precision
    before = f'torch.set_float32_matmul_precision("{now}") -> ' if now else ""
    settings = [f'{before}torch.set_float32_matmul_precision("high")'] if products > 0 or convolution <= 0 else []
    settings += ["torch.backends.cudnn.allow_tf32 = True"] if convolution > 0 else []
    how = "; ".join(settings)
    if facts.critical.environment.variables.get("NVIDIA_TF32_OVERRIDE") == "0":
        how = f"unset NVIDIA_TF32_OVERRIDE (0 forbids TF32 whatever the script says), and {how}"
    return recommend(
        "tf32",
        rule=RULE.id,
        facts=facts,
        action="Let fp32 matrix products use TF32",
        why=f"The products then run on tensor cores; tensors stay fp32. {late}".rstrip(),
        how=how,
        gain=estimate,
        watch="the gemm class",
    )


def _mix(work: _Work) -> str:
    parts = [("fp32", work.fp32_ns), ("TF32", work.tf32_ns)]
    return " and ".join(f"{format_ns(ns)} ({name})" for name, ns in parts if ns > 0)


def _top(kernels: KernelFacts) -> list[Evidence]:
    found = next((top for top in kernels.top if top.kind in _MATRIX and top.dtype in ("fp32", "tf32")), None)
    if found is None:
        return []
    return [evidence.number("longest such kernel", found.name, "", source="trace")]
