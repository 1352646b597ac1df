"""Does `llmprof what-if` tell the step before and after, and refuse what it cannot replay?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmprof.units import format_ms_within
from tests.analyzers.replay.programs import Call, simulate
from tests.analyzers.replay.sharing import Program, built
from tests.cli.conftest import InProcess, Llmprof, assert_one_sentence
from tests.scenarios.builder import TraceBuilder


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    builder = TraceBuilder()
    simulate([Call(100_000, "launch", 10_000)] * 20, 4, builder)
    return builder.write_kineto(tmp_path / "trace.json")


def test_the_json_tells_before_and_after_class_by_class(llmprof: Llmprof, trace: Path) -> None:
    done = llmprof("what-if", str(trace), "--fix", "cuda-graphs", "--fix", "tf32", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == "llmprof.what-if/1"
    assert document["step_ms_after"] < document["step_ms"]
    before, after = document["partition"]["before"], document["partition"]["after"]
    assert sum(before.values()) == pytest.approx(document["step_ms"], rel=0.02)
    assert after["host"] < before["host"]
    assert document["critical_path"]["before"]["host"] > document["critical_path"]["after"]["host"]


def test_the_text_names_the_step_and_what_changes_nothing(in_process: InProcess, trace: Path) -> None:
    done = in_process("what-if", str(trace), "--fix", "cuda-graphs", "--fix", "pin-memory")
    assert done.returncode == 0
    assert "With cuda-graphs: 2.10 ms ->" in done.stdout
    assert "pin-memory changes nothing here: no copy blocks the host." in done.stdout
    assert "  host (launch)" in done.stdout and "  the host" in done.stdout


def test_a_step_that_stays_as_it_is_has_no_tables_and_no_factor(in_process: InProcess, trace: Path) -> None:
    told = in_process("what-if", str(trace), "--fix", "pin-memory").stdout.splitlines()
    assert told[:2] == ["The step stays at 2.10 ms.", "pin-memory changes nothing here: no copy blocks the host."]
    assert not any("times as fast" in line or "before" in line for line in told)


def test_a_larger_batch_is_told_for_as_many_samples_as_now(in_process: InProcess, trace: Path) -> None:
    assert " a step, for as many samples as now, " in in_process("what-if", str(trace), "--fix", "larger-batch").stdout


def pageable() -> TraceBuilder:
    """Steps of 2 ms: half a ms in a copy from pageable memory, for which the host stands still, then kernels."""
    builder = TraceBuilder()
    for number in range(4):
        begin = number * 2_000_000
        builder.memcpy(
            "HtoD (Pageable -> Device)", begin + 5_000, 490_000, 1 << 20, launch_ns=begin, launch_dur_ns=500_000
        )
        for place in range(10):
            builder.kernel(
                "gemm", begin + 510_000 + place * 148_000, 147_000, launch_ns=begin + 501_000 + place * 6_000
            )
        builder.step(number, begin, begin + 2_000_000)
    return builder


def test_what_the_diagnosis_bounds_is_bounded_here_too(in_process: InProcess, tmp_path: Path) -> None:
    """Of pinning, the rule knows the copy's rate, and a replay only the wait in the call."""
    path = str(pageable().write_kineto(tmp_path / "trace.json"))
    analysis = json.loads(in_process("analyze", path, "--json").stdout)
    (gain,) = [one["gain"] for one in analysis["recommendations"] if one["id"] == "pin-memory"]
    assert gain["basis"] == "bound" and gain["expected_ms"] > 0
    within = format_ms_within(*(gain[f"{name}_ms"] for name in ("expected", "low", "high")))
    said = f"Of pin-memory, measured parts of the step tell more than a replay: alone it saves {within}."
    assert said in in_process("what-if", path, "--fix", "pin-memory").stdout


def test_classes_sum_to_a_step_that_the_replay_misses(in_process: InProcess, tmp_path: Path) -> None:
    """A device that was never idle took 3 % longer under the profiler than it does without: who can say where?"""
    builder = TraceBuilder()
    simulate([Call(5_000, "launch", 300_000)] * 20, 4, builder)
    path = str(builder.write_kineto(tmp_path / "busy.json"))
    done = in_process("what-if", path, "--fix", "cuda-graphs", "--step-ms", "5.838", "--json")
    document = json.loads(done.stdout)
    assert document["unprofiled_error"] == pytest.approx(0.03, abs=0.005)
    for table in ("partition", "critical_path"):
        assert sum(document[table]["before"].values()) == pytest.approx(document["step_ms"], rel=1e-3)
        assert sum(document[table]["after"].values()) == pytest.approx(document["step_ms_after"], rel=1e-3)
    shown = in_process("what-if", path, "--fix", "cuda-graphs", "--step-ms", "5.838").stdout
    assert "No gain: the step still waits for the kernels of the device." in shown
    assert document["no_gain"] == "the step still waits for the kernels of the device"


