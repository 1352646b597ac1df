"""What stands below the fold? One module a group of sections: sentence, picture, table, evidence, in reading order."""

from __future__ import annotations

from collections.abc import Callable

from llmprof.reports.html.frame import Content, Page, section
from llmprof.reports.html.sections.anatomy import anatomy, idle
from llmprof.reports.html.sections.checks import checks, run
from llmprof.reports.html.sections.communication import communication
from llmprof.reports.html.sections.devices import compilation, devices
from llmprof.reports.html.sections.kernels import kernels, precision
from llmprof.reports.html.sections.memory import memory
from llmprof.reports.html.sections.ranks import ranks
from llmprof.reports.html.sections.supply import host, input_pipeline

__all__ = ["TITLES", "sections"]

_SECTIONS: dict[str, tuple[str, Callable[[Page], Content | None]]] = {
    "steps": ("Step by step", anatomy),
    "idle": ("GPU idle", idle),
    "communication": ("Communication", communication),
    "ranks": ("Rank by rank", ranks),
    "input": ("Input pipeline", input_pipeline),
    "host": ("Host and launch", host),
    "kernels": ("Kernels", kernels),
    "precision": ("Precision and roofline", precision),
    "memory": ("Memory", memory),
    "compile": ("Compile and graphs", compilation),
    "devices": ("Device health", devices),
}
TITLES = {name: title for name, (title, _) in _SECTIONS.items()}


def sections(page: Page) -> str:
    """All sections, then the checks and the run."""
    found = [section(page, name, title, _content(page, build)) for name, (title, build) in _SECTIONS.items()]
    return "".join((*found, checks(page), run(page.view)))


def _content(page: Page, build: Callable[[Page], Content | None]) -> Content:
    """A document of another version, or a damaged one, costs the section and not the page."""
    try:
        found = build(page)
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return Content(
            "The figures of this section cannot be read: they are of another version of llmprof, or damaged."
        )
    return found or Content("Nothing was recorded for this section.")
