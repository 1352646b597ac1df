"""Completion knows all rules and fixes, finds runs, and loads nothing that takes time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.analyzers.rules import registry
from llmprof.analyzers.rules.fixes import FIXES
from llmprof.cli.completing import fix_ids, rule_ids, run_directories
from tests.cli.conftest import ROOT


def test_every_rule_and_every_fix_is_known() -> None:
    assert set(rule_ids("")) == {rule.id for rule in registry.all_rules()}
    assert fix_ids("") == list(FIXES)


def test_only_what_begins_alike_is_offered() -> None:
    assert "launch-bound" in rule_ids("laun")
    assert all(name.startswith("cuda") for name in fix_ids("cuda"))
    assert rule_ids("zzz") == fix_ids("zzz") == []


def test_runs_are_offered_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_directories("") == []
    for name in ("20260101T000000Z-a", "20260201T000000Z-b"):
        (tmp_path / "llmprof-runs" / name).mkdir(parents=True)
        (tmp_path / "llmprof-runs" / name / "run.json").write_text("{}")
    (tmp_path / "llmprof-runs" / "notes").mkdir()
    assert run_directories("llm") == ["llmprof-runs/20260201T000000Z-b", "llmprof-runs/20260101T000000Z-a"]
    assert run_directories("other") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("llmprof explain launch-b", "launch-bound"),
        ("llmprof what-if run --fix cuda-", "cuda-graphs"),
        ("llmprof ", "compare"),
    ],
)
def test_a_shell_gets_its_answer_without_the_analysis(words: str, expected: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_LLMPROF_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr))\n"
        "from llmprof.cli.app import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert expected in done.stdout.split()
    assert not {"numpy", "pandas", "torch", "plotly"} & set(done.stderr.split())
