"""A real browser that is offline, and pages in it: at the end none may have asked for anything or complained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmprof.reports import write_report
from tests.conftest import find_chromium
from tests.reports.samples import SAMPLES

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_file(browser: Any) -> Iterator[Open]:
    """Opens a page of the disk; at the end no page may have asked for anything or complained."""
    noise: list[str] = []
    contexts: list[Any] = []

    def opener(
        path: Path,
        *,
        width: int = 1280,
        height: int = 800,
        scripts: bool = True,
        dark: bool = False,
        at: str = "",
        **options: Any,
    ) -> Any:
        context = browser.new_context(
            offline=True,
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            reduced_motion="reduce",
            color_scheme="dark" if dark else "light",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: noise.append(f"error {error}"))
        page.on("console", lambda line: noise.append(f"{line.type} {line.text}"))
        page.on("request", lambda ask: None if ask.url.startswith(("file:", "data:")) else noise.append(ask.url))
        page.goto(path.as_uri() + at)
        if scripts:
            page.wait_for_selector('html[data-ready="1"]', state="attached")
        return page

    yield opener
    for context in contexts:
        context.close()
    assert noise == []


@pytest.fixture
def open_page(open_file: Open, tmp_path: Path) -> Open:
    """Opens the report of a sample."""

    def opener(sample: str, **options: Any) -> Any:
        path = tmp_path / f"{sample}.html"
        write_report(SAMPLES[sample](), path)
        return open_file(path, **options)

    return opener
