"""Does `llmprof analyze` print the answer, and only the answer, whatever it is given?"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from llmprof.analyzers.diagnosis import Diagnosis
from tests.cli.conftest import InProcess, Llmprof, assert_one_sentence
from tests.scenarios.builder import TraceBuilder


def test_a_finished_analysis_is_shown_again(in_process: InProcess, finished: Path) -> None:
    done = in_process("analyze", finished)
    assert done.returncode == 0, done.stderr
    assert "60" in done.stdout
    assert done.stderr == ""


def test_json_is_the_document_and_nothing_else(llmprof: Llmprof, finished: Path) -> None:
    done = llmprof("analyze", finished, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == finished.read_text(encoding="utf-8")


def test_an_abstention_prints_the_document_and_leaves_with_4(llmprof: Llmprof, undecided: Path) -> None:
    done = llmprof("analyze", undecided, "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["verdict"]["bound"] is None
    assert "no step was recorded" in done.stderr


def test_results_are_written_where_asked(in_process: InProcess, finished: Path, tmp_path: Path) -> None:
    done = in_process("analyze", finished, "-o", tmp_path / "deep" / "out")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "deep" / "out" / "analysis.json").read_text(encoding="utf-8")
    assert Diagnosis.from_json(written) == Diagnosis.from_json(finished.read_text(encoding="utf-8"))
    assert (tmp_path / "deep" / "out" / "report.html").stat().st_size > 0
    assert "report.html" in done.stdout


def test_a_finished_analysis_cannot_take_a_step_time(llmprof: Llmprof, finished: Path) -> None:
    done = llmprof("analyze", finished, "--step-ms", "40")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf"])
def test_a_step_time_that_is_none_is_refused(in_process: InProcess, value: str) -> None:
    done = in_process("analyze", "trace.json", "--step-ms", value)
    assert done.returncode == 2
    assert_one_sentence(done.stderr)


DAMAGED = {
    "empty.json": b"",
    "cut.json": b'{"schemaVersion": 1, "traceEvents": [{"ph": "X", "na',
    "binary.json": bytes(range(256)) * 4,
    "latin1.json": b'{"traceEvents": [{"ph": "X", "name": "\xe9\xe9"}]}',
    "no_events.json": b'{"schemaVersion": 1, "traceEvents": []}',
    "list.json": b"[1, 2, 3]",
    "text.txt": b"hello",
    "cut.json.gz": gzip.compress(b'{"schemaVersion": 1, "traceEvents": []}' * 50)[:30],
    "other.json": b'{"schema": "llmprof.analysis/99"}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_input_is_one_sentence_and_no_verdict(in_process: InProcess, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(DAMAGED[name])
    done = in_process("analyze", name)
    assert done.returncode in (2, 4), done.stderr
    assert done.stdout == ""
    assert_one_sentence(done.stderr)
    assert name in done.stderr


def test_a_missing_file_and_an_empty_folder_are_named(in_process: InProcess, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in ("missing.json", "folder"):
        done = in_process("analyze", path)
        assert done.returncode == 2
        assert done.stdout == ""
        assert_one_sentence(done.stderr)
        assert path in done.stderr


def test_a_real_trace_gets_a_partition_that_sums_to_the_step(in_process: InProcess, recordings: Path) -> None:
    trace = recordings / "h200" / "host_small.rank0.json.gz"
    done = in_process("analyze", trace, "--json")
    assert done.returncode in (0, 4), done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "llmprof.analysis/1"
    assert sum(document["partition"].values()) == pytest.approx(document["step"]["mean_ms"], rel=1e-3)


def test_the_ranks_can_be_said_and_have_to_be_numbers(in_process: InProcess, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        b = TraceBuilder()
        b.kernel("gemm", 100, 50, launch_ns=0)
        b.write_kineto(tmp_path / name, rank=0)
    done = in_process("analyze", "a.json", "b.json", "--json", "--ranks", "1,3")
    assert json.loads(done.stdout)["source"]["ranks"] == [1, 3]
    done = in_process("analyze", "a.json", "b.json", "--ranks", "one")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)


def test_a_trace_with_too_much_damage_prints_the_document_and_leaves_with_4(
    in_process: InProcess, tmp_path: Path
) -> None:
    b = TraceBuilder()
    b.step(0, 0, 10_000_000)
    for start in range(0, 9_000_000, 1_000_000):
        b.kernel("gemm", start + 100_000, 800_000, launch_ns=start)
    path = b.write_kineto(tmp_path / "t.json")
    assert in_process("analyze", "t.json").returncode == 0
    path.write_text(path.read_text().replace('"dur": 800.0', '"dur": -800.0', 3))
    done = in_process("analyze", "t.json", "--json")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert document["verdict"]["bound"] is None
    assert "events could not be read" in document["verdict"]["reason"]
    assert any("left out 3 events with a negative duration" in text for text in document["capture"]["warnings"])