def test_an_unknown_fix_is_refused_with_the_list(in_process: InProcess, trace: Path) -> None:
    done = in_process("what-if", str(trace), "--fix", "more-magic")
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert "cuda-graphs" in done.stderr


@pytest.mark.parametrize(
    ("fixes", "said"),
    [
        (["dataloader-workers=4"], "a replay takes no value; give --fix dataloader-workers"),
        (["persistent-workers"], "`llmprof try --fix persistent-workers RUN` is how to measure it"),
        (["cuda-graphs", "torch-compile"], "of cuda-graphs and torch-compile only one can be done"),
    ],
)
def test_what_cannot_be_replayed_is_told_from_what_does_not_exist(
    in_process: InProcess, trace: Path, fixes: list[str], said: str
) -> None:
    done = in_process("what-if", str(trace), *(part for fix in fixes for part in ("--fix", fix)))
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert said in done.stderr


@pytest.mark.parametrize("step_ms", ["0", "-5", "nan", "inf"])
@pytest.mark.parametrize("command", [("what-if", "--fix", "tf32"), ("report", "-o", "out.perfetto.json")])
def test_a_step_that_takes_no_time_is_refused(
    in_process: InProcess, trace: Path, command: tuple[str, ...], step_ms: str
) -> None:
    done = in_process(*command, str(trace), "--step-ms", step_ms)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr)
    assert "is no step time" in done.stderr


def test_a_replay_that_misses_the_step_gives_way_to_bounds(in_process: InProcess, trace: Path) -> None:
    """The launches of this host take 2 ms a step; a step of 4 ms has something that was not recorded."""
    asked = ("what-if", str(trace), "--fix", "cuda-graphs", "--step-ms", "4")
    done = in_process(*asked)
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert first.startswith("Doubtful: the replay of the step as it is misses the measured one by ")
    document = json.loads(in_process(*asked, "--json").stdout)
    assert not document["faithful"]
    analysis = json.loads(in_process("analyze", str(trace), "--step-ms", "4", "--json").stdout)
    (gain,) = [one["gain"] for one in analysis["recommendations"] if one["id"] == "cuda-graphs"]
    assert gain["basis"] != "replay"
    assert f"cuda-graphs {document['bounds']['cuda-graphs']}" in first
    within = format_ms_within(*(gain[f"{name}_ms"] for name in ("expected", "low", "high")))
    assert document["bounds"]["cuda-graphs"] == f"saves {within}"


@pytest.mark.parametrize(
    ("fixes", "advice"),
    [
        (["tf32"], "tf32 changes nothing without a GPU."),
        (["gc-policy"], "`llmprof try --fix gc-policy RUN` measures it instead."),
        (["tf32", "gc-policy"], "without a GPU, `llmprof try --fix gc-policy RUN` measures it instead."),
        (["remove-sync"], "cpu.json` bounds remove-sync where it is recommended."),
    ],
)
def test_a_recording_without_device_work_says_what_tells_of_the_fix(
    in_process: InProcess, tmp_path: Path, fixes: list[str], advice: str
) -> None:
    builder = TraceBuilder()
    builder.op("aten::mm", 10_000, 500_000)
    builder.step(0, 0, 1_000_000)
    wanted = [part for fix in fixes for part in ("--fix", fix)]
    done = in_process("what-if", str(builder.write_kineto(tmp_path / "cpu.json")), *wanted)
    assert done.returncode == 4
    assert_one_sentence(done.stderr)
    assert done.stderr.endswith(f"{advice}\n")


def test_what_sharing_the_device_costs_is_told_with_the_fidelity(in_process: InProcess, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"rank{number}.json.gz") for number in range(2)]
    program = Program(scale=(1.0, 1.6), kernels=1.5, transfer=500_000.0)
    for number, builder in enumerate(built(program, 12)):
        builder.write_kineto(Path(paths[number]), rank=number, world_size=2)
    done = in_process("what-if", *paths, "--fix", "repair-straggler")
    assert "In it, kernels beside collectives run 1.50 times as long (" in done.stdout
    found = json.loads(in_process("what-if", *paths, "--fix", "repair-straggler", "--json").stdout)["sharing"]
    assert found["kernels"] == pytest.approx(1.5, rel=0.001) and found["kernel_pairs"] >= 10
    assert (found["collectives"], found["collective_pairs"]) == (None, 0)
