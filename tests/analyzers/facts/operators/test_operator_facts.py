"""Are operators joined with kernels and shapes, and the patterns among them found? Real steps, real recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmprof.analyzers.facts.operators.flops import count_flops, rank_flops
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts, operator_facts
from llmprof.analyzers.facts.steps.inside import host_steps
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.timeline.events import StringTable
from llmprof.timeline.steps import StepMarks
from llmprof.timeline.timeline import RankTimeline, ShapedSteps
from tests.analyzers.facts.conftest import Recorded
from tests.scenarios.launched import launched

torch = pytest.importorskip("torch", reason="the steps are recorded with PyTorch")
B, H, S, D, VOCABULARY = 2, 4, 16, 8, 1001


def measured(rank: RankTimeline) -> OperatorFacts:
    found = operator_facts(rank, windows_of(rank))
    assert found is not None
    return found


def ten(operator: str, shapes: str) -> float:
    return 10.0


class Block(torch.nn.Module):
    """A block of a transformer with attention written out."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(H * D)
        self.qkv = torch.nn.Linear(H * D, 3 * H * D)
        self.out = torch.nn.Linear(H * D, H * D)

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(self.norm(x)).view(B, S, 3, H, D).permute(2, 0, 3, 1, 4)
        mask = torch.ones(S, S, dtype=torch.bool).triu(1)
        scores = (q @ k.transpose(-2, -1) * D**-0.5).masked_fill(mask, -1e9).softmax(-1)
        return x + self.out((scores @ v).transpose(1, 2).reshape(B, S, H * D))


def training_step(*, checkpoint: bool | None = None) -> Callable[[], None]:
    """A training step in bf16 autocast; `checkpoint` is use_reentrant of a checkpointed block, None without."""
    from torch.utils.checkpoint import checkpoint as again

    table, block = torch.nn.Embedding(VOCABULARY, H * D), Block()
    head = torch.nn.Linear(H * D, VOCABULARY, bias=False)
    tokens = torch.randint(0, VOCABULARY, (B, S))

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = table(tokens)
            x = block(x) if checkpoint is None else again(block, x, use_reentrant=checkpoint)
            loss = torch.nn.functional.cross_entropy(head(x).view(-1, VOCABULARY).float(), tokens.view(-1))
        loss.backward()

    return step


def test_attention_that_is_written_out_is_seen_whole(tmp_path: Path) -> None:
    found = measured(launched(training_step(), tmp_path, ten)).attention
    assert found is not None
    assert (found.queries, found.keys, found.heads, found.masked, found.number_format) == (S, S, B * H, True, "bf16")
    assert found.calls == 1
    product = 2 * B * H * S * S * D
    assert found.flops == 6 * product  # two products forward, four backward
    assert found.backward_flops == 4 * product
    # Beside its products: scale, mask and softmax forward, and the same backward.
    assert found.ns >= (6 + 3 + 3) * 10_000


def test_fused_attention_is_not_taken_for_it(tmp_path: Path) -> None:
    x = torch.randn(B, H, S, D, requires_grad=True)

    def step() -> None:
        torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).sum().backward()

    assert measured(launched(step, tmp_path, ten)).attention is None


def test_a_softmax_over_classes_is_no_attention(tmp_path: Path) -> None:
    x = torch.randn(B, S, 64, requires_grad=True)
    weight = torch.randn(64, 64)
    assert measured(launched(lambda: (x @ weight).softmax(-1).sum().backward(), tmp_path, ten)).attention is None


