"""How do the sections become one file? Styles, script, policy and data put into the template."""

from __future__ import annotations

import hashlib
from importlib import resources
from string import Template

from llmprof._version import __version__
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.reports.html.first_screen import first_screen
from llmprof.reports.html.markup import esc, island
from llmprof.reports.html.sections import sections
from llmprof.reports.labels import PART_LABELS
from llmprof.reports.view import View, build_view
from llmprof.units import format_ms

__all__ = ["render_html"]

_PART_OF_BOUND = {
    "data": "data",
    "compute": "compute",
    "memory": "memory_management",
    "communication": "communication",
    "host": "host",
    "imbalance": "skew",
}
"""The badge of the verdict wears the colour of the part that it blames."""


def render_html(diagnosis: Diagnosis) -> str:
    """The report as one HTML text without any reference to the outside; equal for an equal diagnosis.

    The content security policy forbids every request. Its nonce is a hash of the content, so that nothing inside the
    content can know it, and so that the text is the same every time.
    """
    view = build_view(diagnosis)
    body, data = first_screen(view, diagnosis) + sections(view, diagnosis), island(diagnosis.to_dict())
    style = _asset("report.css") + _colours(view)
    nonce = hashlib.sha256("\n".join((__version__, body, data, style)).encode()).hexdigest()[:32]
    return Template(_asset("template.html")).substitute(
        title=esc(f"{view.label}, {format_ms(diagnosis.step.mean_ms)} per step", 120),
        nonce=nonce,
        style=style,
        script=_asset("report.js"),
        subject=esc(view.subject, 60),
        source=esc(diagnosis.source.paths[0], 80) if diagnosis.source.paths else "",
        links=_links(view, diagnosis),
        body=body,
        data=data,
        version=esc(__version__),
    )


def _asset(name: str) -> str:
    return resources.files("llmprof.reports.html").joinpath("assets", name).read_text(encoding="utf-8")


def _links(view: View, diagnosis: Diagnosis) -> str:
    sections = {
        "fixes": ("Fixes", bool(view.fixes)),
        "checks": ("Checks", bool(view.checks)),
        "ranks": ("Ranks", len(diagnosis.ranks) > 1),
        "run": ("Run", True),
    }
    return "".join(f'<a href="#{key}">{title}</a>' for key, (title, there) in sections.items() if there)


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
