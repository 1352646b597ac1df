"""Single values of a trace: exact where they are numbers, None where they are not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmprof.collectors.files import kineto_arguments as arguments


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_nanosecond_of_int64_survives_its_decimal_text(ns: int) -> None:
    sign, size = "-" if ns < 0 else "", abs(ns)
    assert arguments.nanoseconds(f"{sign}{size // 1000}.{size % 1000:03d}") == ns


@given(st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, places=5))
def test_more_decimals_are_rounded_to_the_nearest_ns(value: Decimal) -> None:
    assert arguments.nanoseconds(f"{value:.5f}") == round(value * 1000)
    assert arguments.nanoseconds(f"{value:.5e}") == round(Decimal(f"{value:.5e}") * 1000)


@pytest.mark.parametrize("value", [None, True, 1.5, "x", "", ".", "NaN", "1e999999999", "1" * 30, 10**17, [], {}])
def test_what_is_no_time_is_none(value: object) -> None:
    assert arguments.nanoseconds(value) is None


@pytest.mark.parametrize(
    ("value", "number"), [(5, 5), ("2048", 2048), ("x", None), (2**70, None), (True, None), (1.0, None)]
)
def test_integers_may_be_quoted(value: object, number: int | None) -> None:
    assert arguments.integer(value) == number


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"Input Dims": [[16, 1024], []], "Input type": ["float", "Scalar"]}, "[16,1024];[]|float;Scalar"),
        ({"Input Dims": [[[16, 8], [8]], []], "Input type": ["TensorList", ""]}, "[[16,8],[8]];[]|TensorList;"),
        ({"Input Dims": [[2]], "Input type": ["unsigned char"]}, "[2]|unsigned char"),
        ({"Input Dims": [[2]]}, "[2]|"),
        ({"Input Dims": []}, None),
        ({}, None),
    ],
)
def test_shapes(args: dict[str, object], text: str | None) -> None:
    assert arguments.shapes(args) == text


@pytest.mark.parametrize(
    ("args", "peer"),
    [
        ({"Collective name": "send", "Dst Rank": 6, "Rank": 1, "Process Group Ranks": "[4, 6]"}, 6),
        ({"Collective name": "recv", "Src Rank": 4, "Rank": 0, "Process Group Ranks": "[4, 6]"}, 4),
        ({"Collective name": "send", "Rank": 1, "Process Group Ranks": "[4, 6]"}, 6),
        ({"Collective name": "send", "Rank": 2, "Process Group Ranks": "[4, 6]"}, None),
        ({"Collective name": "send", "Rank": 1, "Process Group Ranks": "[0, 1, ...]"}, None),
        ({"Collective name": "broadcast", "Rank": 0, "Process Group Ranks": "[4, 6]"}, None),
    ],
    ids=["sent", "received", "place in the group", "no place in it", "a long group", "no message"],
)
def test_the_other_side_of_a_message(args: dict[str, object], peer: int | None) -> None:
    call = arguments.collective(args)
    assert call is not None
    assert call.peer == peer


def test_the_device_that_was_used_is_described() -> None:
    header = {"deviceProperties": [{"id": 0, "name": "A"}, {"id": 1, "name": "B"}], "cuda_runtime_version": 12040}
    environment = arguments.environment(header, 1)
    assert (environment.device.name, environment.gpus_per_node, environment.cuda_version) == ("B", 2, "12.4")
    assert arguments.environment({"deviceProperties": []}, None).gpus_per_node is None
