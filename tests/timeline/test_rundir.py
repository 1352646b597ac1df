"""Files of a run directory are whole or not there, and what a kill has cut is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.errors import InputError, NotFoundError, UnreadableError
from llmprof.timeline import rundir


def test_creates_a_new_folder_and_takes_an_empty_one(tmp_path: Path) -> None:
    run = rundir.create(tmp_path / "a" / "b")
    assert run.is_dir()
    assert rundir.create(run) == run


def test_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="not empty"):
        rundir.create(tmp_path)


def test_refuses_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot use"):
        rundir.create(tmp_path / "file" / "run")


def test_a_second_process_of_a_rank_gets_its_own_folder(tmp_path: Path) -> None:
    names = [rundir.claim_rank_dir(tmp_path, rank).name for rank in (0, 10, 0, 0)]
    assert names == ["r00000", "r00010", "r00000.1", "r00000.2"]
    (tmp_path / "ranks" / "notes").mkdir()
    found = [(rank, attempt) for rank, attempt, _ in rundir.rank_dirs(tmp_path)]
    assert found == [(0, 0), (0, 1), (0, 2), (10, 0)]


def test_no_ranks_folder_means_no_ranks(tmp_path: Path) -> None:
    assert rundir.rank_dirs(tmp_path) == []


def test_host_names_stay_inside_the_nodes_folder(tmp_path: Path) -> None:
    assert rundir.node_dir(tmp_path, "../../etc").parent == tmp_path / "nodes"
    assert rundir.node_dir(tmp_path, "..").parent == tmp_path / "nodes"


def test_json_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "rank.json"
    rundir.write_json_atomic(path, {"a": 1})
    rundir.write_json_atomic(path, {"a": 2, "path": tmp_path})
    assert rundir.read_json(path) == {"a": 2, "path": str(tmp_path)}
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "rank.json"
    rundir.write_json_atomic(path, {"a": 1})
    with pytest.raises(TypeError):
        rundir.write_json_atomic(path, {("a", "tuple"): 1})  # type: ignore[dict-item]
    assert rundir.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("data", [b"", b'{"a": ', b"\xff\xfe", b"[1]", b"[" * 100_000])
def test_a_damaged_file_is_one_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "rank.json").write_bytes(data)
    with pytest.raises(UnreadableError, match=r"rank\.json"):
        rundir.read_json(tmp_path / "rank.json")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        rundir.read_json(tmp_path / "run.json")
    with pytest.raises(NotFoundError):
        rundir.read_json_lines(tmp_path / "steps.jsonl")


@pytest.mark.parametrize("rest", [b"", b'{"n": 2, "wa', b'{"n": 2}', b"\xff\xfe"])
def test_a_last_line_without_its_end_is_left_out(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "steps.jsonl").write_bytes(b'{"n": 0}\n\n{"n": 1}\n' + rest)
    assert rundir.read_json_lines(tmp_path / "steps.jsonl") == [{"n": 0}, {"n": 1}]


@pytest.mark.parametrize("line", [b"broken", b"3", b"\xff"])
def test_damage_before_the_last_line_names_the_line(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "steps.jsonl").write_bytes(b'{"n": 0}\n' + line + b'\n{"n": 2}\n')
    with pytest.raises(UnreadableError, match="line 2"):
        rundir.read_json_lines(tmp_path / "steps.jsonl")
