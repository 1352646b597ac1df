"""Does `llmprof report` write the report that was asked for, and nothing over what is there?"""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import InProcess, Llmprof, assert_one_sentence
from tests.conftest import ROOT


def test_the_report_of_a_finished_analysis_is_one_file(llmprof: Llmprof, finished: Path, tmp_path: Path) -> None:
    done = llmprof("report", finished, "-o", "report.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'report.html'}\n"
    assert "The step waits 60 ms for data." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_file_is_only_replaced_by_force(in_process: InProcess, finished: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("mine")
    done = in_process("report", finished, "-o", target)
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert target.read_text() == "mine"
    assert in_process("report", finished, "-o", target, "--force").returncode == 0
    assert target.read_text() != "mine"


def test_an_unknown_ending_is_refused(in_process: InProcess, finished: Path, tmp_path: Path) -> None:
    done = in_process("report", finished, "-o", "report.docx")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert not (tmp_path / "report.docx").exists()


def test_a_place_that_cannot_be_written_is_named(in_process: InProcess, finished: Path) -> None:
    done = in_process("report", finished, "-o", "/proc/no/report.html")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert "/proc/no/report.html" in done.stderr


def test_a_page_of_a_recording_shows_its_events_and_hides_folders(in_process: InProcess, tmp_path: Path) -> None:
    """`--no-redact` keeps the arguments of the command, which the page leaves out otherwise."""
    for name, options in (("hidden", ()), ("plain", ("--no-redact",))):
        done = in_process("report", ROOT / "sample_traces" / "data-in-process", "-o", f"{name}.html", *options)
        assert done.returncode == 0, done.stderr
    hidden, plain = ((tmp_path / f"{name}.html").read_text(encoding="utf-8") for name in ("hidden", "plain"))
    assert all('id="tl-canvas"' in page for page in (hidden, plain))
    assert "--sample-ms" in plain and str(ROOT) in plain
    assert "--sample-ms" not in hidden and str(ROOT) not in hidden
