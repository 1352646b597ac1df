"""A process that dies is replaced; only the file that kills every process is left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.many_ranks import processes
from llmprof.analyzers.many_ranks.diagnose import diagnose_files
from llmprof.analyzers.many_ranks.processes import Processes, usable_cores, usable_memory, worker_count
from llmprof.collectors.files.rank_files import RankFile, RankFiles, rank_files
from tests.scenarios.ranks import write_ranks


class Deadly(str):
    """An address that ends whatever process it is sent to."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_a_file_that_kills_its_process_is_named_and_the_others_are_judged(tmp_path: Path) -> None:
    write_ranks(tmp_path, 6, late=2)
    found = rank_files([str(tmp_path)])
    assert found is not None
    deadly = RankFile(address=Deadly(tmp_path / "rank0004.json.gz"))
    files = [deadly if file.name == "rank0004.json.gz" else file for file in found.files]
    diagnosis = diagnose_files(RankFiles(files=tuple(files), kind="kineto", paths=found.paths), Processes(2))
    assert diagnosis.source.ranks == (0, 1, 2, 3, 5)
    assert diagnosis.partition_rank == 2
    assert "Judged on 5 of 6 ranks, without rank 4 (rank0004.json.gz)." in diagnosis.verdict.sentence
    assert any("ends the process that reads it" in warning for warning in diagnosis.capture.warnings)


def test_no_more_processes_than_files_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [RankFile(address=f"rank{rank}.json", size=1 << 20) for rank in range(64)]
    large = [RankFile(address=f"rank{rank}.json.gz", size=1 << 30) for rank in range(64)]
    monkeypatch.setattr(processes, "usable_cores", lambda: 32)
    monkeypatch.setattr(processes, "usable_memory", lambda: 8 << 30)
    assert worker_count(small[:3]) == 3
    assert worker_count(small) == 32
    assert 1 <= worker_count(large) <= 5
    monkeypatch.setattr(processes, "usable_memory", lambda: 1 << 20)
    assert worker_count(small) == 1


def test_this_machine_has_a_core_and_memory() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert usable_memory() > 0
