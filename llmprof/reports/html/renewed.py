"""How does a finished page take up what has been learned since, with the events that it shows already?

The recording is not read again: it may be large, and the page was perhaps made of another burst.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from llmprof._version import __version__
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.errors import UnreadableError
from llmprof.reports.html.page import page_with
from llmprof.reports.html.pane import Pane
from llmprof.reports.redact import redacted

__all__ = ["renewed"]

_PANE = re.compile(r'<section class="section" id="timeline".*?</section>', re.DOTALL)
_ISLAND = '<script type="application/json" id="{}">'


def renewed(page: str, diagnosis: Diagnosis, where: str) -> str:
    """The text of `page`, which `render_html` has made, for this diagnosis of the same run; redacted if it was.

    Raises UnreadableError, with `where` the page is, for a page of another version, or what is no page.
    """
    section = _PANE.search(page)
    analysis, events = _island(page, "analysis"), _island(page, "events")
    if section is None or not analysis or not events or f'content="llmprof {__version__}"' not in page:
        raise UnreadableError(f"{where} was not made by llmprof {__version__}; write it again with `llmprof analyze`.")
    hidden = redacted(diagnosis)
    if not _is_open(json.loads(analysis), diagnosis, hidden):
        diagnosis = hidden
    return page_with(diagnosis, Pane(section[0], "" if events == "null" else events))


def _island(page: str, name: str) -> str:
    """The data that the page holds under this name; no `<` can be in it."""
    return page.partition(_ISLAND.format(name))[2].partition("</script>")[0]


def _is_open(shown: dict[str, Any], diagnosis: Diagnosis, hidden: Diagnosis) -> bool:
    """Whether the page shows what a redacted one would not."""

    def told(one: Diagnosis) -> tuple[Any, Any]:
        document = json.loads(replace(one, tried=()).to_json())
        return document["source"], document.get("environment")

    found = (shown.get("source"), shown.get("environment"))
    return found == told(diagnosis) and found != told(hidden)
