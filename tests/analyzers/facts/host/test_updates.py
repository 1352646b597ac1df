"""A closure runs the model inside `Optimizer.step`: only what follows its backward is the update."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmprof.analyzers.facts.device.kernels import kernel_facts
from llmprof.analyzers.facts.host.updates import update_spans
from llmprof.analyzers.facts.partition.cpu_partition import cpu_partition
from llmprof.analyzers.facts.steps.windows import windows_of
from llmprof.analyzers.replay.graph.build import build
from llmprof.analyzers.replay.graph.graph import Region
from llmprof.collectors.files.kineto import read_kineto
from llmprof.timeline.events import Kind
from tests.scenarios.builder import TraceBuilder

STEP, NODE = "Optimizer.step#AdamW.step", "autograd::engine::evaluate_function: AddmmBackward0"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>"
SGEMM = "volta_sgemm_128x64_nn"


def spans_of(builder: TraceBuilder) -> list[tuple[int, int]]:
    events = builder.rank().events
    assert events is not None
    found = update_spans(events).values()
    return [span for spans in found for span in zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)]


def test_without_a_closure_all_of_the_step_is_the_update() -> None:
    b = TraceBuilder()
    b.op(NODE, 20, 30)
    b.annotation(STEP, 60, 30)
    assert spans_of(b) == [(60, 90)]


def test_the_update_begins_when_the_backward_of_the_closure_has_ended() -> None:
    b = TraceBuilder()
    for begin in (0, 100):
        b.annotation(STEP, begin + 10, 80)
        b.op("aten::mm", begin + 12, 20)
        b.op(NODE, begin + 40, 10, tid=2)  # on a GPU, autograd has a thread of its own
        b.op(NODE, begin + 50, 20, tid=2)
    assert spans_of(b) == [(70, 90), (170, 190)]


def test_a_step_inside_a_backward_is_all_update() -> None:
    b = TraceBuilder()
    b.op(NODE, 10, 80)
    b.annotation(STEP, 40, 40)
    assert spans_of(b) == [(40, 80)]


def test_without_a_gpu_the_model_in_a_closure_is_charged_by_what_it_computes() -> None:
    b = TraceBuilder()
    b.step(0, 0, 100)
    b.annotation(STEP, 10, 80)
    b.op("aten::convolution", 10, 30)
    b.op(NODE, 40, 20)
    b.op("aten::mm", 40, 20)
    b.op("aten::_foreach_add_", 60, 30)
    rank = b.rank()
    windows = windows_of(rank)
    assert rank.events is not None and windows is not None
    found = cpu_partition(rank.events, windows).compute_classes
    assert found == {"convolution": 30, "gemm": 20, "optimizer": 30}


def with_closure(steps: int) -> TraceBuilder:
    b = TraceBuilder()
    for number in range(steps):
        begin = number * 1_000_000
        b.step(number, begin, begin + 1_000_000)
        b.annotation(STEP, begin + 100_000, 800_000)
        b.kernel(SGEMM, begin + 210_000, 50_000, launch_ns=begin + 200_000)
        b.op(NODE, begin + 390_000, 110_000, tid=2)
        b.kernel(ADD, begin + 410_000, 50_000, launch_ns=begin + 400_000, tid=2)
        b.kernel(ADD, begin + 710_000, 50_000, launch_ns=begin + 700_000)
    return b


def test_kernels_of_the_model_in_a_closure_are_not_the_optimizers() -> None:
    rank = with_closure(1).rank()
    windows = windows_of(rank)
    assert windows is not None
    facts = kernel_facts(rank, windows)
    assert facts is not None
    assert facts.count_by_class == {"gemm": 1, "elementwise": 1, "optimizer": 1}
    assert (facts.optimizer_host_ns, facts.optimizer_kernels_per_step) == (400_000, 1)


def test_in_the_replay_the_model_in_a_closure_is_not_the_update() -> None:
    graph = build(with_closure(3).rank())
    assert graph is not None
    host = graph.on_host & graph.within(Region.OPTIMIZER)
    assert float((graph.before_lag + graph.dur)[host].sum()) / 3 == 400_000


@pytest.mark.parametrize("closure", [False, True])
def test_of_a_real_step_what_pytorch_recorded_of_the_model_is_not_the_update(tmp_path: Path, closure: bool) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(64, 64)
    optimizer = torch.optim.AdamW(net.parameters(), foreach=True)

    def model() -> None:
        net(torch.randn(8, 64)).sum().backward()

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            if not closure:
                model()
            optimizer.step(model if closure else None)
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = read_kineto(tmp_path / "trace.json").events
    assert events is not None
    (spans,) = update_spans(events).values()
    inside = {
        events.strings[int(events.name[row])] for row in events.rows(Kind.CPU_OP) if spans.contains(events.ts[row])
    }
    assert len(spans) == 3
    assert not inside & {"aten::linear", "aten::addmm", "aten::mm", "aten::sum"}
    assert any(name.startswith("aten::_foreach_") for name in inside)
