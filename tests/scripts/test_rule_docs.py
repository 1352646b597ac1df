"""Are the pages of docs/rules/ what the rules say?"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.analyzers.rules.registry import all_rules
from scripts import rule_docs


def test_every_rule_has_a_page_and_a_second_run_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_docs, "FOLDER", tmp_path / "rules")
    assert rule_docs.main([]) == 0
    names = {path.name for path in (tmp_path / "rules").iterdir()}
    assert names == {"README.md", *(f"{rule.id}.md" for rule in all_rules())}
    assert rule_docs.main(["--check"]) == 0
    (tmp_path / "rules" / "README.md").write_text("by hand")
    assert rule_docs.main(["--check"]) == 1


def test_the_pages_in_the_tree_are_current() -> None:
    assert rule_docs.main(["--check"]) == 0, "run `make docs`"
