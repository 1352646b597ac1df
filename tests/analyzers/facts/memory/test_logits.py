"""Are the logits found by the shape of the loss?"""

from __future__ import annotations

from typing import Any

from llmprof.analyzers.facts.memory.logits import logits_facts
from tests.scenarios.builder import TraceBuilder


def recording(*operators: tuple[str, tuple[list[Any], list[str]] | None]) -> TraceBuilder:
    built = TraceBuilder()
    for place, (name, shapes) in enumerate(operators):
        built.op(name, 10_000 * place, 5_000, shapes=shapes)
    return built


def test_the_largest_log_softmax_with_three_tensors_of_its_size() -> None:
    found = logits_facts(
        recording(
            ("aten::_log_softmax", ([[64, 1000], []], ["float", "Scalar"])),
            ("aten::_log_softmax_backward_data", ([[8192, 50304], [8192, 50304], []], ["float", "float", "Scalar"])),
        ).rank()
    )
    assert found is not None
    assert (found.rows, found.vocabulary, found.width) == (8192, 50304, 4)
    assert found.bytes == 3 * 8192 * 50304 * 4


def test_leading_dimensions_are_rows() -> None:
    found = logits_facts(
        recording(("aten::_log_softmax", ([[8, 1024, 32000], []], ["c10::BFloat16", "Scalar"]))).rank()
    )
    assert found is not None and (found.rows, found.width) == (8192, 2)


def test_without_shapes_or_loss_nothing_is_known() -> None:
    assert logits_facts(recording(("aten::_log_softmax", None)).rank()) is None
    assert logits_facts(recording(("aten::mm", ([[8, 8], [8, 8]], ["float", "float"]))).rank()) is None
    assert logits_facts(recording(("aten::_log_softmax", ([[8], []], ["float", "Scalar"]))).rank()) is None
