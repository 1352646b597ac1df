"""How do the sections become one file? Styles, scripts, policy and data put into the template."""

from __future__ import annotations

import hashlib
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from llmprof._version import __version__
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.html.first_screen import first_screen
from llmprof.reports.html.fixes import cards, joint_results
from llmprof.reports.html.frame import Page
from llmprof.reports.html.markup import esc, island
from llmprof.reports.html.pane import Pane, pane, tone_colours
from llmprof.reports.html.sections import TITLES, sections
from llmprof.reports.labels import CLASS_LABELS, PART_LABELS
from llmprof.reports.view import View, build_view
from llmprof.units import format_ms

if TYPE_CHECKING:
    from llmprof.timeline.timeline import Timeline

__all__ = ["page_with", "render_html"]

_PART_OF_BOUND = {
    "data": "data",
    "compute": "compute",
    "memory": "memory_management",
    "communication": "communication",
    "host": "host",
    "imbalance": "skew",
}
"""The badge of the verdict wears the colour of the part that it blames."""


def render_html(diagnosis: Diagnosis, timeline: Timeline | None = None, *, redact: bool = False) -> str:
    """The report as one HTML text without any reference to the outside; equal for equal arguments.

    timeline    what was recorded: the page then holds its events, thinned to a few MB, and shows them
    redact      leave folders out of the names of its events; what the diagnosis says is the caller's

    The content security policy forbids every request. Its nonce is a hash of the content, so that nothing inside the
    content can know it, and so that the text is the same every time.
    """
    return page_with(diagnosis, pane(diagnosis, timeline, redact=redact))


def page_with(diagnosis: Diagnosis, shown: Pane) -> str:
    """The report with this timeline; see `render_html`."""
    view = build_view(diagnosis)
    page = Page(view, diagnosis, timeline=bool(shown.data))
    body = first_screen(view, diagnosis) + cards(page) + shown.html + sections(page)
    data = island(diagnosis.to_dict())
    style = "\n".join((_asset("report.css"), _asset("sections.css"), _colours(view)))
    choices = island(joint_results(page))
    nonce = hashlib.sha256("\n".join((__version__, body, data, choices, shown.data, style)).encode()).hexdigest()[:32]
    scripts = ["report.js", *(["timeline.js"] if shown.data else [])]
    return Template(_asset("template.html")).substitute(
        title=esc(f"{view.label}, {format_ms(diagnosis.step.mean_ms)} per step", 120),
        nonce=nonce,
        style=style,
        script="\n".join(_asset(name) for name in scripts),
        subject=esc(view.subject, 60),
        source=esc(diagnosis.source.paths[0], 80) if diagnosis.source.paths else "",
        links=_links(view),
        body=body,
        data=data,
        choices=choices,
        events=shown.data or "null",
        version=esc(__version__),
    )


def _asset(name: str) -> str:
    return resources.files("llmprof.reports.html").joinpath("assets", name).read_text(encoding="utf-8")


def _links(view: View) -> str:
    there = {
        "fixes": ("Fixes", bool(view.fixes)),
        "timeline": ("Timeline", True),
        **{name: (TITLES[name], True) for name in ("idle", "communication", "kernels", "memory")},
        "checks": ("Checks", bool(view.checks)),
        "run": ("Run", True),
    }
    short = {"idle": "Idle"}
    return "".join(f'<a href="#{key}">{short.get(key, title)}</a>' for key, (title, on) in there.items() if on)


def _colours(view: View) -> str:
    """Rules with the colour of each segment, row and part: a strict policy leaves no inline styles."""
    rules = [f".s{index}{_paint(part.colour)}" for index, part in enumerate(view.segments)]
    rules += [f".g{index}{{flex-grow:{part.share * 1000:.3f}}}" for index, part in enumerate(view.segments)]
    rules += [
        f"@container (min-width:{8 * len(part.short) + 16}px){{.g{index} span{{display:inline}}}}"
        for index, part in enumerate(view.segments)
    ]
    rules += [f".r{index}{_paint(part.colour)}" for index, part in enumerate(view.rows)]
    rules += [f".p-{key}{_paint(label.colour)}" for key, label in PART_LABELS.items()]
    rules += [f".k-{key}{_paint(label.colour)}" for key, label in CLASS_LABELS.items()]
    rules += [f".t-{place}{_paint(colour)}" for place, colour in enumerate(tone_colours())]
    rules += [f".b-{bound}{_paint(PART_LABELS[part].colour)}" for bound, part in _PART_OF_BOUND.items()]
    return "\n".join(rules)


def _paint(colour: str) -> str:
    return f"{{--c:{colour};--on:{_ink(colour)}}}"


def _ink(colour: str) -> str:
    """Black or white, whichever has more contrast on this colour (relative luminance of WCAG 2.2)."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.0565 else "#14171a"
