from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.kernels import KernelFacts, class_spans, kernel_facts
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

SGEMM = "volta_sgemm_128x64_nn"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>"
NCCL = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def facts_of(rank: RankTimeline) -> KernelFacts:
    windows = windows_of(rank)
    assert windows is not None
    facts = kernel_facts(rank, windows)
    assert facts is not None
    return facts


def test_a_step_is_the_mean_over_the_windows() -> None:
    b = TraceBuilder()
    for n in range(2):
        b.step(n, n * 1_000_000, (n + 1) * 1_000_000)
        b.kernel(SGEMM, n * 1_000_000 + 100_000, 300_000, launch_ns=n * 1_000_000 + 10_000)
    b.kernel(ADD, 1_500_000, 4_000, launch_ns=1_050_000)
    facts = facts_of(b.rank())
    assert facts.ns_by_class == {"gemm": 300_000, "elementwise": 2_000}
    assert (facts.count_per_step, facts.short_share) == (1.5, pytest.approx(1 / 3))
    assert (facts.cuda_core_gemm_ns, facts.tensor_core_gemm_ns) == (300_000, 0)


def test_kernels_launched_by_the_step_before_the_recording_are_not_counted() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel(SGEMM, 1_000, 400_000, launch_ns=None)
    b.kernel(ADD, 500_000, 5_000, launch_ns=20_000)
    assert facts_of(b.rank()).ns_by_class == {"elementwise": 5_000}


def test_collectives_do_not_change_the_mean_kernel() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel(ADD, 100_000, 5_000, launch_ns=20_000)
    b.kernel(NCCL, 200_000, 700_000, launch_ns=30_000)
    facts = facts_of(b.rank())
    assert (facts.count_per_step, facts.mean_ns) == (1, 5_000)
    assert facts.ns_by_class["communication"] == 700_000


def test_plain_kernels_launched_inside_the_optimizer_are_a_for_loop_optimizer() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.kernel(ADD, 100_000, 5_000, launch_ns=20_000)
    b.annotation("Optimizer.step#AdamW.step", 500_000, 200_000)
    for n in range(3):
        b.kernel(ADD, 520_000 + n * 10_000, 5_000, launch_ns=510_000 + n * 10_000)
    facts = facts_of(b.rank())
    assert (facts.optimizer_kind, facts.optimizer_kernels_per_step) == ("for-loop", 3)
    assert (facts.optimizer_device_ns, facts.optimizer_host_ns) == (15_000, 200_000)
    assert facts.count_by_class == {"elementwise": 1, "optimizer": 3}


def test_a_closure_that_runs_the_model_inside_the_optimizer_is_not_the_optimizer() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.annotation("Optimizer.step#LBFGS.step", 100_000, 800_000)
    b.kernel("vectorized_layer_norm_kernel", 200_000, 5_000, launch_ns=110_000)
    b.kernel(ADD, 300_000, 5_000, launch_ns=120_000)
    facts = facts_of(b.rank())
    assert (facts.optimizer_kind, facts.optimizer_host_ns) == (None, None)
    assert facts.count_by_class == {"normalization": 1, "elementwise": 1}


def test_without_device_rows_there_are_no_kernel_facts() -> None:
    b = TraceBuilder()
    b.step(0, 0, 1_000_000)
    b.op("aten::mm", 10, 100)
    rank = b.rank()
    assert kernel_facts(rank, windows_of(rank)) is None


def test_fp32_matmuls_on_an_h200_run_on_cuda_cores(recorded) -> None:
    facts = facts_of(recorded("h200/compute_fp32.rank0"))
    gemm = facts.ns_by_class["gemm"]
    assert facts.gemm_ns_by_format["fp32"] > 0.9 * gemm
    assert facts.cuda_core_gemm_ns > 0.9 * gemm
    assert facts.tensor_core_gemm_ns == 0


def test_tf32_matmuls_on_an_h200_run_on_tensor_cores(recorded) -> None:
    facts = facts_of(recorded("h200/compute_tf32.rank0"))
    assert facts.gemm_ns_by_format["tf32"] > 0.9 * facts.ns_by_class["gemm"]
    assert facts.tensor_core_gemm_ns > 0.9 * facts.ns_by_class["gemm"]


def test_for_loop_optimizer_is_told_from_a_fused_one(recorded) -> None:
    loop, fused = facts_of(recorded("h200/host_optimizer.rank0")), facts_of(recorded("h200/host_small.rank0"))
    assert (loop.optimizer_kind, fused.optimizer_kind) == ("for-loop", "fused")
    assert loop.optimizer_kernels_per_step > 100 * fused.optimizer_kernels_per_step
    assert loop.optimizer_host_ns > 10 * fused.optimizer_host_ns


def test_the_optimizer_kind_is_known_without_annotations(recorded) -> None:
    facts = facts_of(recorded("h200/light_host_small.cuda.rank0"))
    assert (facts.optimizer_kind, facts.optimizer_host_ns) == ("fused", None)


TRUTH_MS = {
    # compute kernels, communication, communication outside compute kernels, copies with memory fills
    "hta_nccl_data": (115.656, 46.876, 39.559, 2.653),
    "hta_negative_queue": (210.998, 187.870, 185.317, 47.624),
    "hta_trace_diff_test": (548.148, 251.341, 73.298, 156.797),
    "tracelens_mi300_resnet_act_checkpoint": (25.739, 71.517, 55.625, 2.974),
    "tracelens_h100_qwen": (45.433, 0, 0, 0.215),
    # Its symmetric-memory all-reduces are collectives, whatever other tools say.
    "tracelens_b200_vllm": (8.652, 2.1415, 2.1415, 0.803),
}


@pytest.mark.parametrize(("name", "truth"), TRUTH_MS.items())
def test_unions_agree_with_the_known_figures(recorded, name: str, truth: tuple[float, ...]) -> None:
    spans = class_spans(recorded(f"kineto_public/{name}"))
    kernels, communication = spans["kernels"], spans["communication"]
    exposed, copies = communication - kernels, (spans["memcpy"] | spans["memset"])
    found = [part.length / 1e6 for part in (kernels, communication, exposed, copies)]
    assert found == pytest.approx(truth, rel=1e-3, abs=1e-3)
