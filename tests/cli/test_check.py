"""`llmprof check` as a CI runs it: exit codes, JUnit, the summary, and the Action of docs/ci.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import ROOT, InProcess
from tests.reports.samples import SAMPLES, input_starved, no_verdict


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with analyses: good.json, slow.json (30 % slower) and none.json, which knows no step."""
    known = input_starved()
    assert known.step.mean_ms is not None
    slow = replace(
        known,
        step=replace(known.step, mean_ms=known.step.mean_ms * 1.3, tokens_per_s=None),
        history_ms=tuple(1.3 * value for value in known.history_ms),
    )
    for name, diagnosis in (("good", known), ("slow", slow), ("none", no_verdict())):
        (tmp_path / f"{name}.json").write_text(diagnosis.to_json())
    return tmp_path


@pytest.mark.parametrize(
    ("run", "code", "statuses"), [("good", 0, {"kept"}), ("slow", 3, {"broken", "kept"}), ("none", 4, {"no_data"})]
)
def test_the_exit_code_says_what_became_of_a_baseline(
    in_process: InProcess, runs: Path, run: str, code: int, statuses: set[str]
) -> None:
    done = in_process("check", f"{run}.json", "--baseline", "good.json", "--json")
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "llmprof.check/1"
    assert {one["status"] for one in document["limits"]} == statuses


def test_a_budget_is_found_in_the_working_directory(in_process: InProcess, runs: Path) -> None:
    (runs / "llmprof.toml").write_text('[budget]\nstep_ms = 90\n[budget.parts]\ndata = "1 %"\n')
    done = in_process("check", "good.json", "--junit", "out.xml", "--markdown", "out.md")
    assert done.returncode == 3
    assert "1 of 2 limits kept, 1 broken" in done.stdout
    suite = ElementTree.parse(runs / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    (failure,) = suite.iter("failure")
    assert "input" in failure.get("message", "") or "data" in failure.get("message", "")
    assert "| BROKEN | parts.data |" in (runs / "out.md").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[budget\n", "is no TOML"),
        ("x = 1\n", r"has no table \[budget\]"),
        ("[budget]\nstep = 1\n", "has no limit 'step'"),
    ],
)
def test_a_damaged_budget_is_one_sentence(in_process: InProcess, runs: Path, text: str, message: str) -> None:
    (runs / "b.toml").write_text(text)
    done = in_process("check", "good.json", "--budget", "b.toml")
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert done.stderr.count("\n") == 1


def test_without_a_budget_and_a_baseline_it_says_how_to_get_one(in_process: InProcess, runs: Path) -> None:
    done = in_process("check", "good.json")
    assert done.returncode == 2
    assert "--baseline" in done.stderr


def test_hostile_names_make_valid_xml(in_process: InProcess, runs: Path) -> None:
    (runs / "hostile.json").write_text(SAMPLES["hostile"]().to_json(), encoding="utf-8", errors="backslashreplace")
    (runs / "llmprof.toml").write_text('[budget.findings]\nseverity = "info"\n')
    done = in_process("check", "hostile.json", "--junit", "out.xml")
    assert done.returncode == 3, done.stderr
    assert len(list(ElementTree.parse(runs / "out.xml").iter("failure"))) == 1


def test_the_action_of_the_documentation_runs(runs: Path) -> None:
    """Its YAML is read and its commands are run as the runner would; only the recording itself is not."""
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the workflow")
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    steps = {step.get("name"): step for step in workflow["jobs"]["speed"]["steps"]}
    assert steps["Record"]["run"].startswith("llmprof run -o llmprof-run -- ")
    (runs / "ci").mkdir()
    (runs / "good.json").rename(runs / "ci" / "baseline.json")
    (runs / "slow.json").rename(runs / "llmprof-run")
    (runs / "bin").mkdir()
    shim = runs / "bin" / "llmprof"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m llmprof "$@"\n')
    shim.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{runs / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(runs / "summary.md"),
    }
    codes = [
        subprocess.run(["bash", "-e", "-c", steps[name]["run"]], cwd=runs, env=environment, timeout=120).returncode
        for name in ("Check", "Compare")
    ]
    assert codes == [3, 0]
    assert "BROKEN" in (runs / "summary.md").read_text()
    assert (runs / "comparison.html").read_text().startswith("<!doctype html>")
    assert ElementTree.parse(runs / "llmprof.xml").getroot().get("failures") == "1"


def test_the_budget_of_the_documentation_is_a_budget(in_process: InProcess, runs: Path) -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (runs / "llmprof.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    done = in_process("check", "good.json", "--json")
    assert done.returncode in (3, 4), done.stderr
    assert len(json.loads(done.stdout)["limits"]) == 9
