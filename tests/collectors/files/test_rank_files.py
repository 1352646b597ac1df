"""The ranks of one input are listed without being read: in folders, run directories and whatever fsspec opens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from llmprof.collectors.files.rank_files import rank_files, read_rank_file
from llmprof.collectors.files.remote import remote_traces
from llmprof.errors import NotFoundError
from tests.scenarios.ranks import write_ranks

fsspec = pytest.importorskip("fsspec", reason="needs llmprof[remote]")
SAMPLE = Path(__file__).resolve().parents[3] / "sample_traces" / "communication-ddp"


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """The URL of a folder of three ranks in fsspec's memory."""
    write_ranks(tmp_path / "ranks", 3)
    fs = fsspec.filesystem("memory")
    fs.put(str(tmp_path / "ranks"), "/bucket", recursive=True)
    fs.pipe("/bucket/notes.txt", b"no trace")
    yield "memory://bucket"
    fs.rm("/bucket", recursive=True)


def test_a_folder_of_traces_is_one_file_a_rank(tmp_path: Path) -> None:
    write_ranks(tmp_path, 3)
    (tmp_path / "notes.txt").write_text("no trace")
    found = rank_files([tmp_path])
    assert found is not None
    assert [file.name for file in found.files] == ["rank0000.json.gz", "rank0001.json.gz", "rank0002.json.gz"]
    assert found.size == sum(path.stat().st_size for path in tmp_path.glob("*.gz"))
    assert (found.kind, found.listed) == ("kineto", True)


def test_one_file_and_what_is_something_else_is_left_to_load(tmp_path: Path) -> None:
    write_ranks(tmp_path, 1)
    (tmp_path / "report.sqlite").write_bytes(b"SQLite format 3\0")
    one = tmp_path / "rank0000.json.gz"
    for paths in ([tmp_path], [one], ["-"], [one, tmp_path / "absent.json"], [one, tmp_path / "report.sqlite"]):
        assert rank_files(paths) is None


def test_ranks_of_a_run_directory_are_read_alone_as_together() -> None:
    if not SAMPLE.is_dir():
        pytest.skip(f"no recording {SAMPLE}")
    found = rank_files([SAMPLE])
    assert found is not None and found.kind == "run"
    together = load(SAMPLE)
    for file, rank in zip(found.files, together.ranks, strict=True):
        alone = read_rank_file(file)
        assert (alone.marks.rank, alone.marks.world_size) == (rank.rank, 2)
        assert alone.timeline.environment == rank.environment
        assert alone.timeline.memory == rank.memory
        assert alone.timeline.times is not None and rank.times is not None
        assert alone.timeline.times.wall_ns.tolist() == rank.times.wall_ns.tolist()


def test_of_a_restarted_rank_the_process_with_most_steps_is_read(tmp_path: Path) -> None:
    if not SAMPLE.is_dir():
        pytest.skip(f"no recording {SAMPLE}")
    run = tmp_path / "run"
    shutil.copytree(SAMPLE, run)
    again = run / "ranks" / "r00001.1"
    shutil.copytree(run / "ranks" / "r00001", again)
    steps = (again / "steps.jsonl").read_text().splitlines(keepends=True)
    (again / "steps.jsonl").write_text("".join(steps[:5]))
    found = rank_files([run])
    assert found is not None and len(found.files) == 2
    read = read_rank_file(found.files[1])
    assert read.timeline.times is not None and len(read.timeline.times) == len(steps)
    assert any("trained in 2 processes" in warning for warning in read.warnings)


def test_a_remote_folder_and_a_pattern_name_their_traces(bucket: str) -> None:
    names = [f"{bucket.replace('://', ':///')}/rank000{rank}.json.gz" for rank in range(3)]
    sizes = remote_traces(bucket)
    assert [name.replace(":///", "://") for name in sizes] == [name.replace(":///", "://") for name in names]
    assert all(sizes.values())
    assert len(remote_traces(f"{bucket}/rank000[12].json.gz")) == 2
    assert remote_traces(f"{bucket}/rank0001.json.gz") == {f"{bucket}/rank0001.json.gz": None}


def test_a_remote_folder_without_traces_is_named() -> None:
    fsspec.filesystem("memory").makedirs("/hollow", exist_ok=True)
    for url in ("memory://hollow", "memory://hollow/*.json.gz"):
        with pytest.raises(NotFoundError, match=r"holds no trace"):
            remote_traces(url)


def test_remote_ranks_are_read_together_too(bucket: str) -> None:
    assert [rank.rank for rank in load(bucket).ranks] == [0, 1, 2]


@pytest.mark.parametrize("address", ["memory", "file"])
def test_remote_ranks_are_diagnosed_one_by_one(bucket: str, tmp_path: Path, address: str) -> None:
    from llmprof.analyzers.many_ranks.diagnose import diagnose_files, local_engine

    found = rank_files([bucket if address == "memory" else f"file://{tmp_path}/ranks/rank*.json.gz"])
    assert found is not None and len(found.files) == 3
    engine = local_engine(found, always=True)
    assert engine is not None
    assert diagnose_files(found, engine).partition_rank == 1
