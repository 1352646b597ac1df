"""FLOPs from shapes: formulas with known results, PyTorch's own counter on a real training step, a published figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmprof.analyzers.facts.operators.flops import count_flops, flops_of
from llmprof.collectors.files.kineto import read_kineto


@pytest.mark.parametrize(
    ("operator", "shapes", "needed", "done", "number_format"),
    [
        ("aten::mm", "[16,64];[64,32]|c10::BFloat16;c10::BFloat16", 2 * 16 * 64 * 32, 2 * 16 * 64 * 32, "bf16"),
        ("aten::addmm", "[32];[16,64];[64,32];[];[]|float;float;float;Scalar;Scalar", 65536, 65536, "fp32"),
        ("aten::bmm", "[4,16,64];[4,64,32]|c10::Half;c10::Half", 4 * 65536, 4 * 65536, "fp16"),
        ("aten::_scaled_mm", "[16,64];[64,32]|c10::Float8_e4m3fn;c10::Float8_e4m3fn", 65536, 65536, "fp8"),
        # B 2, H 4, S 128, D 64: two products of 2*2*4*128*128*64 each
        ("aten::_scaled_dot_product_flash_attention", "[2,4,128,64];[2,4,128,64];[2,4,128,64]|c10::BFloat16",
         33_554_432, 33_554_432, "bf16"),
        ("aten::_scaled_dot_product_flash_attention_backward",
         "[2,4,128,64];[2,4,128,64];[2,4,128,64];[2,4,128,64]|c10::BFloat16;c10::BFloat16",
         67_108_864, 83_886_080, "bf16"),
        # grouped queries: the number of query heads counts
        ("aten::_scaled_dot_product_flash_attention", "[2,4,128,64];[2,1,128,64];[2,1,128,64]|c10::BFloat16",
         33_554_432, 33_554_432, "bf16"),
        ("flash_attn::_flash_attn_forward", "[2,128,4,64];[2,128,4,64];[2,128,4,64]|c10::BFloat16",
         33_554_432, 33_554_432, "bf16"),
    ],
)  # fmt: skip
def test_a_formula(operator: str, shapes: str, needed: float, done: float, number_format: str) -> None:
    assert flops_of(operator, shapes) == (needed, done, number_format)


@pytest.mark.parametrize(
    "case",
    [("aten::relu", "[16,64]|float"), ("aten::mm", "[16,64];[32,64]|float;float"), ("aten::mm", "[16,64]|float"),
     ("aten::mm", "|"), ("aten::mm", "[];[]|float"), ("aten::mm", "[[16,64],[64,32]]|float")],
)  # fmt: skip
def test_what_is_no_product_is_not_counted(case: tuple[str, str]) -> None:
    assert flops_of(*case) is None


def test_a_training_step_counts_as_pytorch_counts_it(tmp_path: Path) -> None:
    """FlopCounterMode and the trace of the same step agree on what is executed; it leaves out attention on the CPU."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, dropout=0.0)
    data = torch.randn(2, 32, 64)

    def step() -> None:
        q, k, v = (part.view(2, 32, 4, 16).transpose(1, 2) for part in layer(data).chunk(1, -1) * 3)
        torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()

    step()
    with FlopCounterMode(display=False) as counter:
        step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profiler:
        step()
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = read_kineto(tmp_path / "trace.json").events
    assert events is not None
    facts = count_flops(events, np.array([events.ts.min()]), np.array([events.end.max() + 1]))
    assert facts is not None
    heads = (2, 4, 32, 16)
    attention = sdpa_flop_count(heads, heads, heads) + sdpa_backward_flop_count(heads, heads, heads, heads)
    assert facts.executed == counter.get_total_flops() + 2 * attention
    assert facts.model < facts.executed
    assert facts.by_format == {"fp32": facts.model}


def test_a_published_model_has_its_published_flops() -> None:
    """Llama 3 8B at 8192 tokens: 57.914 GFLOP a token, attention in full (torchtitan, norm weights included)."""
    tokens, width, heads, kv, depth, hidden, vocabulary, layers = 8192, 4096, 32, 8, 128, 14336, 128256, 32
    products = [(width, width + 2 * kv * depth), (width, width), (width, 2 * hidden), (hidden, width)] * layers
    products.append((width, vocabulary))
    total = 0.0
    for inner, outer in products:
        forward = flops_of("aten::mm", f"[{tokens},{inner}];[{inner},{outer}]|float;float")
        assert forward is not None
        total += 3 * forward[0]  # the gradients of both operands take as much each
    heads_of = f"[1,{heads},{tokens},{depth}];[1,{kv},{tokens},{depth}];[1,{kv},{tokens},{depth}]"
    forward = flops_of("aten::_scaled_dot_product_flash_attention", f"{heads_of}|float")
    backward = flops_of(
        "aten::_scaled_dot_product_flash_attention_backward", f"[1,{heads},{tokens},{depth}];{heads_of}|float;float"
    )
    assert forward is not None and backward is not None
    total += layers * (forward[0] + backward[0])
    assert total / tokens / 1e9 == pytest.approx(57.914, rel=1e-4)
