"""Diagnoses as a real analysis would give them, for the tests of every report."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from llmprof.analyzers.diagnosis import (
    Capture,
    Combined,
    Diagnosis,
    Evidence,
    Finding,
    Gain,
    RankSummary,
    Recommendation,
    RunnerUp,
    Source,
    StepSummary,
    Verdict,
)

GIB = 1024**3

HOSTILE_NAMES = (
    "<script>window.pwned=1</script>",
    "</script><img src=x onerror=window.pwned=1>",
    '"><svg onload="window.pwned=1">',
    "line\u2028separator\u2029end",
    "/data/\u202egpj.exe",
    "\x1b[31mred\x1b]8;;http://example.invalid\x07link",
    "k" * 10_000,
    "cell | `tick` [link](javascript:window.pwned=1) <b>",
    "lone \ud800 surrogate",
    "=HYPERLINK(1)",
)


def _history(mean: float, count: int = 96, spread: float = 0.012) -> tuple[float, ...]:
    """A steady run with a slow breath and two late steps; no randomness, so reports stay equal."""
    return tuple(
        round(mean * (1 + spread * math.sin(index * 0.9) + (0.05 if index in (31, 77) else 0.0)), 4)
        for index in range(count)
    )


PASSED = (
    Finding(
        rule="pageable-copies",
        status="passed",
        title="Pageable copies",
        summary="Host-to-device copies come from pinned memory.",
        evidence=(Evidence(label="pageable share of copies", value=0.0, unit="share", threshold=0.05),),
    ),
    Finding(
        rule="fp32-matmul",
        status="passed",
        title="Matrix multiplies in fp32",
        summary="Matrix multiplies run in bf16 on tensor cores.",
        evidence=(Evidence(label="fp32 share of matrix multiply", value=0.004, unit="share", threshold=0.1),),
    ),
    Finding(
        rule="unfused-optimizer",
        status="passed",
        title="Unfused optimizer",
        summary="The optimizer step is fused: 3 kernels per step.",
    ),
    Finding(
        rule="memory-headroom",
        status="passed",
        title="Memory headroom",
        summary="Peak memory leaves 122.8 GiB of 139.8 GiB free.",
        evidence=(Evidence(label="peak reserved", value=0.13, unit="share", threshold=0.97),),
    ),
    Finding(
        rule="exposed-collectives",
        status="not_applicable",
        title="Exposed collectives",
        summary="One rank: there are no collectives.",
    ),
    Finding(
        rule="gc-pauses",
        status="no_data",
        title="Garbage collection pauses",
        summary="The trace has no garbage collection marks; record with `llmprof run`.",
    ),
)


def input_starved() -> Diagnosis:
    """One GPU whose loader makes batches in the training process."""
    mean = 85.5213
    return Diagnosis(
        source=Source(
            kind="run", paths=("/home/ada/nanogpt/llmprof-runs/2026-03-02T14-11-08",), ranks=(0,), world_size=1
        ),
        environment={
            "gpu": "NVIDIA H200",
            "gpus_per_node": 8,
            "torch": "2.13.0",
            "cuda": "12.8",
            "parallelism": {"dp": 1, "tp": 1, "pp": 1, "fsdp": None},
            "command": ["python", "train.py", "--config", "gpt-200m.yaml"],
        },
        capture=Capture(
            steps_measured=96,
            steps_excluded=24,
            steps_traced=6,
            basis="unprofiled",
            traced_step_ms=91.3,
            replay_error=0.012,
            overhead_pct=0.3,
            unlinked_kernel_share=0.0,
        ),
        step=StepSummary(
            mean_ms=mean,
            median_ms=85.1,
            p95_ms=89.9,
            tokens_per_s=191578.0,
            mfu=0.241,
            peak_memory_bytes=int(18.06 * GIB),
            memory_capacity_bytes=int(139.8 * GIB),
        ),
        partition={
            "compute": 43.6,
            "communication": 0.0,
            "skew": 0.0,
            "memcpy": 0.62,
            "data": 38.4,
            "host": 1.9,
            "sync": 0.61,
            "memory_management": 0.0,
            "stalls": 0.0,
            "other": mean - 85.13,
        },
        partition_rank=0,
        compute_classes={
            "gemm": 24.1,
            "attention": 6.8,
            "normalization": 2.3,
            "cross_entropy": 3.4,
            "elementwise": 3.6,
            "optimizer": 3.0,
            "embedding": 0.3,
            "other": 0.1,
        },
        stall_classes={"checkpoint": 0.0, "evaluation": 0.0, "gc": 0.0, "compile": 0.0},
        ranks=(RankSummary(rank=0, step_ms=mean),),
        verdict=Verdict(
            bound="data",
            detail="loader",
            share=0.449,
            confidence=0.93,
            sentence="Input-starved: the GPU waits 38.4 ms of every 85.5 ms step (45 %) for the next batch.",
            runner_up=RunnerUp(bound="compute", share=0.51),
        ),
        findings=(
            Finding(
                rule="dataloader-workers",
                status="fired",
                severity="critical",
                title="The DataLoader works in the training process",
                summary="num_workers is 0: every batch is made while the GPU waits.",
                cost_ms=38.4,
                share=0.449,
                confidence=0.93,
                ranks=(0,),
                evidence=(
                    Evidence(label="input wait", value=0.449, unit="share", threshold=0.05, source="steps.jsonl"),
                    Evidence(label="num_workers", value=0, source="DataLoader", rank=0),
                    Evidence(label="time to make one batch", value=39.2, unit="ms", source="data wait"),
                    Evidence(label="usable CPU cores", value=16, source="affinity mask and cgroup quota"),
                ),
            ),
            Finding(
                rule="launch-bound",
                status="fired",
                severity="info",
                title="The host launches late",
                summary="Short waits for kernel launches remain between forward and backward.",
                cost_ms=1.9,
                share=0.022,
                confidence=0.62,
                ranks=(0,),
                evidence=(
                    Evidence(label="host share", value=0.022, unit="share", threshold=0.02),
                    Evidence(label="kernels per step", value=1412, unit="kernels"),
                ),
            ),
            *PASSED,
        ),
        recommendations=(
            Recommendation(
                id="dataloader-workers",
                rule="dataloader-workers",
                action="Raise DataLoader num_workers from 0 to 4",
                why="Batches take 39.2 ms to make and the step needs one every 47 ms; four workers make them in time.",
                how="DataLoader(dataset, batch_size=16, num_workers=4, persistent_workers=True, pin_memory=True)",
                effort="flag",
                risk="Each worker holds a copy of the dataset object in host memory.",
                gain=Gain(
                    expected_ms=37.6, low_ms=34.1, high_ms=38.4, step_ms_after=47.9, speedup=1.785, basis="replay"
                ),
                verify="llmprof try --fix dataloader-workers llmprof-runs/2026-03-02T14-11-08",
            ),
            Recommendation(
                id="torch-compile",
                rule="launch-bound",
                action="Compile the model with torch.compile",
                why="Element-wise kernels and launches between them shrink when they are fused.",
                how="model = torch.compile(model)",
                effort="few_lines",
                risk="The first steps take minutes; shapes that change compile again.",
                gain=Gain(expected_ms=3.9, low_ms=2.2, high_ms=5.6, step_ms_after=81.6, speedup=1.048, basis="bound"),
                verify="Apply it and run `llmprof run -- python train.py --config gpt-200m.yaml` again: the step "
                "should fall from 85.5 ms to 79.9-83.3 ms, and host with it.",
            ),
            Recommendation(
                id="pin-memory",
                rule="dataloader-workers",
                action="Pin the batches and copy them asynchronously",
                why="Input copies run from pageable memory and cannot overlap with compute.",
                how="DataLoader(..., pin_memory=True)\nx = x.to(device, non_blocking=True)",
                effort="few_lines",
                risk="Pinned memory cannot be swapped out.",
                gain=Gain(expected_ms=0.5, low_ms=0.3, high_ms=0.6, step_ms_after=85.0, speedup=1.006, basis="bound"),
                verify="llmprof try --fix pin-memory llmprof-runs/2026-03-02T14-11-08",
            ),
            Recommendation(
                id="larger-batch",
                rule="launch-bound",
                action="Use a larger batch",
                why="122 GiB are free, but the loader could not feed a larger batch: it is late already.",
                how="batch_size=32",
                effort="flag",
                risk="Changes the optimisation.",
                gain=Gain(expected_ms=0.0, low_ms=0.0, high_ms=0.0, basis="replay"),
                verify="llmprof try --fix larger-batch llmprof-runs/2026-03-02T14-11-08",
            ),
        ),
        combined=Combined(
            of=("dataloader-workers", "torch-compile", "pin-memory"), step_ms_after=43.5, low_ms=42.0, high_ms=46.2
        ),
        history_ms=_history(mean),
    )


def host_bound() -> Diagnosis:
    """A small model whose kernels are shorter than their launches, known from a profiler trace only."""
    return Diagnosis(
        source=Source(kind="kineto", paths=("traces/host_small.rank0.json.gz",), ranks=(0,), world_size=1),
        environment={"gpu": "NVIDIA H200", "torch": "2.13.0"},
        capture=Capture(
            steps_measured=4, steps_excluded=2, steps_traced=6, basis="profiled", unlinked_kernel_share=0.002
        ),
        step=StepSummary(mean_ms=54.1),
        partition={
            "compute": 6.1,
            "communication": 0.0,
            "skew": 0.0,
            "memcpy": 0.2,
            "data": 0.4,
            "host": 46.2,
            "sync": 0.9,
            "memory_management": 0.0,
            "stalls": 0.0,
            "other": 0.3,
        },
        partition_rank=0,
        compute_classes={"gemm": 2.6, "attention": 0.9, "elementwise": 1.1, "normalization": 0.6, "optimizer": 0.9},
        verdict=Verdict(
            bound="host",
            detail="launch",
            share=0.871,
            confidence=0.66,
            runner_up=RunnerUp(bound="compute", share=0.11),
            sentence="Host-bound: the GPU idles 46.2 ms of every 54.1 ms step (85 %) because Python "
            "cannot launch kernels fast enough.",
        ),
        findings=(
            Finding(
                rule="launch-bound",
                status="fired",
                severity="critical",
                title="The host launches late",
                summary="2,214 kernels of 2.8 µs on average wait for their launch.",
                cost_ms=46.2,
                share=0.854,
                confidence=0.66,
                ranks=(0,),
                evidence=(
                    Evidence(label="host share", value=0.854, unit="share", threshold=0.15),
                    Evidence(label="kernels per step", value=2214),
                    Evidence(label="mean kernel", value=2800.0, unit="ns"),
                ),
            ),
            *PASSED,
        ),
        recommendations=(
            Recommendation(
                id="cuda-graphs",
                rule="launch-bound",
                action="Capture the step in CUDA graphs with torch.compile",
                why="2,214 launches of about 20 µs each become a handful of graph launches.",
                how='model = torch.compile(model, mode="reduce-overhead")',
                requires=("remove-sync",),
                effort="few_lines",
                risk="Shapes must not change; memory of the graph pool stays reserved.",
                gain=Gain(
                    expected_ms=44.0, low_ms=35.0, high_ms=46.2, step_ms_after=10.1, speedup=5.36, basis="replay"
                ),
                verify="llmprof try --fix cuda-graphs RUN",
            ),
            Recommendation(
                id="fused-optimizer",
                rule="unfused-optimizer",
                action="Use AdamW(fused=True)",
                why="The optimizer launches 1,104 kernels per step; fused it launches 3.",
                how="torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)",
                effort="flag",
                gain=Gain(expected_ms=12.0, low_ms=8.0, high_ms=14.5, step_ms_after=42.1, speedup=1.285, basis="bound"),
                verify="llmprof try --fix fused-optimizer RUN",
            ),
        ),
        combined=Combined(of=("cuda-graphs", "fused-optimizer"), step_ms_after=9.4),
    )


def communication_bound() -> Diagnosis:
    """Two ranks over a slow link; rank 1 is a little late."""
    parts = {
        "compute": 16.9,
        "communication": 27.3,
        "skew": 1.6,
        "memcpy": 0.3,
        "data": 0.2,
        "host": 3.6,
        "sync": 0.8,
        "memory_management": 0.0,
        "stalls": 0.3,
        "other": 0.4,
    }
    other_rank = {
        "compute": 16.8,
        "communication": 25.4,
        "skew": 3.9,
        "memcpy": 0.3,
        "data": 0.2,
        "host": 3.3,
        "sync": 0.8,
        "memory_management": 0.0,
        "stalls": 0.3,
        "other": 0.4,
    }
    return Diagnosis(
        source=Source(kind="run", paths=("llmprof-runs/ddp-2",), ranks=(0, 1), world_size=2),
        environment={
            "gpu": "NVIDIA H200",
            "gpus_per_node": 8,
            "torch": "2.13.0",
            "nccl": "2.27.3",
            "parallelism": {"dp": 2, "tp": 1, "pp": 1, "fsdp": None},
        },
        capture=Capture(
            steps_measured=120,
            steps_excluded=30,
            steps_traced=6,
            basis="unprofiled",
            traced_step_ms=60.3,
            replay_error=0.021,
            overhead_pct=0.4,
            unlinked_kernel_share=0.0,
        ),
        step=StepSummary(
            mean_ms=51.4,
            median_ms=51.2,
            p95_ms=54.0,
            tokens_per_s=637_354.0,
            mfu=0.196,
            peak_memory_bytes=int(21.4 * GIB),
            memory_capacity_bytes=int(139.8 * GIB),
        ),
        partition=parts,
        partition_rank=0,
        compute_classes={
            "gemm": 9.8,
            "attention": 2.4,
            "normalization": 0.9,
            "cross_entropy": 1.1,
            "elementwise": 1.5,
            "optimizer": 1.2,
        },
        stall_classes={"checkpoint": 0.3},
        ranks=(
            RankSummary(rank=0, step_ms=51.4, partition=parts),
            RankSummary(rank=1, step_ms=51.4, partition=other_rank, waits_for=0),
        ),
        verdict=Verdict(
            bound="communication",
            share=0.53,
            confidence=0.88,
            runner_up=RunnerUp(bound="compute", share=0.33),
            sentence="Communication-bound: gradients travel 27.3 ms of every 51.4 ms step (53 %) with "
            "nothing to hide them.",
        ),
        findings=(
            Finding(
                rule="exposed-collectives",
                status="fired",
                severity="critical",
                title="Collectives are exposed",
                summary="One all-reduce of 390 MiB starts after the backward pass has ended.",
                cost_ms=27.3,
                share=0.531,
                confidence=0.88,
                ranks=(0, 1),
                evidence=(
                    Evidence(label="exposed share", value=0.531, unit="share", threshold=0.05),
                    Evidence(label="bus bandwidth", value=24.8, unit="GB/s", threshold=363.0),
                    Evidence(label="bytes per step", value=408_944_640, unit="bytes"),
                ),
            ),
            *PASSED[:4],
        ),
        recommendations=(
            Recommendation(
                id="wrap-ddp",
                rule="exposed-collectives",
                action="Let DistributedDataParallel overlap the all-reduce",
                why="The gradients are reduced by hand after backward; DDP reduces buckets while backward still runs.",
                how="model = DistributedDataParallel(model, device_ids=[local_rank])",
                effort="few_lines",
                risk="Parameters that get no gradient need find_unused_parameters.",
                gain=Gain(expected_ms=9.8, low_ms=7.9, high_ms=11.0, step_ms_after=41.6, speedup=1.236, basis="replay"),
                verify="llmprof try --fix wrap-ddp llmprof-runs/ddp-2",
            ),
            Recommendation(
                id="reduce-in-bf16",
                rule="exposed-collectives",
                action="Reduce gradients in bf16",
                why="Half the bytes take half the time on this link.",
                how="model.register_comm_hook(None, default_hooks.bf16_compress_hook)",
                effort="few_lines",
                risk="Gradients lose precision.",
                gain=Gain(
                    expected_ms=12.6, low_ms=10.4, high_ms=13.6, step_ms_after=38.8, speedup=1.325, basis="replay"
                ),
                verify="llmprof try --fix reduce-in-bf16 llmprof-runs/ddp-2",
            ),
            Recommendation(
                id="enable-p2p",
                rule="exposed-collectives",
                action="Enable peer-to-peer copies between the GPUs",
                why="24.8 GB/s is what a path through host memory gives; NVLink gives 363 GB/s.",
                how="unset NCCL_P2P_DISABLE\nNCCL_DEBUG=INFO torchrun ...   # look for 'via P2P'",
                effort="infrastructure",
                gain=Gain(
                    expected_ms=20.1, low_ms=0.0, high_ms=25.4, step_ms_after=31.3, speedup=1.642, basis="roofline"
                ),
                verify="llmprof try --fix enable-p2p llmprof-runs/ddp-2",
            ),
        ),
        combined=Combined(
            of=("wrap-ddp", "reduce-in-bf16", "enable-p2p"), step_ms_after=24.9, low_ms=22.8, high_ms=30.5
        ),
        history_ms=_history(51.4, 120),
    )


def out_of_memory() -> Diagnosis:
    """A run that died of memory after a few steps."""
    return Diagnosis(
        source=Source(kind="run", paths=("llmprof-runs/oom",), ranks=(0,), world_size=1),
        environment={"gpu": "NVIDIA H200", "gpus_per_node": 8, "torch": "2.13.0"},
        capture=Capture(
            steps_measured=14,
            steps_excluded=3,
            steps_traced=0,
            basis="unprofiled",
            overhead_pct=0.2,
            warnings=("The run ended with an out-of-memory error at step 17, before the burst.",),
        ),
        step=StepSummary(
            mean_ms=486.0,
            median_ms=478.0,
            p95_ms=561.0,
            tokens_per_s=33_700.0,
            mfu=0.37,
            peak_memory_bytes=int(138.9 * GIB),
            memory_capacity_bytes=int(139.8 * GIB),
        ),
        partition={"compute": 452.0, "memory_management": 21.0, "host": 9.0, "other": 4.0},
        partition_rank=0,
        verdict=Verdict(
            bound="memory",
            detail="capacity",
            share=0.043,
            confidence=0.8,
            flags=("memory-capacity",),
            sentence="Out of memory: the step needs more than the 139.8 GiB of the GPU, and 21.0 ms of every "
            "486 ms go to the allocator.",
        ),
        findings=(
            Finding(
                rule="memory-headroom",
                status="fired",
                severity="critical",
                title="No memory headroom",
                summary="99.4 % of the device is reserved; an allocation of 2.3 GiB failed.",
                cost_ms=21.0,
                share=0.043,
                confidence=0.8,
                ranks=(0,),
                evidence=(
                    Evidence(label="peak reserved", value=0.994, unit="share", threshold=0.97),
                    Evidence(label="allocation that failed", value=int(2.3 * GIB), unit="bytes"),
                    Evidence(label="allocator retries", value=11),
                ),
            ),
        ),
        recommendations=(
            Recommendation(
                id="expandable-segments",
                rule="memory-headroom",
                action="Use expandable segments in the allocator",
                why="9.8 GiB are reserved but fragmented.",
                how="PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
                effort="flag",
                gain=Gain(
                    expected_ms=18.0,
                    low_ms=9.0,
                    high_ms=21.0,
                    step_ms_after=468.0,
                    speedup=1.04,
                    memory_bytes=int(9.8 * GIB),
                    basis="bound",
                ),
                verify="llmprof try --fix expandable-segments llmprof-runs/oom",
            ),
            Recommendation(
                id="activation-checkpointing",
                rule="memory-headroom",
                action="Recompute activations of every second block",
                why="Activations take 96 GiB at the peak.",
                how="from torch.utils.checkpoint import checkpoint",
                effort="few_lines",
                risk="The step gets slower.",
                gain=Gain(
                    expected_ms=-61.0,
                    low_ms=-75.0,
                    high_ms=-50.0,
                    step_ms_after=547.0,
                    speedup=0.89,
                    memory_bytes=int(44.0 * GIB),
                    basis="prior",
                ),
                verify="llmprof try --fix activation-checkpointing llmprof-runs/oom",
            ),
        ),
        history_ms=_history(486.0, 14, 0.06),
    )


def no_verdict() -> Diagnosis:
    """A trace that is too poor for a verdict."""
    return Diagnosis(
        source=Source(kind="kineto", paths=("trace.json",), ranks=(0,)),
        capture=Capture(
            steps_measured=1,
            steps_excluded=2,
            steps_traced=3,
            basis="profiled",
            warnings=("The trace has no step marks: call prof.step() once a step.",),
        ),
        step=StepSummary(),
        partition={},
        verdict=Verdict(
            bound=None,
            sentence="Not enough data: 1 of 3 steps is usable.",
            reason="A verdict needs at least 2 complete steps; record with `llmprof run -- python train.py`, "
            "or trace 3 more steps.",
        ),
        findings=tuple(
            dataclasses.replace(item, status="no_data", evidence=(), summary="Needs complete steps.") for item in PASSED
        ),
    )


def nothing_limits() -> Diagnosis:
    """A run that is as fast as it gets."""
    base = input_starved()
    return dataclasses.replace(
        base,
        recommendations=(),
        combined=None,
        verdict=Verdict(
            bound="none", sentence="Nothing limits: no fix above 3 % of the 85.5 ms step was found.", confidence=0.8
        ),
        findings=PASSED,
    )


def hostile() -> Diagnosis:
    """Names from a trace that tries to break out of its report, in every text that a trace or a rule can set."""
    base = input_starved()
    names = " ".join(name for name in HOSTILE_NAMES if len(name) < 1000)
    fixes = tuple(
        dataclasses.replace(
            item, action=f"{item.action} {name}", why=name, how=names, risk=name, verify=name, requires=(name,)
        )
        for item, name in zip(base.recommendations, HOSTILE_NAMES[:3], strict=False)
    )
    findings = tuple(
        Finding(
            rule=f"rule-{index}",
            status="fired",
            title=name,
            summary=name,
            cost_ms=1.0,
            share=0.01,
            confidence=0.5,
            evidence=(Evidence(label=name, value=name, unit=name, source=name),),
        )
        for index, name in enumerate(HOSTILE_NAMES)
    )
    environment: dict[str, Any] = {"gpu": HOSTILE_NAMES[0], "torch": HOSTILE_NAMES[1], HOSTILE_NAMES[2]: HOSTILE_NAMES}
    return dataclasses.replace(
        base,
        environment=environment,
        recommendations=fixes,
        findings=findings,
        source=dataclasses.replace(base.source, paths=HOSTILE_NAMES, kind=HOSTILE_NAMES[0]),
        capture=dataclasses.replace(base.capture, warnings=HOSTILE_NAMES),
        compute_classes={"gemm": 23.6, HOSTILE_NAMES[2]: 10.0, HOSTILE_NAMES[6]: 10.0},
        verdict=dataclasses.replace(base.verdict, sentence=f"Waits for {names}", flags=HOSTILE_NAMES[:3]),
    )


SAMPLES = {
    "input_starved": input_starved,
    "host_bound": host_bound,
    "communication_bound": communication_bound,
    "out_of_memory": out_of_memory,
    "no_verdict": no_verdict,
    "nothing_limits": nothing_limits,
    "hostile": hostile,
}
