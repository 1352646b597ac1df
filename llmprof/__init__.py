"""Why a PyTorch training run is slow, and what to do about it.

The public names are loaded when they are first used (PEP 562): importing the package costs a training process nothing,
and the recording side never pulls in what only the analysis needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from llmprof._version import __version__

if TYPE_CHECKING:
    from llmprof.analyzers.diagnose import diagnose
    from llmprof.collectors.files import load
    from llmprof.collectors.live.api import phase, profile, step

__all__ = ["__version__", "diagnose", "load", "phase", "profile", "step"]

_HOME = {
    "diagnose": "llmprof.analyzers.diagnose",
    "load": "llmprof.collectors.files",
    "phase": "llmprof.collectors.live.api",
    "profile": "llmprof.collectors.live.api",
    "step": "llmprof.collectors.live.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
