"""Which rank is a process before it has a process group? What its launcher's variables say."""

from __future__ import annotations

import pytest

from llmprof.collectors.live.session import place_of_rank


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ("", (0, 0, 1)),
        ("RANK=5 WORLD_SIZE=8 LOCAL_RANK=1", (5, 1, 8)),
        ("RANK=5 WORLD_SIZE=8", (5, 5, 8)),
        ("SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=8 SLURM_NTASKS=8 SLURM_LOCALID=1", (5, 1, 8)),
        ("SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_LOCALID=0", (0, 0, 1)),  # the script of sbatch, which no srun started
        ("RANK=1 WORLD_SIZE=2 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1 SLURM_LOCALID=0", (1, 0, 2)),
        ("OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1", (3, 1, 4)),
        ("PMI_RANK=3 PMI_SIZE=4 MPI_LOCALRANKID=1", (3, 1, 4)),
        ("RANK=many WORLD_SIZE=", (0, 0, 1)),
    ],
)
def test_place(monkeypatch: pytest.MonkeyPatch, variables: str, place: tuple[int, int, int]) -> None:
    for prefix in ("", "OMPI_COMM_WORLD_", "PMI_"):
        for name in ("RANK", "SIZE", "WORLD_SIZE", "LOCAL_RANK"):
            monkeypatch.delenv(prefix + name, raising=False)
    for pair in variables.split():
        name, _, value = pair.partition("=")
        monkeypatch.setenv(name, value)
    assert place_of_rank() == place
