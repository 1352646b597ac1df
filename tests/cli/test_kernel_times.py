"""Does a run whose fixes change kernels get their times, and a diagnosis made with them, or stay as it is?"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.cli import kernel_times
from llmprof.cli.kernel_times import calls_to_time, gpu_here, with_kernel_times
from llmprof.collectors.timing import starting
from llmprof.timeline import rundir
from llmprof.timeline.environment import Environment
from llmprof.timeline.kernel_times import KernelCall, KernelTimes
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.analyzers.rules.facts_builder import H200
from tests.scenarios.builder import TraceBuilder

SGEMM = "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize128x128x8_stage3_warpsize2x4x1_ffma_aligna4_alignc4_execute"
NVJET = "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_NTN"
NS = 2_800_000
"""About what an H200 takes for 2 x 4096^3 FLOPs on its CUDA cores."""


def recorded(kernel: str = SGEMM, number_format: str = "float") -> RankTimeline:
    """Four steps of five products of 4096 x 4096 each."""
    builder, now, free = TraceBuilder(), 100_000, 0
    for step in range(4):
        begin = now
        for _ in range(5):
            builder.op("aten::mm", now, 15_000, shapes=([[4096, 4096], [4096, 4096]], [number_format] * 2))
            start = max(now + 15_000, free + 1_000)
            builder.kernel(kernel, start, NS, launch_ns=now + 5_000, launch_dur_ns=5_000)
            free, now = start + NS, now + 20_000
        builder.step(step, begin, now)
    return builder.rank(0, environment=Environment(device=H200))


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(ranks=(recorded(),), kind="run", paths=("run",), world_size=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = rundir.claim_rank_dir(tmp_path, 0)
    header = {"host": socket.gethostname(), "environment": {"device": {"name": H200.name}}, "device": {"uuid": "GPU-1"}}
    rundir.write_json_atomic(folder / rundir.RANK, header)
    return tmp_path


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[KernelCall]:
    """A GPU that is idle, and takes 2.7 ms for products in fp32 and 0.27 ms for all others; what it was asked."""
    asked: list[KernelCall] = []

    def time_kernels(run: Path, calls: Sequence[KernelCall], **more: Any) -> KernelTimes:
        asked.extend(calls)
        assert more["uuid"] == "GPU-1"
        return KernelTimes(
            device=more["name"], ns={call: 2.7e6 if call.number_format == "fp32" else 0.27e6 for call in calls}
        )

    monkeypatch.setattr(starting, "why_busy", lambda uuid: None)
    monkeypatch.setattr(starting, "time_kernels", time_kernels)
    return asked


def after(diagnosis: Diagnosis, fix: str) -> float:
    (one,) = [one for one in diagnosis.recommendations if one.id == fix]
    assert one.gain.step_ms_after is not None
    return one.gain.step_ms_after


def test_the_promise_of_a_format_is_what_was_timed(run: Path, timeline: Timeline, gpu: list[KernelCall]) -> None:
    """All 14 ms of a step are fp32 products; a tenth of their time alone is left in either other format."""
    first = diagnose(timeline)
    found, timelines = with_kernel_times(first, run, [timeline])
    assert {call.number_format for call in gpu} == {"fp32", "tf32", "bf16"}
    assert after(found, "tf32") == pytest.approx(1.4, abs=0.1)
    assert after(first, "tf32") > 1.5
    fix = next(one for one in found.recommendations if one.id == "tf32")
    assert "timed on this GPU" in fix.why
    assert fix.gain.high_ms - fix.gain.low_ms < 0.1 * 14  # 10 % of 1.4 ms, and what good replays miss
    assert json.loads((run / rundir.KERNEL_TIMES).read_text())["device"] == H200.name
    assert timelines[0].ranks[0].kernel_times is not None


def test_a_run_of_fast_kernels_is_not_timed(run: Path, timeline: Timeline, gpu: list[KernelCall]) -> None:
    fast = replace(timeline, ranks=(recorded(NVJET, "c10::BFloat16"),))
    diagnosis = diagnose(fast)
    assert calls_to_time(diagnosis, fast.ranks[0]) == ()
    assert with_kernel_times(diagnosis, run, [fast])[0] is diagnosis
    assert not gpu


@pytest.mark.parametrize("reason", ["another process uses the GPU", None])
def test_a_gpu_that_is_not_free_is_left_alone(
    reason: str | None, run: Path, timeline: Timeline, gpu: list[KernelCall], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if reason is None:  # another machine
        monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    monkeypatch.setattr(starting, "why_busy", lambda uuid: reason)
    diagnosis = diagnose(timeline)
    assert with_kernel_times(diagnosis, run, [timeline])[0] is diagnosis
    assert (reason or "not on this machine") in capsys.readouterr().err
    assert not gpu
    assert not (run / rundir.KERNEL_TIMES).exists()


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), OSError("disk full")])
def test_whatever_goes_wrong_the_diagnosis_stands(
    error: BaseException, run: Path, timeline: Timeline, gpu: list[KernelCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(starting, "time_kernels", fail)
    diagnosis = diagnose(timeline)
    assert with_kernel_times(diagnosis, run, [timeline])[0] is diagnosis


def test_the_reason_of_the_other_process_is_told(
    run: Path, timeline: Timeline, gpu: list[KernelCall], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(starting, "time_kernels", lambda *_, **__: "the memory of the GPU is in use")
    diagnosis = diagnose(timeline)
    assert with_kernel_times(diagnosis, run, [timeline])[0] is diagnosis
    assert "the memory of the GPU is in use" in capsys.readouterr().err


def test_the_gpu_is_that_of_the_first_rank_of_this_host(run: Path) -> None:
    other = rundir.claim_rank_dir(run, 1)
    header = {"host": "elsewhere", "environment": {"device": {"name": "B200"}}, "device": {"uuid": "GPU-2"}}
    rundir.write_json_atomic(other / rundir.RANK, header)
    assert gpu_here(run, H200.name or "") == "GPU-1"
    assert gpu_here(run, "B200") is None
    (other / rundir.RANK).write_text("{")
    assert gpu_here(run, H200.name or "") == "GPU-1"
    assert kernel_times.gpu_here(run / "nowhere", "B200") is None
