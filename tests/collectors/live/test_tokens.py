"""Tokens are counted exactly, also where the next batch is built in another way than the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmprof.collectors.live.tokens import LOOK_EVERY, STEADY, TokenCounter

torch = pytest.importorskip("torch")


def ids(rows: int, columns: int) -> Any:
    return torch.zeros(rows, columns, dtype=torch.long)


@pytest.mark.parametrize(
    ("batch", "tokens"),
    [
        ({"input_ids": torch.zeros(4, 16, dtype=torch.long), "labels": torch.zeros(4)}, 64),
        ({"mask": torch.zeros(2, 2, dtype=torch.long), "input_ids": torch.zeros(4, 16, dtype=torch.long)}, 64),
        ([torch.zeros(2, 3), [torch.zeros(2, 5, dtype=torch.int32)]], 10),
        (torch.zeros(2, 3, 8, 8), 0),
        (torch.zeros(2, 3), 0),
        (torch.zeros(7, dtype=torch.long), 0),
        ("text", 0),
    ],
)
def test_tokens_are_the_first_integer_matrix_of_a_batch(batch: Any, tokens: int) -> None:
    assert TokenCounter().count(batch) == tokens


def test_batches_that_stay_the_same_are_looked_at_now_and_then() -> None:
    counter = TokenCounter()
    looks: list[int] = []
    for number in range(200):
        size = 3 if number < 120 else 5
        looked = counter.skip == 0
        if looked:
            looks.append(number)
        assert counter.count((ids(2, size), "label")) in (6, 10)
    assert looks[:STEADY] == list(range(STEADY))
    assert 120 <= next(number for number in looks if number >= 120) < 120 + LOOK_EVERY
    assert counter.count((ids(2, 5), "label")) == 10
    assert len(looks) < 60


def test_every_batch_is_counted_whatever_the_one_before_looked_like() -> None:
    counter = TokenCounter()
    batches: list[tuple[Any, int]] = [
        ((ids(2, 3), ids(2, 3)), 6),
        ((ids(4, 5), ids(4, 5)), 20),
        ([ids(2, 3)], 6),
        ((torch.zeros(2, 3), ids(2, 7)), 14),  # the first is no longer one of integers
        ((torch.zeros(2, 3), ids(2, 7).int()), 14),
        ((torch.zeros(7, dtype=torch.long), "text"), 0),
        ({"input_ids": ids(2, 2), "labels": ids(3, 3)}, 4),
        ({"labels": ids(3, 3)}, 9),
        ({"labels": None, "other": [ids(2, 5)]}, 10),
        ({"labels": None, "other": [ids(2, 6)]}, 12),
        (ids(8, 8), 64),
        (np.zeros((3, 4), np.int64), 12),
        ((np.zeros((3, 4), np.int64),), 12),
        ((np.zeros((3, 5), np.int64),), 15),
        (None, 0),
    ]
    for batch, tokens in batches:
        assert counter.count(batch) == tokens


def test_a_batch_like_the_last_one_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = TokenCounter()
    batch = {"mask": torch.zeros(2, 3), "input_ids": ids(2, 3)}
    counter.count(batch)
    monkeypatch.setattr(TokenCounter, "_search", lambda *args: pytest.fail("searched"))
    assert counter.count({**batch, "input_ids": ids(4, 4)}) == 16
