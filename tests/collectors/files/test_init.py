"""Which files belong together, and which rank each of them is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from llmprof.errors import InputError, NotFoundError, UnknownFormatError, UnreadableError
from tests.scenarios.builder import TraceBuilder


def trace(path: Path, rank: int | None = None, world_size: int = 2) -> Path:
    b = TraceBuilder()
    b.kernel("gemm", 100, 50, launch_ns=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    return b.write_kineto(path, rank=rank, world_size=world_size)


def test_one_file_is_rank_0(tmp_path: Path) -> None:
    path = trace(tmp_path / "t.json")
    timeline = load([str(path)])
    assert ([rank.rank for rank in timeline.ranks], timeline.kind, timeline.world_size) == ([0], "kineto", None)
    assert (timeline.paths, timeline.warnings) == ((str(path),), ())


def test_two_ranks_of_a_recording(recordings: Path) -> None:
    paths = [recordings / "h200" / f"comm_manual.rank{rank}.json.gz" for rank in (1, 0)]
    timeline = load(paths)
    assert [rank.rank for rank in timeline.ranks] == [0, 1]
    assert (timeline.world_size, timeline.warnings) == (2, ())
    assert {lane.rank for lane in timeline.rank(1).lanes} == {1}


@pytest.mark.parametrize(
    "name",
    ["rank3.json", "rank-3.Nov_1.json", "rank_3_trace.json", "x.rank3.json.gz", "r00003.json", "r00003/trace.json"],
)
def test_the_rank_in_a_name(tmp_path: Path, name: str) -> None:
    assert load([trace(tmp_path / name)]).ranks[0].rank == 3


def test_what_the_file_says_comes_before_its_name(tmp_path: Path) -> None:
    assert load([trace(tmp_path / "rank3.json", rank=5)]).ranks[0].rank == 5


def test_files_that_say_nothing_are_taken_in_order_with_a_warning(tmp_path: Path) -> None:
    timeline = load([trace(tmp_path / "a.json", rank=0), trace(tmp_path / "b.json"), trace(tmp_path / "c.json")])
    assert [rank.rank for rank in timeline.ranks] == [0, 1, 2]
    assert timeline.warnings == (
        "nothing says which rank b.json is; it is taken as rank 1 (--ranks can say it).",
        "nothing says which rank c.json is; it is taken as rank 2 (--ranks can say it).",
    )


def test_two_files_that_claim_one_rank(tmp_path: Path) -> None:
    first, second = trace(tmp_path / "a.json", rank=1), trace(tmp_path / "b.json", rank=1)
    with pytest.raises(InputError) as caught:
        load([first, second])
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    assert "rank 1" in str(caught.value)


def test_files_of_different_runs_are_told(tmp_path: Path) -> None:
    timeline = load(
        [trace(tmp_path / "a.json", rank=0, world_size=2), trace(tmp_path / "b.json", rank=1, world_size=8)]
    )
    assert timeline.world_size == 8
    assert "disagree" in timeline.warnings[0]


def test_a_folder_of_traces_passes_over_what_is_none(tmp_path: Path) -> None:
    trace(tmp_path / "rank0.pt.trace.json")
    trace(tmp_path / "rank1.json.gz")
    (tmp_path / "labels.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "rank2.json").write_text("")
    (tmp_path / "notes.txt").write_text("x")
    timeline = load([tmp_path])
    assert [rank.rank for rank in timeline.ranks] == [0, 1]
    assert timeline.warnings[0] == "labels.json is no trace and was passed over."
    assert "rank2.json is empty" in timeline.warnings[1]
    assert len(timeline.warnings) == 2


def test_a_folder_without_traces(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="holds no trace"):
        load([tmp_path])
    (tmp_path / "t.json").write_text("")
    with pytest.raises(UnreadableError, match=r"t\.json is empty"):
        load([tmp_path])


def test_nothing_and_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no input"):
        load([])
    with pytest.raises(NotFoundError, match="does not exist"):
        load([tmp_path / "none"])


def test_a_run_directory_is_given_alone(tmp_path: Path) -> None:
    (tmp_path / "run" / "ranks").mkdir(parents=True)
    with pytest.raises(InputError, match="given alone"):
        load([tmp_path / "run", trace(tmp_path / "t.json")])


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        load(["x" * 5000])
