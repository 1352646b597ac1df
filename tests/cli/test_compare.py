"""`llmprof compare`: the answer, the files, and what it says when it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import InProcess
from tests.reports.samples import host_bound, input_starved, no_verdict


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_text(input_starved().to_json())
    (tmp_path / "b.json").write_text(host_bound().to_json())
    (tmp_path / "none.json").write_text(no_verdict().to_json())
    return tmp_path


def test_the_document_and_nothing_else_is_on_standard_output(in_process: InProcess, pair: Path) -> None:
    done = in_process("compare", "a.json", "b.json", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "llmprof.comparison/1"
    changes = sum(part["delta_ms"] for part in document["parts"])
    assert changes == pytest.approx(document["step"]["delta_ms"], rel=1e-3)


@pytest.mark.parametrize("ending", [".html", ".md", ".json", ".txt"])
def test_every_format_can_be_written_and_is_not_replaced_unasked(
    in_process: InProcess, pair: Path, ending: str
) -> None:
    out = pair / f"c{ending}"
    assert in_process("compare", "a.json", "b.json", "-o", out).returncode == 0
    assert out.stat().st_size > 500
    again = in_process("compare", "a.json", "b.json", "-o", out)
    assert again.returncode == 2
    assert "--force" in again.stderr


@pytest.mark.parametrize("ending", [".html", ".md", ".json", ".txt"])
def test_a_file_to_pass_on_has_no_folders_machines_or_arguments(in_process: InProcess, pair: Path, ending: str) -> None:
    other = host_bound()
    command = ["python", "/private/train.py", "--data", "/private/data"]
    named = replace(other, environment={**other.environment, "command": command})
    (pair / "secret").mkdir()
    (pair / "secret" / "b.json").write_text(named.to_json())
    for redact in (True, False):
        out = pair / f"{redact}{ending}"
        option = [] if redact else ["--no-redact"]
        assert in_process("compare", pair / "a.json", pair / "secret" / "b.json", "-o", out, *option).returncode == 0
        text = out.read_text()
        assert "b.json" in text
        assert ("private" in text) != redact
        assert ("secret" in text) != redact


def test_an_unknown_ending_and_a_run_without_steps_are_told(in_process: InProcess, pair: Path) -> None:
    unknown = in_process("compare", "a.json", "b.json", "-o", "c.pdf")
    assert unknown.returncode == 2
    assert ".html, .md, .json, .txt" in unknown.stderr
    empty = in_process("compare", "a.json", "none.json")
    assert empty.returncode == 4
    assert "none.json does not tell how long a step is" in empty.stderr
