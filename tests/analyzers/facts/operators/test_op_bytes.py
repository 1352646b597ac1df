"""How many bytes must an operator move? Counts by hand."""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.operators.op_bytes import bytes_of, largest_elements, operands_of, result_bytes

BF, F = "c10::BFloat16", "float"


@pytest.mark.parametrize(
    ("operator", "text", "moved", "returned"),
    [
        ("aten::mm", f"[16,64];[64,32]|{BF};{BF}", 2 * (16 * 64 + 64 * 32 + 16 * 32), 2 * 16 * 32),
        ("aten::addmm", f"[32];[16,64];[64,32];[];[]|{F};{F};{F};Scalar;Scalar", 4 * (1024 + 2048 + 512), None),
        ("aten::add", f"[8,4];[4];[]|{F};{F};Scalar", 4 * (32 + 4 + 32), 4 * 32),
        ("aten::mul", f"[8,4];[];[8,4]|{F};double;{F}", 4 * (32 + 32), None),  # out=: written, not read
        ("aten::native_batch_norm", f"[2,4,8,8];[4];[4]|{BF};{F};{F}", 3 * 2 * 512, None),
        ("aten::add_", f"[8,4];[8,4];[]|{F};{F};Scalar", 4 * 3 * 32, 0),
        ("aten::gelu", f"[8,4];[]|{BF};", 2 * 2 * 32, 2 * 32),
        ("aten::copy_", f"[8,4];[8,4];[]|{BF};{F};Scalar", 32 * (2 + 4), 2 * 32),
        ("aten::native_layer_norm", f"[8,4];[];[4];[4];[]|{BF};ScalarList;{F};{F};Scalar", 2 * 2 * 32, None),
        ("aten::_softmax", f"[8,4];[];[]|{BF};Scalar;Scalar", 2 * 2 * 32, 2 * 32),
        ("aten::_log_softmax_backward_data", f"[8,4];[8,4]|{F};{F}", 3 * 4 * 32, 4 * 32),
        ("aten::embedding", f"[100,64];[2,8]|{F};long int", 2 * 16 * 64 * 4, None),
        ("aten::sum", f"[8,4];[]|{BF};Scalar", 2 * 32, 0),
        ("aten::cat", "[[8,4],[8,4]];[]|TensorList;Scalar", 2 * 2 * 64, 2 * 64),
        # B 2, H 4, S 128, D 64: queries, keys, values and the result
        ("aten::_scaled_dot_product_flash_attention", f"[2,4,128,64];[2,4,128,64];[2,4,128,64]|{BF};{BF};{BF}",
         4 * 65536 * 2, 65536 * 2),
    ],
)  # fmt: skip
def test_counts(operator: str, text: str, moved: int, returned: int | None) -> None:
    assert bytes_of(operator, text) == moved
    if returned is not None:
        assert result_bytes(operator, text) == returned


@pytest.mark.parametrize(
    ("operator", "text"),
    [("aten::mm", "[16,64]|float"), ("aten::mm", "|"), ("aten::add", "[];[]|Scalar;Scalar"), ("mine::op", "[8]|float"),
     ("aten::copy_", "[8]|float"), ("aten::mm", "[16,64];[64,32]|Unknown;Unknown"), ("aten::cat", "[]|TensorList")],
)  # fmt: skip
def test_what_cannot_be_counted_is_unknown(operator: str, text: str) -> None:
    assert bytes_of(operator, text) is None


def test_a_list_of_tensors_is_one_argument() -> None:
    found = operands_of("[[8,4],[8,4]];[16]|TensorList;float")
    assert found.dims == ((), (16,)) and found.tensors == (1,)
    assert largest_elements("[[8,4],[2,2]];[16]|TensorList;float") == 32
    assert largest_elements("[];[]|Scalar;Scalar") == 0
