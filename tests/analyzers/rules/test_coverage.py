"""Does docs/rules/coverage.md name every rule once, with a recording that is there?"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.accuracy.table import EVERY
from llmprof.analyzers.rules.registry import all_rules

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "rules" / "coverage.md").read_text(encoding="utf-8")
KINDS = ("H200", "public", "CPU", "injected")
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in TEXT.splitlines()
    if line.count(" | ") == 5 and not line.startswith("| rule ")
]


def test_every_rule_is_in_the_table_once_with_its_group() -> None:
    assert Counter((row[0], row[1]) for row in ROWS) == Counter((rule.id, rule.category) for rule in all_rules())


def test_the_head_counts_the_table() -> None:
    counted = Counter(row[3] for row in ROWS)
    assert set(counted) <= set(KINDS)
    said = {kind: int(number) for kind, number in re.findall(r"^\| (\w+) \| (\d+) \|", TEXT, re.MULTILINE)}
    assert said == {kind: counted[kind] for kind in KINDS}
    assert f"\n{len(ROWS)} rules." in TEXT


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_is_named_is_there(row: list[str]) -> None:
    assert all(row)
    for place in row[4].split("; "):
        word, _, names = place.partition(" ")
        if word == "planted":
            assert set(names.split(", ")) <= set(EVERY)
        elif place.startswith("sample trace "):
            assert all((ROOT / "sample_traces" / name).is_dir() for name in names.removeprefix("trace ").split(", "))
        elif file := re.search(r"test_\w+\.py", place):
            folder = ROOT / "tests" / "analyzers"
            paths = [path for path in (folder / file[0], folder / "rules" / file[0]) if path.is_file()]
            texts = [path.read_text(encoding="utf-8") for path in paths]
            assert any(name in text for text in texts for name in (row[0], row[0].replace("-", "_")))
