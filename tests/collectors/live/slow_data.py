"""Datasets with planted load times, where spawned workers can import them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

PAUSE_S = 0.004


class Samples(Dataset[Tensor]):
    """Each sample takes PAUSE_S, in a worker that sees its own dataset."""

    def __init__(self, items: int, pause: float = PAUSE_S) -> None:
        self.items, self.pause = items, pause

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> Tensor:
        info = get_worker_info()
        assert info is None or type(info.dataset) is type(self)
        time.sleep(self.pause)
        return torch.full((8,), float(index))


class Together(Samples):
    """A batch is read at once."""

    def __getitems__(self, indices: list[int]) -> list[Tensor]:
        assert type(indices) is list
        return [self[index] for index in indices]


class Stream(IterableDataset[Tensor]):
    """Each worker's share of the samples, one after the other."""

    def __init__(self, items: int) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Tensor]:
        info = get_worker_info()
        for index in range(self.items if info is None else self.items // info.num_workers):
            time.sleep(PAUSE_S)
            yield torch.full((8,), float(index))


class Failing(Samples):
    """The fourth sample cannot be read."""

    def __getitem__(self, index: int) -> Tensor:
        if index == 3:
            raise ValueError("sample 3 is damaged")
        return super().__getitem__(index)


def stack(samples: list[Tensor]) -> Tensor:
    """A collate function of the script's own, which takes its time too."""
    time.sleep(PAUSE_S)
    return torch.stack(samples)


def fail(samples: Any) -> Any:
    """One that fails."""
    raise KeyError("no such field")
