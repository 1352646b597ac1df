"""How do the figures of a run get into the tools that people watch already? One tool, one module."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from llmprof.errors import InputError
from llmprof.reports.exporters.figures import Figures

__all__ = ["KINDS", "export"]

KINDS = {
    "prometheus": "",
    "opentelemetry": "",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
}
"""What can be exported to, with the package (and the extra of llmprof) that it needs."""


def export(kind: str, figures: Figures, out: str) -> str:
    """Write the figures; says in one sentence what was written and what to do with it.

    out    a file for prometheus; a file or the address of a collector for opentelemetry; a folder for the others

    Raises InputError when the kind is unknown, its package is missing, or nothing can be written.
    """
    if kind not in KINDS:
        raise InputError(f"there is no export to {kind!r}; use one of {', '.join(KINDS)}.")
    needed = KINDS[kind]
    if needed:
        try:
            import_module(needed)
        except ImportError:
            raise InputError(
                f"an export to {kind} needs the package {needed}, which is missing; `pip install llmprof[{needed}]`."
            ) from None
    write: Callable[[Figures, Path | str], str] = import_module(f"llmprof.reports.exporters.{kind}_").write
    try:
        return write(figures, out if "://" in out else Path(out))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {out} ({reason}); choose another place with -o.") from None
