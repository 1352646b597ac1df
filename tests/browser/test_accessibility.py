"""Can everybody read the page? axe-core on whole pages in light, dark and forced colours, with everything unfolded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmprof.reports import write_report
from tests.reports.samples import SAMPLES
from tests.scenarios.recordings import recorded

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
VENDOR = Path(__file__).parent / "vendor"
LOOKS = {"light": {}, "dark": {"dark": True}, "forced": {"forced_colors": "active"}}
ALL_RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"
LOOK_RULES = "{runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}}"
"""What can change with the colours; everything else is looked at once."""


def test_axe_is_the_file_that_was_vendored() -> None:
    known = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))["axe.min.js"]
    assert hashlib.sha256((VENDOR / "axe.min.js").read_bytes()).hexdigest() == known["sha256"]


def complaints(page: Any, rules: str = ALL_RULES) -> list[str]:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.add_script_tag(content=(VENDOR / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run(document, {rules}).then(r => r.violations)")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}" for one in found for node in one["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("sample", ["communication_bound", "no_verdict"])
def test_samples_are_clean(open_page: Open, sample: str, look: str) -> None:
    assert sample in SAMPLES
    rules = ALL_RULES if look == "light" else LOOK_RULES
    assert complaints(open_page(sample, bypass_csp=True, **LOOKS[look]), rules) == []


@pytest.fixture(scope="module")
def whole_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section and the timeline."""
    path = tmp_path_factory.mktemp("real") / "real.html"
    diagnosis, timeline = recorded("bandwidth-ddp")
    write_report(diagnosis, path, timeline=timeline)
    return path


@pytest.mark.parametrize("look", LOOKS)
def test_a_page_with_every_section_and_the_timeline_is_clean(open_file: Open, whole_page: Path, look: str) -> None:
    page = open_file(whole_page, bypass_csp=True, **LOOKS[look])
    page.locator("#tl-canvas").scroll_into_view_if_needed()
    page.wait_for_selector("#tl-canvas[data-ready]")
    assert complaints(page, ALL_RULES if look == "light" else LOOK_RULES) == []
