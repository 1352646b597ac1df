"""How are kernels timed after a run? In a process of the training's Python, on its GPU, for some seconds at most.

The process has torch and nothing else of the training; it is ended when it takes too long, and what it has answered
until then counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmprof.collectors.launch import ARCHIVE
from llmprof.collectors.telemetry.nvml import answer
from llmprof.timeline import rundir
from llmprof.timeline.kernel_times import SCHEMA, KernelCall, KernelTimes, to_json

__all__ = ["python_of", "time_kernels", "why_busy", "write_kernel_times"]

TIMING_S = 8.0
LIMIT_S = 25.0
"""From the start of the process: it also has to import torch and to find the GPU."""

_CODE = "import sys; sys.path[0] = sys.argv[1]; from llmprof.collectors.timing.process import main; main()"
_ROOT = Path(__file__).resolve().parents[3]
_TORCH_SEEN = "torch-seen"


def time_kernels(
    run: Path,
    calls: Sequence[KernelCall],
    *,
    name: str | None,
    uuid: str | None = None,
    device: str = "cuda",
    python: str | None = None,
    settings: Mapping[str, Any] | None = None,
    timing_s: float = TIMING_S,
) -> KernelTimes | str:
    """Time these calls on one device, or say why not; never raises for what happens in the other process.

    name       the GPU that is meant; on another one nothing is timed
    uuid       which of several, as NVML names it
    settings   more of the plan: cudnn_benchmark
    """
    archive = run / rundir.BOOTSTRAP / ARCHIVE
    plan = {
        **(settings or {}),
        "device": device,
        "name": name,
        "seconds": timing_s,
        "calls": [to_json(call) for call in calls],
    }
    environment = dict(os.environ)
    if uuid is not None:
        environment["CUDA_VISIBLE_DEVICES"] = uuid
    with tempfile.TemporaryDirectory(prefix="llmprof-") as folder:
        file = Path(folder) / "answers"
        command = [python or python_of(run), "-c", _CODE, str(archive if archive.is_file() else _ROOT), str(file)]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(plan).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd=folder,
                timeout=LIMIT_S,
                check=False,
            )
            ended = f"its process ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"it took more than {LIMIT_S:g} s"
        except OSError as error:
            ended = f"{command[0]} could not be started ({error.strerror})"
        lines = _lines(file)
    if not lines:
        return ended
    if "refused" in lines[0]:
        return str(lines[0]["refused"])
    return _times(calls, lines)


def write_kernel_times(run: Path, times: KernelTimes) -> None:
    """Keep what was timed in the run directory. Raises OSError."""
    rows = [{"call": to_json(call), "ns": round(ns)} for call, ns in times.ns.items()]
    failed = [{"call": to_json(call), "ns": None, "failed": reason} for call, reason in times.failed.items()]
    found = {"schema": SCHEMA, "device": times.device, "torch": times.torch, "timed": [*rows, *failed]}
    rundir.write_text_atomic(run / rundir.KERNEL_TIMES, json.dumps(found) + "\n")


def python_of(run: Path) -> str:
    """The Python that trained: the one that imported torch first; else that of the command, else this one."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        seen = (run / rundir.BOOTSTRAP / _TORCH_SEEN).read_text(encoding="utf-8").strip()
        if os.path.isabs(seen) and os.access(seen, os.X_OK):
            return seen
    with contextlib.suppress(Exception):
        first = str(rundir.read_json(run / rundir.RUN)["command"][0])
        found = shutil.which(first) if os.path.basename(first).startswith("python") else None
        if found is not None:
            return found
    return sys.executable


def why_busy(uuid: str | None) -> str | None:
    """Why the GPU is not free for timing, as far as NVML tells; None when nothing speaks against it."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        return "NVML cannot be asked whether the GPU is idle"
    try:
        handle = answer(lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid)) if uuid else None
        if handle is None:
            return "the GPU of the run is not on this machine"
        if answer(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)):
            return "another process uses the GPU"
        return None
    finally:
        answer(pynvml.nvmlShutdown)


def _lines(file: Path) -> list[dict[str, Any]]:
    """The whole lines of the answer."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(OSError, ValueError):
        found += map(json.loads, file.read_text(encoding="utf-8").split("\n")[:-1])
    return found


def _times(calls: Sequence[KernelCall], lines: Sequence[Mapping[str, Any]]) -> KernelTimes:
    head, rows = lines[0], lines[1:]
    by_call = {calls[row["call"]]: row for row in rows}
    return KernelTimes(
        device=str(head["device"]),
        torch=str(head["torch"]),
        ns={call: float(row["ns"]) for call, row in by_call.items() if "ns" in row},
        failed={
            call: str(by_call[call].get("failed")) if call in by_call else "its process ended"
            for call in calls
            if "ns" not in by_call.get(call, {})
        },
    )
