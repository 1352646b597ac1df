"""Is the gradient of a small table that very many look-ups add to told from that of a vocabulary?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.operators.contended_tables import ADDITIONS_PER_NS, contended_tables
from llmprof.analyzers.facts.operators.operators import OperatorWork
from tests.analyzers.rules.operators_builder import work


def table(rows: int, indices: str, width: int, ms: float = 1.5, calls: float = 3.0) -> list[OperatorWork]:
    """A look-up and its gradient."""
    return [
        work("aten::embedding", f"[{rows},{width}];[{indices}]", 0.6, kind="embedding", types="float;long int"),
        work(
            "aten::embedding_dense_backward", f"[{indices},{width}];[{indices}]", ms, kind="embedding", calls=calls,
            types="float;long int", backward=True,
        ),
    ]  # fmt: skip


def test_distances_of_all_pairs_share_the_row_of_the_farthest() -> None:
    """1024 words, 32 distances: (1 - 32 / 1024)^2 of a million pairs are as far apart as is told apart, or more."""
    (one,) = contended_tables(table(32, "1024,1024", 16))
    additions_ns = 3 * 1024**2 / ADDITIONS_PER_NS
    assert (one.rows, one.lookups) == (32, 1024**2)
    assert one.expected_ns == pytest.approx(8 * (1 - 32 / 1024) ** 2 * additions_ns)
    assert one.worst_ns == pytest.approx(16 * additions_ns)  # a row of 16 numbers is two sectors, in turn
    assert one.best_ns == pytest.approx(8 * additions_ns / 32)


def test_what_are_no_distances_is_expected_to_be_even() -> None:
    (one,) = contended_tables(table(2, "64,512", 768))
    assert one.expected_ns == one.best_ns < one.worst_ns


@pytest.mark.parametrize("given", [table(32128, "16,4096", 1024), table(512, "64,512", 768)])
def test_a_vocabulary_and_positions_are_not_contended(given: list[OperatorWork]) -> None:
    assert contended_tables(given) == ()


@pytest.mark.parametrize("given", [table(0, "64,512", 768), table(2, "0,512", 768), table(2, "64,512", 0)])
def test_nothing_is_told_of_tables_and_look_ups_without_a_size(given: list[OperatorWork]) -> None:
    assert all(one.rows > 0 for one in contended_tables(given))


def test_a_table_without_a_gradient_is_not() -> None:
    assert contended_tables(table(32, "1024,1024", 16)[:1]) == ()
