"""How is a training command run under Nsight Systems? The same command, with `nsys profile` in front of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from llmprof.errors import InputError, NotFoundError
from llmprof.timeline import rundir

__all__ = ["OPTIONS", "report_of", "wrapped"]

OPTIONS = (
    "--trace=cuda,nvtx,osrt,cudnn,cublas",
    "--sample=none",
    "--cpuctxsw=none",
    "--cuda-graph-trace=node",
    "--force-overwrite=true",
)
"""No CPU samples and no scheduler events: they cost the training time and are not read. Node mode, because the default
records a CUDA graph as one piece and hides the kernels in it."""


def wrapped(command: Sequence[str], run_dir: Path) -> list[str]:
    """The command that records `command` into the run directory.

    Raises NotFoundError when nsys is not installed, InputError for a path that nsys would read as a pattern.
    """
    if not command:
        return []  # the launcher says that a command is needed
    nsys = shutil.which("nsys")
    if nsys is None:
        raise NotFoundError(
            "nsys is not on PATH; install Nsight Systems (developer.nvidia.com/nsight-systems, or `apt-get install "
            "nsight-systems` from NVIDIA's or Debian's non-free repository), or run without --nsys."
        )
    if (run_dir / rundir.BOOTSTRAP).is_dir():
        raise InputError(f"{run_dir} holds a run already, and nsys records one node a folder; choose a new one.")
    target = os.path.abspath(run_dir / Path(rundir.NSYS).stem)
    if "%" in target:
        raise InputError(f"the run directory {run_dir} has a '%' in its path, which nsys fills in; choose another.")
    return [nsys, "profile", f"--output={target}", *OPTIONS, *command]


def report_of(run_dir: Path) -> Path | None:
    """The report that nsys left in a run directory; None when it left none."""
    report = run_dir / rundir.NSYS
    return report if report.is_file() else None
