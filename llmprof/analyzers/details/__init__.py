"""What do the sections of the report show besides the verdict? `details` of analysis.json: plain figures by section.

Times are ms per step where the name says `_ms`, sizes bytes, windows [start, end) in ns from the rank's origin; None is
unknown. A section without data is missing. Tables are cut to what a reader looks through, the longest rows first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmprof.analyzers.details.collectives import communication, ranks
from llmprof.analyzers.details.device import devices, memory
from llmprof.analyzers.details.host import host, input_pipeline
from llmprof.analyzers.details.kernels import compilation, kernels, precision
from llmprof.analyzers.details.steps import anatomy, idle
from llmprof.analyzers.facts.measured import Facts
from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["details_of"]

Section = Callable[[Facts, RankTimeline | None], Mapping[str, Any]]

_SECTIONS: Mapping[str, Section] = {
    "anatomy": anatomy,
    "idle": idle,
    "communication": communication,
    "ranks": ranks,
    "input": input_pipeline,
    "host": host,
    "kernels": kernels,
    "precision": precision,
    "memory": memory,
    "compile": compilation,
    "devices": devices,
}


def details_of(facts: Facts, timeline: Timeline | None = None) -> Mapping[str, Mapping[str, Any]]:
    """The figures of every section that has some.

    timeline    what was recorded, where it is at hand: step by step readings come from it

    Never raises: a section that cannot be prepared holds one key, `error`.
    """
    recorded = None if timeline is None else next((r for r in timeline.ranks if r.rank == facts.critical.rank), None)
    found: dict[str, Mapping[str, Any]] = {}
    for name, section in _SECTIONS.items():
        try:
            figures = section(facts, recorded)
        except Exception as error:  # whatever a stranger's recording holds, the diagnosis goes on
            figures = {"error": f"{type(error).__name__}: {error}"}
        if figures:
            found[name] = figures
    return found
