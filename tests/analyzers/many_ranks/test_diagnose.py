"""Ranks that are reduced one by one give the diagnosis that they give together, and a bad file costs only itself."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.diagnose import diagnose
from llmprof.analyzers.diagnosis import Diagnosis
from llmprof.analyzers.many_ranks.diagnose import MANY_FILES, diagnose_files, local_engine
from llmprof.analyzers.many_ranks.processes import Processes
from llmprof.analyzers.many_ranks.task import Outcome, reduce_file
from llmprof.collectors.files import load
from llmprof.collectors.files.rank_files import RankFile, rank_files
from llmprof.errors import InputError, UnreadableError
from tests.conftest import ROOT
from tests.scenarios.ranks import LATE_NS, write_ranks
from tests.scenarios.recordings import recorded

MS = 1_000_000


def by_ranks(*paths: Path | str, **options: Any) -> Diagnosis:
    files = rank_files([str(path) for path in paths])
    assert files is not None
    return diagnose_files(files, Processes(1), **options)


def differences(one: Any, other: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two documents differ by more than a ten-thousandth."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from differences(one.get(key), other.get(key), f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{where}[{place}]")
    elif isinstance(one, float | int) and isinstance(other, float | int):
        if one != pytest.approx(other, rel=1e-4, abs=2e-4):
            yield where, one, other
    elif one != other:
        yield where, one, other


@pytest.mark.parametrize(
    ("names", "step_ms"),
    [
        (("h200/comm_manual.rank0", "h200/comm_manual.rank1"), None),
        (("h200/comm_manual.rank0", "h200/comm_manual.rank1"), 30.0),
        (("h200/straggler_data.rank0", "h200/straggler_data.rank1"), None),
        (("h200/light_comm_manual.cuda.rank0", "h200/light_comm_manual.cuda.rank1"), None),
    ],
    ids=["comm", "comm-unprofiled", "straggler", "cuda-only"],
)
def test_recorded_ranks_give_the_same_diagnosis_as_together(
    recordings: Path, names: tuple[str, ...], step_ms: float | None
) -> None:
    """All but the parts of the other rank is the same to the digit; those may move by a hundredth of the step."""
    paths = [recordings / f"{name}.json.gz" for name in names]
    if not all(path.is_file() for path in paths):
        pytest.skip(f"no recordings {paths}")
    together = diagnose(load(paths), step_ms=step_ms)
    alone = by_ranks(*paths, step_ms=step_ms)
    found = list(differences(together.to_dict(), alone.to_dict()))
    mean = together.step.mean_ms
    assert mean is not None
    assert [where for where, *_ in found if not where.startswith(".ranks")] == []
    assert all(abs(one - other) < 0.01 * mean for _, one, other in found)


def test_a_run_directory_gives_the_same_diagnosis_as_together() -> None:
    together = recorded("communication-ddp")[0].to_dict()
    alone = by_ranks(ROOT / "sample_traces" / "communication-ddp").to_dict()
    assert list(differences(together, alone)) == []


def test_the_late_rank_is_found_whatever_the_clocks_say(tmp_path: Path) -> None:
    write_ranks(tmp_path, 12, late=5)
    found = by_ranks(tmp_path)
    assert found.verdict.bound == "data"
    assert found.partition_rank == 5
    assert {rank.rank: rank.waits_for for rank in found.ranks} == {rank: None if rank == 5 else 5 for rank in range(12)}
    skew = [rank.partition["skew"] for rank in found.ranks if rank.rank != 5]
    assert skew == pytest.approx([LATE_NS / MS] * 11, rel=0.01)
    assert list(differences(diagnose(load(tmp_path)).to_dict(), found.to_dict())) == []


def test_a_corrupt_and_a_missing_rank_are_named_and_the_rest_is_judged(tmp_path: Path) -> None:
    write_ranks(tmp_path, 8, late=5)
    (tmp_path / "rank0003.json.gz").write_bytes(b"\x1f\x8b no more")
    (tmp_path / "rank0006.json.gz").unlink()
    found = by_ranks(tmp_path)
    assert found.source.ranks == (0, 1, 2, 4, 5, 7)
    assert found.partition_rank == 5
    assert found.verdict.sentence.endswith("Judged on 6 of 8 ranks, without ranks 3,6 (rank0003.json.gz).")
    assert "ranks-missing" in found.verdict.flags
    assert any("left out" in warning and "rank0003.json.gz" in warning for warning in found.capture.warnings)


def test_ranks_together_say_too_which_of_them_were_judged(tmp_path: Path) -> None:
    write_ranks(tmp_path, 3, late=1)
    (tmp_path / "rank0002.json.gz").write_bytes(b"\x1f\x8b no more")
    assert diagnose(load(tmp_path)).verdict.sentence == by_ranks(tmp_path).verdict.sentence


def test_all_ranks_there_means_no_word_about_them(tmp_path: Path) -> None:
    write_ranks(tmp_path, 2)
    found = by_ranks(tmp_path)
    assert "udged on" not in found.verdict.sentence
    assert "ranks-missing" not in found.verdict.flags


def test_what_is_no_trace_in_a_folder_is_no_missing_rank(tmp_path: Path) -> None:
    write_ranks(tmp_path, 2)
    (tmp_path / "settings.json").write_text('{"lr": 1}')
    found = by_ranks(tmp_path)
    assert "udged on" not in found.verdict.sentence
    assert "settings.json is no trace and was passed over." in found.capture.warnings


def test_nothing_but_corrupt_files_is_an_error_that_names_one(tmp_path: Path) -> None:
    for rank in range(2):
        (tmp_path / f"rank{rank}.json.gz").write_bytes(b"\x1f\x8b no more")
    with pytest.raises(UnreadableError, match=r"rank0\.json\.gz"):
        by_ranks(tmp_path)


def test_two_files_of_one_rank_are_refused(tmp_path: Path) -> None:
    write_ranks(tmp_path, 2)
    (tmp_path / "again.json.gz").write_bytes((tmp_path / "rank0001.json.gz").read_bytes())
    with pytest.raises(InputError, match="both say they are rank 1"):
        by_ranks(*sorted(tmp_path.glob("*.json.gz")))


def test_ranks_that_do_not_say_who_they_are_get_a_place(tmp_path: Path) -> None:
    write_ranks(tmp_path, 2)
    for path, name in zip(sorted(tmp_path.glob("*.json.gz")), ("a", "b"), strict=True):
        document = json.loads(gzip.decompress(path.read_bytes()))
        del document["distributedInfo"]
        for event in document["traceEvents"]:
            event["pid"] = f"{event['pid']}{name}" if event["cat"] == "cpu_op" else event["pid"]
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        path.unlink()
    found = by_ranks(tmp_path)
    assert found.source.ranks == (0, 1)
    assert {rank.rank: rank.waits_for for rank in found.ranks} == {0: 1, 1: None}
    assert sum("nothing says which rank" in warning for warning in found.capture.warnings) == 2
    swapped = by_ranks(tmp_path / "a.json", tmp_path / "b.json", ranks=[1, 0])
    assert {rank.rank: rank.waits_for for rank in swapped.ranks} == {0: None, 1: 0}


def test_what_comes_back_from_a_rank_is_small(tmp_path: Path) -> None:
    write_ranks(tmp_path, 2)
    files = rank_files([str(tmp_path)])
    assert files is not None
    assert len(pickle.dumps(reduce_file(0, files.files[0]))) < 20_000


def test_progress_counts_every_file(tmp_path: Path) -> None:
    write_ranks(tmp_path, 3)
    told: list[tuple[int, int, str]] = []
    by_ranks(tmp_path, progress=lambda *what: told.append(what))
    assert [done for done, _, what in told if what == "reading"] == [0, 1, 2, 3]
    assert {total for _, total, _ in told} == {3}


def test_a_rank_that_is_gone_at_the_second_look_still_counts(tmp_path: Path) -> None:
    write_ranks(tmp_path, 3, late=1)
    files = rank_files([str(tmp_path)])
    assert files is not None

    class Forgetful(Processes):
        def closely(self, file: RankFile, step_ms: float | None) -> Outcome:
            Path(file.address).unlink()
            return super().closely(file, step_ms)

    found = diagnose_files(files, Forgetful(1))
    assert (found.partition_rank, found.verdict.bound) == (1, "data")


def test_the_document_tells_a_limited_number_of_ranks_and_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ranks(tmp_path, 6, late=5)
    for number in range(5):
        (tmp_path / f"settings{number}.json").write_text("{}")
    monkeypatch.setattr("llmprof.analyzers.diagnose.MOST_SUMMARIES", 2)
    monkeypatch.setattr("llmprof.analyzers.facts.measure.MOST_WARNINGS", 2)
    found = by_ranks(tmp_path)
    assert len(found.ranks) == 2 and 5 in {rank.rank for rank in found.ranks}
    assert found.source.ranks == tuple(range(6))
    assert found.capture.warnings[2:] == (
        "3 more warnings of the readers are not shown.",
        "of 6 ranks the parts of the 2 with most work of their own are written down.",
    )


def test_processes_are_used_for_many_files_and_not_for_few(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    write_ranks(few, 2)
    write_ranks(many, MANY_FILES)
    chosen = [rank_files([str(folder)]) for folder in (few, many)]
    assert chosen[0] is not None and chosen[1] is not None
    assert local_engine(chosen[0]) is None
    assert isinstance(local_engine(chosen[0], always=True), Processes)
    assert isinstance(local_engine(chosen[1]), Processes)
