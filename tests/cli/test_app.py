"""Does the frame of the command line keep its exit codes and its streams?"""

from __future__ import annotations

import pytest

from llmprof import __version__
from llmprof.cli import app
from llmprof.errors import NotEnoughDataError
from tests.cli.conftest import InProcess, Llmprof, assert_one_sentence


def test_without_a_command_it_shows_the_help_and_leaves_with_2(llmprof: Llmprof) -> None:
    done = llmprof()
    assert done.returncode == 2
    for command in ("run", "analyze", "report", "rules", "explain", "doctor"):
        assert command in done.stdout + done.stderr


def test_an_unknown_command_is_a_usage_error(llmprof: Llmprof) -> None:
    done = llmprof("analyse")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "analyse" in done.stderr


def test_the_version_is_the_packages(llmprof: Llmprof) -> None:
    done = llmprof("--version")
    assert (done.returncode, done.stdout) == (0, f"llmprof {__version__}\n")


def test_the_help_of_every_command_can_be_shown(in_process: InProcess) -> None:
    for command in ("run", "analyze", "report", "rules", "explain", "doctor"):
        assert in_process(command, "--help").returncode == 0, command


@pytest.mark.parametrize(("debug", "traceback"), [(False, False), (True, True)])
def test_an_unexpected_error_is_one_sentence_unless_asked_for_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: bool, traceback: bool
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the planted fault")

    monkeypatch.setattr("llmprof.cli.diagnosing.diagnose_paths", broken)
    with pytest.raises(SystemExit) as left:
        app.main([*(["--debug"] if debug else []), "analyze", "trace.json"])
    stderr = capsys.readouterr().err
    assert left.value.code == 1
    assert "the planted fault" in stderr
    assert ("Traceback" in stderr) == traceback
    if not debug:
        assert_one_sentence(stderr)
        assert "--debug" in stderr


def test_an_error_of_ours_leaves_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def poor(*_: object) -> None:
        raise NotEnoughDataError("trace.json holds no step; record at least one.")

    monkeypatch.setattr("llmprof.cli.diagnosing.diagnose_paths", poor)
    with pytest.raises(SystemExit) as left:
        app.main(["analyze", "trace.json"])
    assert left.value.code == 4
    assert capsys.readouterr().err == "llmprof: trace.json holds no step; record at least one.\n"


def test_a_terminal_that_only_knows_ascii_gets_an_answer(llmprof: Llmprof) -> None:
    done = llmprof("analyze", "missing-µs.json", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
