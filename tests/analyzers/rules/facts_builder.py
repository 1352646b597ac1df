"""What does a rule see? Builds facts from a few milliseconds; what is not given is unknown."""

from __future__ import annotations

from collections.abc import Mapping

from llmprof.analyzers.diagnosis import PARTS, Finding, Recommendation
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.device.kernels import KernelFacts, TopKernel
from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.steps.steps import StepFacts, Windows
from llmprof.analyzers.rules.base import Judgement
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.intervals import Intervals
from llmprof.units import NS_PER_MS

H200 = Device(name="NVIDIA H200", memory_bytes=141 * 10**9, sm_count=132, capability=(9, 0))


def ns(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value * NS_PER_MS for name, value in values.items()}


def make_partition(
    step_ms: float,
    *,
    compute_classes: Mapping[str, float] | None = None,
    detail: Mapping[str, float] | None = None,
    spans: Mapping[str, Intervals] | None = None,
    cpu_only: bool = False,
    **parts: float,
) -> Partition:
    """A partition of `step_ms`; a part that is not given is 0, and compute takes what the others leave."""
    given = {name: parts.get(name, 0.0) for name in PARTS}
    given["compute"] = step_ms - sum(parts.values())
    return Partition(
        step_ns=step_ms * NS_PER_MS,
        parts=ns(given),
        compute_classes=ns(compute_classes or {}),
        detail=ns(detail or {}),
        spans=spans or {},
        cpu_only=cpu_only,
    )


def make_rank(
    partition: Partition | None,
    *,
    rank: int = 0,
    step: StepFacts,
    environment: Environment | None = None,
    windows: Windows | None = None,
    traced: Partition | None = None,
    kernels: KernelFacts | None = None,
    copies: CopyFacts | None = None,
    collectives: CollectiveFacts | None = None,
    loader: LoaderFacts | None = None,
    memory: MemoryFacts | None = None,
    host: HostFacts | None = None,
) -> RankFacts:
    return RankFacts(
        rank=rank,
        environment=environment or Environment(device=H200),
        step=step,
        windows=windows,
        traced=traced,
        partition=partition,
        kernels=kernels,
        copies=copies,
        collectives=collectives,
        loader=loader,
        memory=memory,
        host=host,
    )


def make_step(step_ms: float, *, traced_ms: float | None = None, noise_ms: float | None = None) -> StepFacts:
    return StepFacts(
        mean_ns=step_ms * NS_PER_MS,
        basis="unprofiled",
        noise_ns=None if noise_ms is None else noise_ms * NS_PER_MS,
        steps_traced=4,
        traced_mean_ns=None if traced_ms is None else traced_ms * NS_PER_MS,
    )


def make_facts(
    step_ms: float = 100.0,
    *,
    traced_ms: float | None = None,
    noise_ms: float | None = None,
    world_size: int | None = None,
    environment: Environment | None = None,
    windows: Windows | None = None,
    traced: Partition | None = None,
    kernels: KernelFacts | None = None,
    copies: CopyFacts | None = None,
    collectives: CollectiveFacts | None = None,
    loader: LoaderFacts | None = None,
    memory: MemoryFacts | None = None,
    host_facts: HostFacts | None = None,
    no_partition: bool = False,
    compute_classes: Mapping[str, float] | None = None,
    detail: Mapping[str, float] | None = None,
    cpu_only: bool = False,
    **parts: float,
) -> Facts:
    """Facts of one rank; parts of the step in ms as keyword arguments."""
    step = make_step(step_ms, traced_ms=traced_ms, noise_ms=noise_ms)
    partition = make_partition(step_ms, compute_classes=compute_classes, detail=detail, cpu_only=cpu_only, **parts)
    rank = make_rank(
        None if no_partition else partition,
        step=step,
        environment=environment,
        windows=windows,
        traced=traced,
        kernels=kernels,
        copies=copies,
        collectives=collectives,
        loader=loader,
        memory=memory,
        host=host_facts,
    )
    return Facts(ranks={0: rank}, critical=rank, step=step, world_size=world_size)


def make_kernels(
    *,
    count: float = 1000.0,
    mean_us: float = 10.0,
    gemm_ms: Mapping[str, float] | None = None,
    attention_ms: Mapping[str, float] | None = None,
    optimizer: str | None = None,
    optimizer_kernels: float | None = None,
    optimizer_device_ms: float | None = None,
    optimizer_host_ms: float | None = None,
) -> KernelFacts:
    """Kernels; GEMM and attention time by number format."""
    top = tuple(
        TopKernel(name=f"attention_{dtype}", kind="attention", ns_per_step=v * NS_PER_MS, count_per_step=1, dtype=dtype)
        for dtype, v in (attention_ms or {}).items()
    )
    return KernelFacts(
        count_per_step=count,
        mean_ns=mean_us * 1000,
        short_share=0.5,
        gemm_ns_by_format=ns(gemm_ms or {}),
        optimizer_kind=optimizer,
        optimizer_kernels_per_step=optimizer_kernels,
        optimizer_device_ns=None if optimizer_device_ms is None else optimizer_device_ms * NS_PER_MS,
        optimizer_host_ns=None if optimizer_host_ms is None else optimizer_host_ms * NS_PER_MS,
        top=top,
    )


def make_collectives(
    *, count: float, exposed_ms: float, hidden_ms: float = 0.0, median_bytes: float | None = 2**21
) -> CollectiveFacts:
    total = (exposed_ms + hidden_ms) * NS_PER_MS
    return CollectiveFacts(
        count_per_step=count,
        total_ns=total,
        exposed_ns=exposed_ms * NS_PER_MS,
        hidden_ns=hidden_ms * NS_PER_MS,
        skew_ns=0.0,
        summed_ns=total,
        median_bytes=median_bytes,
    )


def fix(judgement: Judgement, fix_id: str) -> Recommendation:
    """The recommendation with this id; the test fails when it is not there."""
    found = {one.id: one for one in judgement.recommendations}
    assert fix_id in found, f"{fix_id} is not among {sorted(found)}"
    return found[fix_id]


def assert_contains(recommendation: Recommendation, truth_ms: float) -> None:
    """The measured gain lies inside the promised interval."""
    gain = recommendation.gain
    assert gain.low_ms <= truth_ms <= gain.high_ms, f"{truth_ms} outside {gain.low_ms:.1f} to {gain.high_ms:.1f}"


def assert_consistent(recommendation: Recommendation, facts: Facts) -> None:
    """Step after and speedup follow from the expected gain, and the interval is in order."""
    gain = recommendation.gain
    mean = facts.step.mean_ns / NS_PER_MS
    assert gain.low_ms <= gain.expected_ms <= gain.high_ms
    assert gain.step_ms_after is not None and abs(gain.step_ms_after - (mean - gain.expected_ms)) < 1e-9
    assert gain.speedup is not None and abs(gain.speedup - mean / gain.step_ms_after) < 1e-9


def status(judgement: Judgement) -> str:
    finding: Finding = judgement.finding
    return finding.status
