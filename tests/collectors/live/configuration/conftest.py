"""A session that has seen a loader and an optimizer, and one process that believes to be several."""

from __future__ import annotations

import datetime
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.collectors.live.fake_session import FakeSession


class Numbers:
    """Eight numbers, as a map-style dataset."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        return index


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch):
    """A collector that a test starts and does not stop still watches autocast; put the real functions back."""
    torch = pytest.importorskip("torch")
    for owner, name in ((torch.amp.autocast_mode.autocast, "__enter__"), (torch.amp.GradScaler, "scale")):
        monkeypatch.setattr(owner, name, owner.__dict__[name])


@pytest.fixture
def session(tmp_path):
    """A session that has seen one loader and one optimizer over a model of 100 float32 and 10 bfloat16 values."""
    torch = pytest.importorskip("torch")
    fake = FakeSession(tmp_path)
    fake.model = [torch.nn.Parameter(torch.zeros(100)), torch.nn.Parameter(torch.zeros(10, dtype=torch.bfloat16))]
    fake.optimizer = torch.optim.AdamW(fake.model, lr=0.1)
    fake.loader = torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=2, prefetch_factor=3)
    fake.optimizers = [weakref.ref(fake.optimizer)]
    fake.loaders = [weakref.ref(fake.loader)]
    return fake


@pytest.fixture
def world() -> Iterator[Callable[[int], Any]]:
    """Makes a process group of this process alone: really (gloo) for one rank, of PyTorch's `fake` backend for more."""
    pytest.importorskip("torch")
    import torch.distributed as dist

    def make(size: int) -> Any:
        if size == 1:
            timeout = datetime.timedelta(seconds=77)
            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1, timeout=timeout)
        else:
            fake_pg = pytest.importorskip("torch.testing._internal.distributed.fake_pg")
            dist.init_process_group("fake", store=fake_pg.FakeStore(), rank=0, world_size=size)
        return dist

    yield make
    if dist.is_initialized():
        dist.destroy_process_group()
