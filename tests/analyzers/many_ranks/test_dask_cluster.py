"""Ranks are reduced on a Dask cluster over TCP as on one machine; the ranks of a killed worker are done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.many_ranks.dask_cluster import DaskCluster
from llmprof.analyzers.many_ranks.diagnose import diagnose_files
from llmprof.analyzers.many_ranks.processes import Processes
from llmprof.collectors.files.rank_files import RankFiles, rank_files
from llmprof.errors import InputError
from tests.scenarios.ranks import write_ranks

distributed = pytest.importorskip("distributed", reason="needs llmprof[dask]")

pytestmark = [
    # Sockets and loops that a cluster leaves to the garbage collector when it goes.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two workers, each a process of its own, connected over TCP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, protocol="tcp://", dashboard_address=None
        ) as started:
            yield started


def files_in(folder: Path) -> RankFiles:
    found = rank_files([str(folder)])
    assert found is not None
    return found


def test_the_diagnosis_is_that_of_one_machine(cluster: Any, tmp_path: Path) -> None:
    write_ranks(tmp_path, 8, late=5)
    (tmp_path / "rank0003.json.gz").write_bytes(b"\x1f\x8b no more")
    files = files_in(tmp_path)
    assert cluster.scheduler_address.startswith("tcp://")
    with DaskCluster(cluster.scheduler_address) as engine:
        found = diagnose_files(files, engine)
    assert found == diagnose_files(files, Processes(1))
    assert found.partition_rank == 5


def test_the_ranks_of_a_killed_worker_are_done_again(cluster: Any, tmp_path: Path) -> None:
    write_ranks(tmp_path, 24)
    files = files_in(tmp_path)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        victim = next(iter(client.run(os.getpid).values()))
    with DaskCluster(cluster.scheduler_address) as engine:
        outcomes = []
        for outcome in engine.outcomes(files.files, None):
            if not outcomes:
                os.kill(victim, signal.SIGKILL)
            outcomes.append(outcome)
    assert sorted(outcome.place for outcome in outcomes) == list(range(24))
    assert [outcome.error for outcome in outcomes if outcome.rank is None] == []


def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmprof.analyzers.many_ranks.dask_cluster.CONNECT_S", 1)
    with pytest.raises(InputError, match="cannot be reached"):
        DaskCluster("tcp://127.0.0.1:9")


def test_the_command_line_reads_on_the_cluster(cluster: Any, tmp_path: Path) -> None:
    write_ranks(tmp_path, 2)
    command = [sys.executable, "-m", "llmprof", "analyze", str(tmp_path), "--json", "--engine", "dask"]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [*command, "--scheduler", cluster.scheduler_address],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert '"bound": "data"' in done.stdout
