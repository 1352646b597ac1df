"""When no process of a command has recorded a step: why, and what can the user do?

The processes leave small files in the bootstrap folder on their way (live/bootstrap/llmprof_bootstrap.py), so that what
happened can be told from what may have happened.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llmprof.timeline import rundir

__all__ = ["why_nothing"]

_ENGINES = ("docker", "podman", "nerdctl")
_APPTAINERS = ("apptainer", "singularity")
_REMOTE = ("ssh", "pdsh", "kubectl", "ray")


def why_nothing(run: Path, command: Sequence[str], exit_code: int) -> str:
    """One sentence, to be read after "nothing was recorded: "."""
    bootstrap = run / rundir.BOOTSTRAP
    unwritable = _why_unwritable(run)
    if unwritable is not None:
        return f"{run} cannot be written ({unwritable}); free some space, or choose another folder with -o."
    if any((folder / rundir.RANK).exists() for _, _, folder in rundir.rank_dirs(run)):
        return (
            f"training began, but no step was completed{_failure(exit_code)}; record more steps, or see "
            f"{run}/ranks/*/log.txt."
        )
    reason = _text_of(bootstrap / "not-recorded.txt")
    if reason is not None:
        return f"{reason}; install llmprof for that Python (3.10 or newer, with PyTorch 2.4 or newer), or use another."
    if (bootstrap / "torch-seen").exists():
        return (
            f"no training step was seen{_failure(exit_code)}: one ends with optimizer.step() of PyTorch, and two are "
            "needed; where there is none, mark the steps with llmprof.step()."
        )
    if (bootstrap / "python-seen").exists():
        return f"no Python process of the command imported PyTorch{_failure(exit_code)}; check what it starts."
    return _why_not_reached(command, bootstrap, exit_code)


def _why_not_reached(command: Sequence[str], bootstrap: Path, exit_code: int) -> str:
    """No Python came by the bootstrap folder: the variable that names it did not arrive."""
    words = [os.path.basename(word) for word in command]
    engine = next((word for word in words if word in _ENGINES), None)
    if engine is not None:
        options = f"-v RUN:RUN -e PYTHONPATH=RUN/{rundir.BOOTSTRAP}"
        return _container(f"{engine} starts a container", f"add `{options}` to {engine} run")
    engine = next((word for word in words if word in _APPTAINERS), None)
    if engine is not None:
        options = f"--bind RUN --env PYTHONPATH=RUN/{rundir.BOOTSTRAP}"
        return _container(f"{engine} starts a container", f"add `{options}` to {engine} exec")
    if any(word.startswith("--container") for word in words):
        options = "--container-mounts=RUN:RUN --container-env=PYTHONPATH"
        return _container("srun --container starts a container", f"add `{options}` to srun")
    if "sudo" in words:
        return "sudo does not pass PYTHONPATH on, through which the recorder comes; put sudo before llmprof run."
    remote = next((word for word in words if word in _REMOTE), None)
    if remote is not None:
        return (
            f"{remote} does not pass PYTHONPATH on, through which the recorder comes; put `llmprof run -o RUN --` in "
            "front of the command on the other side, with RUN on a file system that all nodes share."
        )
    return (
        f"no Python process of the command found the recorder{_failure(exit_code)}; it comes with PYTHONPATH, which "
        "`env -i`, python -E, -I or -S, a container or another host drops: run llmprof inside, or pass "
        f"PYTHONPATH={bootstrap} on."
    )


def _container(what: str, how: str) -> str:
    return (
        f"{what}, which sees neither the folder nor the variable of the recorder; choose the folder with `llmprof run "
        f"-o RUN` (an absolute path) and {how}: a mount and a variable."
    )


def _failure(exit_code: int) -> str:
    return f" before the command failed with exit code {exit_code}" if exit_code else ""


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()[:500] or None
    except OSError:
        return None


def _why_unwritable(run: Path) -> str | None:
    probe = run / f".probe.{os.getpid()}"
    try:
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        probe.unlink(missing_ok=True)
        return error.strerror or type(error).__name__
    return None
