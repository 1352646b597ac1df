"""512 ranks made from recorded ones: the truth is found, and neither the answer nor the reports explode.

Slow: `pytest -m slow tests/analyzers/many_ranks`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from llmprof.analyzers.facts.communication.alignment import match_collectives
from llmprof.analyzers.facts.communication.clocks import clocks_of
from llmprof.analyzers.facts.communication.rank_calls import RankCalls
from llmprof.analyzers.many_ranks.diagnose import diagnose_files
from llmprof.analyzers.many_ranks.processes import Processes, worker_count
from llmprof.analyzers.many_ranks.task import reduce_file
from llmprof.collectors.files.rank_files import RankFiles, rank_files
from llmprof.reports import write_report

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("many_ranks_benchmark", ROOT / "benchmarks" / "many_ranks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sources(recordings: Path) -> list[Path]:
    paths = [recordings / "h200" / f"straggler_data.rank{rank}.json.gz" for rank in range(2)]
    if not all(path.is_file() for path in paths):
        pytest.skip(f"no recordings {paths}")
    return paths


def files_in(folder: Path) -> RankFiles:
    found = rank_files([str(folder)])
    assert found is not None
    return found


def calls_of(files: RankFiles) -> list[RankCalls]:
    reduced = [reduce_file(place, file).rank for place, file in enumerate(files.files)]
    return [rank.calls for rank in reduced if rank is not None and rank.calls is not None]


def test_planted_clock_offsets_are_found(maker: ModuleType, recordings: Path, tmp_path: Path) -> None:
    """The ends scatter by 2 µs, so the median over 14 collectives a step is well within that."""
    truth = maker.make(tmp_path, sources(recordings), 6, 3, jitter_ns=20_000, skew_ns=200_000_000)
    calls = calls_of(files_in(tmp_path))
    clocks = clocks_of(calls, match_collectives(calls))
    # The late rank is made from the other recording, whose own clock is that of the same machine.
    error = {rank: clocks[rank].offset_ns - ahead for rank, ahead in enumerate(truth["offset_ns"]) if rank != 3}
    assert max(map(abs, error.values())) < 2_000
    assert all(clock.residual_ns < 5_000 for clock in clocks.values())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_512_ranks(maker: ModuleType, recordings: Path, tmp_path: Path) -> None:
    ranks = tmp_path / "ranks512"
    maker.make(ranks, sources(recordings), 512, 317, jitter_ns=20_000, skew_ns=200_000_000)
    (ranks / "rank00100.json.gz").write_bytes(b"\x1f\x8b no more")
    files = files_in(ranks)
    found = diagnose_files(files, Processes(worker_count(files.files)))
    assert (found.verdict.bound, found.partition_rank) == ("data", 317)
    assert "Judged on 511 of 512 ranks, without rank 100 (rank00100.json.gz)." in found.verdict.sentence
    assert {rank.waits_for for rank in found.ranks if rank.rank != 317} == {317}
    for ending, most in ((".html", 500_000), (".json", 300_000), (".md", 30_000), (".txt", 4_000)):
        write_report(found, tmp_path / f"report{ending}")
        assert (tmp_path / f"report{ending}").stat().st_size < most
