"""Do the rules about kernels fire on real recordings of what they look for, and keep quiet on the others?"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import (
    bandwidth_bound,
    conv_layout,
    layout_copies,
    low_bandwidth_kernels,
    low_mfu,
    misaligned_matmul,
    recompute_overuse,
    slow_attention_backend,
    unfused_attention,
    unfused_cross_entropy,
    unfused_elementwise,
    unfused_norm,
)
from llmprof.collectors.files import load

RULES = {
    module.RULE.id: module.evaluate
    for module in (
        bandwidth_bound, conv_layout, layout_copies, low_bandwidth_kernels, low_mfu, misaligned_matmul,
        recompute_overuse, slow_attention_backend, unfused_attention, unfused_cross_entropy,
        unfused_elementwise, unfused_norm,
    )
}  # fmt: skip
GPT = {"unfused-cross-entropy", "unfused-elementwise", "layout-copies", "low-bandwidth-kernels"}
"""What every eager GPT under autocast has: many casts, and a loss in separate operators."""
FIRED = {
    "h200/compute_recompute": GPT | {"recompute-overuse"},
    "h200/data_workers0_fixed": GPT,
    # OWLv2 with attention written out: inference, and the input is late.
    "kineto_public/tracelens_h100_owlv2": {"unfused-attention", "low-bandwidth-kernels"},
    # Qwen 0.5B: inference with FlashAttention-2 on an H100, much of it rotary embeddings and copies.
    "kineto_public/tracelens_h100_qwen": {
        "bandwidth-bound", "layout-copies", "low-bandwidth-kernels", "low-mfu", "slow-attention-backend",
        "unfused-elementwise", "unfused-norm",
    },
    # A ResNet that checkpoints its blocks, on an MI300X that mostly waits for its peers.
    "kineto_public/tracelens_mi300_resnet_act_checkpoint": {
        "recompute-overuse", "low-bandwidth-kernels", "unfused-elementwise",
    },
}  # fmt: skip


@lru_cache(maxsize=2)
def facts_of(recordings: Path, name: str) -> Facts:
    paths = sorted(recordings.glob(f"{name}*.json.gz"))
    if not paths:
        pytest.skip(f"no recording {name} in {recordings}")
    return measure(load([str(path) for path in paths if "fixed" in name or "fixed" not in path.name]))


@pytest.mark.parametrize("name", FIRED)
def test_what_is_there_is_found_and_nothing_else(recordings: Path, name: str) -> None:
    facts = facts_of(recordings, name)
    assert {rule for rule, evaluate in RULES.items() if evaluate(facts).finding.status == "fired"} == FIRED[name]


def test_promises_do_not_exceed_what_kernels_take(recordings: Path) -> None:
    """A gain is never more than the time of the kernels that are on the device."""
    facts = facts_of(recordings, "h200/data_workers0_fixed")
    assert facts.critical.operators is not None
    for evaluate in RULES.values():
        for one in evaluate(facts).recommendations:
            assert one.gain.high_ms * 1e6 <= facts.critical.operators.ns
