"""Load times as the recorder writes them, and as a damaged file may hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmprof.collectors.files.run_loads import batch_loads


def line(**changes: Any) -> dict[str, Any]:
    columns = {"loader": [0, 0], "worker": [0, 1], "start": [200, 100], "ns": [7, 8], "cpu": [1, 2]}
    return {"made": 2, "lost": 0, **columns, **changes}


def test_batches_of_all_lines_in_the_order_of_their_beginning() -> None:
    loads = batch_loads([line(), line(start=[50, 300])])
    assert loads is not None
    assert loads.start_ns.tolist() == [50, 100, 200, 300]
    assert loads.worker.tolist() == [0, 1, 0, 1]
    assert loads.duration_ns.tolist() == [7, 8, 7, 8]
    assert loads.cpu_ns.dtype == np.int64
    assert len(loads) == 4


@pytest.mark.parametrize(
    "damaged",
    [
        {"worker": [0]},
        {"ns": None},
        {"start": "now"},
        {"ns": [-5, -5]},
        {"start": [1.5, None]},
        {"loader": [[], {}]},
        {"worker": [True, False]},
        {"start": [1 << 70, 1 << 70]},
        {"loader": [], "worker": [], "start": [], "ns": [], "cpu": []},
    ],
)
def test_what_does_not_fit_is_left_out(damaged: dict[str, Any]) -> None:
    assert batch_loads([line(**damaged)]) is None
    loads = batch_loads([line(**damaged), line()])
    assert loads is not None
    assert len(loads) == 2


@pytest.mark.parametrize("cpu", [None, [1], "fast"])
def test_without_cpu_times_the_batches_remain(cpu: Any) -> None:
    loads = batch_loads([line(cpu=cpu)])
    assert loads is not None
    assert loads.cpu_ns.tolist() == [-1, -1]


def test_a_recorded_run_keeps_its_batches(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from llmprof.collectors.files.run_directory import read_run_directory
    from llmprof.collectors.live import injection
    from tests.collectors.live.slow_data import PAUSE_S, Samples
    from tests.collectors.live.training_loops import loss, model, sgd

    recording = injection.record(lambda: tmp_path, {"trace_steps": 0})
    net = model()
    optimizer = sgd(net)
    batches = torch.utils.data.DataLoader(Samples(24), batch_size=2, num_workers=2, multiprocessing_context="fork")
    for batch in batches:
        loss(net, batch).backward()
        optimizer.step()
    recording.stop()
    [rank] = read_run_directory(tmp_path).ranks
    assert rank.loads is not None and rank.times is not None
    assert len(rank.loads) == 12
    assert int(rank.loads.duration_ns.min()) >= 2 * PAUSE_S * 1e9
    end = rank.times.start_ns[-1] + rank.times.wall_ns[-1]
    assert rank.times.start_ns[0] - 10**9 < rank.loads.start_ns[0] < rank.loads.start_ns[-1] < end
    [settings] = rank.environment.loaders
    assert (settings.loader, settings.dataset_kind, settings.sampler) == ("DataLoader", "map", "SequentialSampler")
    assert settings.loads_not_measured is None
