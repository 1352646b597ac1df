"""`llmprof export`: the answer says what was written, and a mistake is one sentence."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import ROOT, InProcess


def test_the_figures_of_a_run_are_written(in_process: InProcess, tmp_path: Path) -> None:
    done = in_process("export", ROOT / "sample_traces" / "host-ddp", "--to", "prometheus", "-o", "x.prom")
    assert done.returncode == 0, done.stderr
    assert "x.prom" in done.stdout
    assert 'rank="1"' in (tmp_path / "x.prom").read_text()


def test_an_empty_folder_and_an_unknown_tool_are_refused(in_process: InProcess, tmp_path: Path) -> None:
    done = in_process("export", tmp_path, "--to", "prometheus", "-o", "x.prom")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert in_process("export", tmp_path, "--to", "graphite", "-o", "x").returncode == 2
