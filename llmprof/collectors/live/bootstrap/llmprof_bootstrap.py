"""Which Python processes of a recorded command get the recorder, and when? Copied into each run directory.

Waits until the process has imported torch and hands over to llmprof.collectors.live.injection. It needs nothing but
the standard library, and whatever goes wrong here, the process goes on as if it were not there.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = os.path.join(HERE, "llmprof_run.json")
ARCHIVE = os.path.join(HERE, "llmprof.zip")
MARK = "_llmprof_bootstrap"
PYTHON_SEEN, TORCH_SEEN, NOT_RECORDED = "python-seen", "torch-seen", "not-recorded.txt"
"""What the processes leave beside this file: that one began, which Python imported torch, why one could not record."""

# Helpers that never train; a process that is not listed here stays silent until its first optimizer step anyway.
PROGRAMS = {"pip", "pip3", "conda", "mamba", "uv", "ninja", "nvcc", "llmprof"}
MODULES = (
    "pip",
    "conda",
    "ninja",
    "llmprof",
    "ipykernel",
    "ipykernel_launcher",
    "torch._inductor.compile_worker",
)
CODE = (
    "from multiprocessing.resource_tracker",
    "from multiprocessing.semaphore_tracker",
    "from torch._inductor",
    "from joblib.externals.loky",
    "cdll.LoadLibrary(",  # Inductor tries out what the CPU can do
)
SPAWNED = ("from multiprocessing.spawn import spawn_main", "from multiprocessing.forkserver import main")


def is_helper(arguments: Sequence[str]) -> bool:
    """Whether a Python with this command line (sys.orig_argv) is a helper and no training process."""
    first, value = _what_runs(arguments)
    if first == "-c":
        return any(sign in value for sign in CODE)
    if first == "-m":
        return any(value == name or value.startswith(name + ".") for name in MODULES)
    folder, name = os.path.split(value)
    return name in PROGRAMS or (os.path.basename(folder) == "compile_worker" and name == "__main__.py")


def is_spawned(arguments: Sequence[str]) -> bool:
    """Whether multiprocessing started it: a DataLoader worker, a rank, or the server that they are forked from."""
    first, value = _what_runs(arguments)
    return first == "-c" and value.startswith(SPAWNED)


def _what_runs(arguments: Sequence[str]) -> tuple[str, str]:
    """('-m', module), ('-c', code) or ('', script) of a Python command line."""
    rest = list(arguments[1:])
    while rest:
        word = rest.pop(0)
        if word[:1] != "-" or word == "-":
            return "", word
        if word == "--check-hash-based-pycs":
            del rest[:1]
        for place, letter in enumerate((word[:2] != "--" and word[1:]) or "", 2):
            value = word[place:] or (rest[0] if rest else "")  # joined (-mpkg) or the next word
            if letter in "mc":
                return "-" + letter, value
            if letter in "WX":
                del rest[: word[place:] == ""]
                break
    return "", ""


class TorchFinder:
    """First on sys.meta_path until torch is imported: runs `then` right after torch's own code has run."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Torch as the other finders find it, with a loader that tells when it has finished; None for all else."""
        if name != "torch":
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: importlib.machinery.ModuleSpec | None = find(name, path, target) if find else None
            if spec is not None:
                self._watch(spec)
                return spec
        return None

    def _watch(self, spec: importlib.machinery.ModuleSpec) -> None:
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self.then()

        with contextlib.suppress(AttributeError):  # a loader with slots: not recorded
            loader.exec_module = exec_module  # type: ignore[union-attr, method-assign]


def start_recorder() -> None:
    """Load llmprof, from the archive beside this file if this interpreter has none, and install the recorder."""
    try:
        import json  # not at the start of every Python process

        _leave(TORCH_SEEN, sys.executable)
        with open(SETTINGS, encoding="utf-8") as file:
            settings = json.load(file)
        if not _has_package():
            _load_archive()
        from llmprof.collectors.live.injection import install

        install({**settings, "run_dir": os.path.dirname(HERE)}, late=is_spawned(sys.orig_argv))
    except Exception as error:
        _leave(NOT_RECORDED, f"in {sys.executable} the recorder could not start ({type(error).__name__}: {error})")


def begin() -> None:
    """Watch for torch in this process, unless it is a helper. Of a run in a run the inner one records."""
    if getattr(sys, MARK, None) is None and not is_helper(sys.orig_argv):
        setattr(sys, MARK, os.getpid())
        sys.meta_path.insert(0, TorchFinder(start_recorder))
        _leave(PYTHON_SEEN)


def _has_package() -> bool:
    """Whether llmprof is installed here; a folder that happens to be called llmprof is no package."""
    spec = importlib.util.find_spec("llmprof")
    return spec is not None and spec.origin is not None


def _load_archive() -> None:
    """Import the package from its archive, without putting anything on sys.path."""
    import zipimport

    spec = zipimport.zipimporter(ARCHIVE).find_spec("llmprof")
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["llmprof"] = module
        spec.loader.exec_module(module)


def _leave(name: str, text: str = "") -> None:
    """Leave a file for the wrapper, which says at the end why nothing was recorded; the first process's one stays."""
    with contextlib.suppress(OSError), open(os.path.join(HERE, name), "x", encoding="utf-8") as file:
        file.write(text)
