"""Why a PyTorch training run is slow, and what to do about it."""

from llmprof._version import __version__

__all__ = ["__version__"]
