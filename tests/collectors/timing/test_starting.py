"""Are calls timed in another process, on a CPU here, and does whatever happens there become an answer or a reason?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files.run_kernel_times import read_kernel_times
from llmprof.collectors.launch import _fill_bootstrap
from llmprof.collectors.timing import starting
from llmprof.collectors.timing.clock import time_ns
from llmprof.collectors.timing.process import answers
from llmprof.collectors.timing.starting import python_of, time_kernels, why_busy, write_kernel_times
from llmprof.timeline import rundir
from llmprof.timeline.kernel_times import KernelCall, KernelTimes, to_json

SMALL = KernelCall(kind="product", dims=((64, 64), (64, 64)), number_format="fp32", way="nt")
HEADS = (1, 2, 32, 16)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with the archive that the process takes its code from."""
    (tmp_path / rundir.BOOTSTRAP).mkdir()
    _fill_bootstrap(tmp_path / rundir.BOOTSTRAP, {})
    return tmp_path


def test_every_kind_of_call_gets_a_time_or_a_reason_in_a_process_of_its_own(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products of all layouts, a strided convolution with both gradients, attention fused and written, both ways.

    The operands of the last one do not fit together, and the others have their times all the same.
    """
    pytest.importorskip("torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(starting, "LIMIT_S", 150.0)  # a busy machine is no failure
    odd = KernelCall(kind="product", dims=((64, 32), (64, 32)), number_format="fp32", way="nn")
    image = {"dims": ((2, 8, 16, 16), (16, 4, 3, 3), (2, 16, 8, 8)), "groups": 2, "stride": (2, 2), "padding": (1, 1)}
    calls = [
        SMALL,
        KernelCall(kind="product", dims=((64, 32), (32, 16)), number_format="bf16", way="tn"),
        KernelCall(kind="product", dims=((64, 32), (32, 16)), number_format="bf16", way="nt", bias=True),
        KernelCall(kind="product", dims=((3, 64, 32), (3, 32, 16)), number_format="fp32", way="nn"),
        KernelCall(kind="convolution", number_format="fp32", way="nchw", bias=True, **image),  # type: ignore[arg-type]
        KernelCall(kind="convolution_backward", number_format="fp32", way="nhwc", **image),  # type: ignore[arg-type]
        *(
            KernelCall(kind=kind, dims=(HEADS,) * 3, number_format="fp32", way=way, causal=True)
            for kind in ("attention", "attention_backward", "attention_both")
            for way in ("fused", "written")
        ),
        KernelCall(kind="attention", dims=(*(HEADS,) * 3, (32, 32)), number_format="fp32", way="fused"),
    ]
    found = time_kernels(run, [*calls, odd], name=None, device="cpu", python=sys.executable, timing_s=120.0)
    assert isinstance(found, KernelTimes)
    assert found.device == "cpu"
    assert set(found.ns) == set(calls)
    assert "RuntimeError" in found.failed[odd]
    assert all(ns > 0 for ns in found.ns.values())


def test_a_time_is_that_of_one_call() -> None:
    """No less than it sleeps, however many calls are timed together."""
    found = time_ns([lambda: time.sleep(0.004), lambda: time.sleep(0.008)] * 2, "cpu")
    assert found >= 4e6
    assert time_ns([lambda: time.sleep(0.02)], "cpu") >= 2e7


def test_what_there_was_no_time_for_has_no_time() -> None:
    torch = pytest.importorskip("torch")
    head, line = answers({"device": "cpu", "seconds": -1.0, "calls": [to_json(SMALL)]})
    assert head == {"device": "cpu", "torch": torch.__version__}
    assert line == {"call": 0, "failed": "there was no time left"}


def test_without_a_gpu_the_reason_is_told() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    plan = {"device": "cuda", "name": "NVIDIA H200", "seconds": 1.0, "calls": [to_json(SMALL)]}
    assert list(answers(plan)) == [{"refused": "there is no GPU"}]


def test_a_process_that_is_too_slow_is_ended_and_what_it_said_counts(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    answered = json.dumps({"device": "cpu", "torch": "2"}) + "\n" + json.dumps({"call": 0, "ns": 5.0}) + "\n"
    slow.write_text(f"#!{sys.executable}\nimport sys, time\nopen(sys.argv[-1], 'w').write({answered!r} + '{{\"ca')\n"
                    "time.sleep(60)\n")  # fmt: skip
    slow.chmod(0o755)
    monkeypatch.setattr(starting, "LIMIT_S", 1.5)
    other = KernelCall(kind="product", dims=((8, 8), (8, 8)), number_format="bf16", way="nn")
    found = time_kernels(run, [SMALL, other], name=None, python=str(slow))
    assert isinstance(found, KernelTimes)
    assert found.ns == {SMALL: 5.0}
    assert other in found.failed


@pytest.mark.parametrize("program", ["", "sys.exit(3)"])
def test_a_python_without_an_answer_is_told(run: Path, tmp_path: Path, program: str) -> None:
    mute = tmp_path / "python"
    mute.write_text(f"#!{sys.executable}\nimport sys\n{program}\n")
    mute.chmod(0o755)
    assert str(time_kernels(run, [SMALL], name=None, python=str(mute))).startswith("its process ended with")


def test_a_python_that_is_not_there_is_told(run: Path) -> None:
    assert "could not be started" in str(time_kernels(run, [SMALL], name=None, python="/no/such/python"))


def test_what_was_kept_is_read_again(run: Path) -> None:
    odd = KernelCall(kind="product", dims=((7, 7), (7, 7)), number_format="tf32", way="nn")
    times = KernelTimes(device="NVIDIA H200", torch="2.11", ns={SMALL: 1234.0}, failed={odd: "too large"})
    write_kernel_times(run, times)
    warnings: list[str] = []
    assert read_kernel_times(run / rundir.KERNEL_TIMES, warnings) == times
    assert not warnings


def test_the_python_that_imported_torch_is_asked_first(run: Path) -> None:
    assert python_of(run) == sys.executable
    rundir.write_json_atomic(run / rundir.RUN, {"command": ["python3", "train.py"]})
    assert Path(python_of(run)).name == "python3"
    (run / rundir.BOOTSTRAP / "torch-seen").write_text("/no/such/python")
    assert Path(python_of(run)).name == "python3"
    (run / rundir.BOOTSTRAP / "torch-seen").write_text(sys.executable)
    assert python_of(run) == sys.executable


def test_the_recorder_notes_which_python_imported_torch(run: Path) -> None:
    torch = run / "torch.py"
    torch.write_text("")
    path = f"{run / rundir.BOOTSTRAP}{os.pathsep}{run}"
    subprocess.run([sys.executable, "-c", "import torch"], env={**os.environ, "PYTHONPATH": path}, check=True)
    assert (run / rundir.BOOTSTRAP / "torch-seen").read_text() == sys.executable


class Nvml:
    """What of NVML is asked: one GPU, and who computes on it."""

    def __init__(self, processes: list[int]) -> None:
        self.processes = processes

    def __getattr__(self, name: str) -> Any:
        return {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlDeviceGetHandleByUUID": lambda uuid: {"GPU-1": "handle"}[uuid],
            "nvmlDeviceGetComputeRunningProcesses": lambda handle: self.processes,
        }[name]


@pytest.mark.parametrize(
    ("processes", "uuid", "reason"),
    [
        ([], "GPU-1", None),
        ([17], "GPU-1", "another process uses the GPU"),
        ([], "GPU-2", "the GPU of the run is not on this machine"),
        ([], None, "the GPU of the run is not on this machine"),
    ],
)
def test_a_gpu_is_free_when_nvml_lists_nobody_on_it(
    processes: list[int], uuid: str | None, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(processes))
    assert why_busy(uuid) == reason


def test_without_nvml_nobody_knows_whether_a_gpu_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert why_busy("GPU-1") == "NVML cannot be asked whether the GPU is idle"
