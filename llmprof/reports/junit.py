"""How are the limits of `llmprof check` told? As text, Markdown, JSON, and JUnit XML for the pages of a CI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from xml.etree import ElementTree

from llmprof.analyzers.budget import Limit
from llmprof.reports.markdown import escaped, table_of
from llmprof.reports.text import clip, visible

__all__ = ["limits_json", "limits_junit", "limits_markdown", "limits_text"]

SCHEMA = "llmprof.check/1"
_WORDS = {"kept": "ok", "broken": "BROKEN", "no_data": "no data"}
LONGEST = 600


def limits_text(limits: Sequence[Limit], subject: str) -> str:
    """One line a limit, and the sum of them first; with a final newline."""
    lines = [f"{visible(subject)}: {_summary(limits)}"]
    lines += [f"  {_WORDS[one.status]:8} {clip(visible(one.sentence), LONGEST)}" for one in limits]
    return "\n".join(lines).replace("\N{MICRO SIGN}s", "us") + "\n"


def limits_markdown(limits: Sequence[Limit], subject: str) -> str:
    """A table for the summary of a CI run, with a final newline."""
    rows = [[_WORDS[one.status], escaped(one.name), escaped(visible(one.sentence))] for one in limits]
    title = f"### llmprof check: {escaped(visible(subject))}"
    return f"{title}\n\n{_summary(limits)}\n\n{table_of(['', 'Limit', 'What was measured'], rows)}\n"


def limits_json(limits: Sequence[Limit], subject: str) -> str:
    """The document llmprof.check/1 with a final newline."""
    document = {"schema": SCHEMA, "subject": subject, "limits": [asdict(one) for one in limits]}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def limits_junit(limits: Sequence[Limit], subject: str) -> str:
    """One test case a limit: a broken one is a failure, one without data an error (that is, nobody knows)."""
    counts = {status: sum(one.status == status for one in limits) for status in _WORDS}
    suite = ElementTree.Element(
        "testsuite",
        name="llmprof",
        tests=str(len(limits)),
        failures=str(counts["broken"]),
        errors=str(counts["no_data"]),
    )
    for one in limits:
        case = ElementTree.SubElement(suite, "testcase", classname=visible(subject), name=visible(one.name))
        sentence = clip(visible(one.sentence), LONGEST)
        if one.status == "kept":
            ElementTree.SubElement(case, "system-out").text = sentence
        else:
            kind = "failure" if one.status == "broken" else "error"
            ElementTree.SubElement(case, kind, message=sentence, type=one.status).text = sentence
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _summary(limits: Sequence[Limit]) -> str:
    counts = {status: sum(one.status == status for one in limits) for status in _WORDS}
    told = [f"{counts['kept']} of {len(limits)} limits kept"]
    told += [f"{counts['broken']} broken"] if counts["broken"] else []
    told += [f"{counts['no_data']} without data"] if counts["no_data"] else []
    return ", ".join(told)