def test_the_loss_over_the_vocabulary(tmp_path: Path) -> None:
    found = measured(launched(training_step(), tmp_path, ten)).loss
    assert found is not None
    assert (found.tokens, found.vocabulary, found.element_bytes) == (B * S, VOCABULARY, 2)
    assert found.elements == B * S * VOCABULARY
    assert found.ns >= 4 * 10_000 and not found.compiled  # a cast, log-softmax, its backward, and the cast back


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_is_recomputed_is_what_forward_did(tmp_path: Path, reentrant: bool) -> None:
    """FLOPs recomputed are those of the block's forward; the last product is not needed again and may be left out."""
    again = launched(training_step(checkpoint=reentrant), tmp_path, ten)
    found = measured(again)
    assert found.recompute is not None and found.recompute.result_bytes is not None
    repeated = sum(one.flops or 0.0 for one in found.work if one.recomputed)
    linear, scores = 2 * B * S * H * D * H * D, 2 * 2 * B * H * S * S * D
    assert repeated == pytest.approx(4 * linear + scores) or repeated == pytest.approx(3 * linear + scores)
    flops = rank_flops(again, windows_of(again))
    assert flops is not None and flops.executed - flops.model == pytest.approx(repeated)
    assert not any(one.recomputed for one in found.work if "backward" in one.operator)


def test_nothing_is_recomputed_without_checkpointing(tmp_path: Path) -> None:
    rank = launched(training_step(), tmp_path, ten)
    assert measured(rank).recompute is None
    flops = rank_flops(rank, windows_of(rank))
    assert flops is not None and flops.executed == flops.model


def test_backward_is_told_from_forward(tmp_path: Path) -> None:
    found = measured(launched(training_step(), tmp_path, ten))
    products = [one for one in found.work if one.kind == "gemm"]
    forward = sum(one.flops or 0.0 for one in products if not one.backward)
    assert sum(one.flops or 0.0 for one in products if one.backward) == pytest.approx(2 * forward)


def test_shapes_of_a_second_recording_serve_the_first(tmp_path: Path) -> None:
    """A step traced for time, without shapes, takes those of a step traced for shapes: all of them, the same ones."""
    rank = launched(training_step(), tmp_path, ten, steps=3)
    events, marks = rank.events, rank.marks
    assert events is not None and len(marks) == 3
    last = StepMarks(marks.number[2:], marks.start_ns[2:], marks.end_ns[2:])
    stripped = replace(rank, events=replace(events, shapes={}), shaped=ShapedSteps(events, last))
    assert measured(stripped).work == measured(rank).work
    assert measured(replace(stripped, shaped=None)).shaped_share == 0.0


def test_steps_that_differ_leave_shapes_unknown(tmp_path: Path) -> None:
    """Where the step traced for shapes has other calls than the one traced for time, nothing is guessed."""
    weight, lengths = torch.randn(8, 8), iter([4, 4, 4, 4, 6, 4, 6])

    def step() -> None:
        x = torch.randn(next(lengths), 8)
        for _ in range(x.shape[0]):
            x = x @ weight

    rank = launched(step, tmp_path, ten, steps=2)
    events, marks = rank.events, rank.marks
    assert events is not None
    first = StepMarks(marks.number[:1], marks.start_ns[:1], marks.end_ns[:1])
    varied = replace(rank, events=replace(events, shapes={}), shaped=ShapedSteps(events, first))
    lengths = iter([4, 4, 6])
    uneven = launched(step, tmp_path, ten, steps=2)
    assert uneven.events is not None
    given = ShapedSteps(uneven.events, uneven.marks)
    mixed = replace(uneven, events=replace(uneven.events, shapes={}), shaped=given)
    assert all(one.shapes is None for one in measured(mixed).work if one.operator == "aten::mm")
    assert all(one.shapes is not None for one in measured(varied).work if one.operator == "aten::mm")


def test_a_recording_keeps_its_time(recorded: Recorded) -> None:
    """Operators sum to the kernels of the step, each is known, and none is faster than the device."""
    rank = recorded("h200/compute_recompute.rank0")
    found = measured(rank)
    assert found.shaped_share == 1.0
    assert found.ns / 1e6 == pytest.approx(51.02, abs=0.01)
    assert sum(one.ns for one in found.work) == pytest.approx(found.ns)
    large = [one for one in found.work if one.kind == "gemm" and one.ns > 1e6]
    assert large and all(one.efficiency is not None and 0.6 < one.efficiency < 0.9 for one in large)
    assert found.recompute is not None and found.recompute.ns / 1e6 == pytest.approx(6.76, abs=0.01)
    assert found.attention is None


@pytest.mark.parametrize("case", ["compute_fp32", "data_workers2"])
def test_other_recordings_have_no_recomputation(recorded: Recorded, case: str) -> None:
    assert measured(recorded(f"h200/{case}.rank0")).recompute is None


def test_public_recording_of_attention_written_out(recorded: Recorded) -> None:
    """An H100 trace of OWLv2: 5185 tokens, 16 heads; softmax and products of scores are most of its kernels."""
    found = measured(recorded("kineto_public/tracelens_h100_owlv2"))
    assert found.attention is not None
    assert (found.attention.queries, found.attention.keys, found.attention.heads) == (5185, 5185, 16)
    assert found.attention.ns > 0.85 * found.ns


def test_a_killed_recording_is_no_data() -> None:
    assert operator_facts(RankTimeline(rank=0, events=None), None) is None


def test_convolutions_count_as_pytorch_counts_them(tmp_path: Path) -> None:
    """Strided and transposed ones; FlopCounterMode knows their arguments, the recording only shapes."""
    from torch.utils.flop_counter import FlopCounterMode

    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 7, stride=2, padding=3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, padding=1),
        torch.nn.ReLU(), torch.nn.ConvTranspose2d(8, 4, 2, stride=2), torch.nn.Conv2d(4, 6, 1, stride=2),
    )  # fmt: skip
    images = torch.randn(2, 3, 32, 32)

    def step() -> None:
        model(images).sum().backward()

    with FlopCounterMode(display=False) as counter:
        step()
    assert model_flops(launched(step, tmp_path, ten)) == counter.get_total_flops()


def test_a_grouped_convolution_is_as_many_small_ones(tmp_path: Path) -> None:
    """Each result needs channels / groups inputs; of the layer below, which reads the batch, two passes."""
    layer, images = torch.nn.Conv2d(8, 16, 3, groups=4), torch.randn(2, 8, 10, 10)
    first = torch.nn.Conv2d(8, 8, 1)
    forward = 2 * (2 * 16 * 8 * 8) * (2 * 3 * 3)
    below = 2 * (2 * 8 * 10 * 10) * 8
    rank = launched(lambda: layer(first(images)).sum().backward(), tmp_path, ten)
    assert model_flops(rank) == 3 * forward + 2 * below


def model_flops(rank: RankTimeline) -> float:
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    found = count_flops(rank.events, *host_steps(rank, windows))
    assert found is not None and found.uncounted == ()
    return found.model


def test_a_convolution_without_gradients_stays_uncounted(tmp_path: Path) -> None:
    layer, images = torch.nn.Conv2d(3, 8, 3), torch.randn(2, 3, 8, 8)

    def step() -> None:
        with torch.no_grad():
            layer(images).flatten(1) @ torch.randn(288, 4)

    rank = launched(step, tmp_path, ten)
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    found = count_flops(rank.events, *host_steps(rank, windows))
    assert found is not None and found.uncounted == ("convolution",)


def test_kernels_of_a_compiled_region_keep_their_classes(tmp_path: Path) -> None:
    """A region is no operator: what it launched is told apart by class, and its inputs are not the kernels' shapes."""
    weight = torch.randn(8, 8)

    def region() -> None:
        with torch.profiler.record_function("Torch-Compiled Region: 0/0"):
            torch.randn(8, 8).mul(2.0).mm(weight)

    rank = launched(region, tmp_path, ten)
    events = rank.events
    assert events is not None
    other = [name.replace("aten::", "compiled::") for name in events.strings.names]
    hidden = replace(rank, events=replace(events, strings=StringTable(other)))
    assert {one.kind for one in measured(hidden).work} >= {"gemm", "elementwise"}
    assert all(one.flops is None for one in measured(hidden).work)
