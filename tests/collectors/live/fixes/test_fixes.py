"""Each fix leaves the state that its recommendation asks for, says so, and takes it back."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, IterableDataset, TensorDataset  # noqa: E402

from llmprof.analyzers.rules.fixes import FIXES  # noqa: E402
from llmprof.collectors.live.fixes.applying.attempt import Attempt  # noqa: E402
from llmprof.collectors.live.fixes.applying.catalogue import about, applicable  # noqa: E402
from tests.collectors.live.fixes.conftest import Apply  # noqa: E402


def train(net: nn.Module, steps: int = 3, optimizer: Any = None, width: int = 8) -> Any:
    optimizer = optimizer or torch.optim.AdamW(net.parameters())
    for _ in range(steps):
        net(torch.randn(4, width)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def done(attempt: Attempt) -> list[str]:
    report = attempt.report()
    assert report["status"] == "applied", report
    return list(report["what"])


def why_not(attempt: Attempt) -> str:
    report = attempt.report()
    assert (report["status"], report["times"]) == ("never", 0), report
    return " ".join(report["reasons"])


DATA = TensorDataset(torch.zeros(8, 2))


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(8))


def test_every_fix_here_is_one_that_can_be_recommended() -> None:
    assert set(applicable()) <= set(FIXES)
    assert {"dataloader-workers", "fused-optimizer", "torch-compile", "no-sync"} <= set(applicable())


@pytest.mark.parametrize("fix", applicable())
def test_what_changes_the_numbers_says_so(fix: str) -> None:
    found = about(fix)
    assert found is not None
    changing = {"bf16-autocast", "tf32", "torch-compile", "cuda-graphs", "compress-gradients"}
    assert found.numerics == (fix in changing)


@pytest.mark.parametrize("name", ["remove-sync", "8bit-optimizer", "applying", "../x", "Tf32", ""])
def test_what_has_no_module_cannot_be_applied(name: str) -> None:
    assert about(name) is None


# Loaders


def test_more_workers(apply: Apply) -> None:
    attempt = apply("dataloader-workers", "3")
    loader = DataLoader(DATA, 2)
    assert (loader.num_workers, loader.persistent_workers) == (3, True)
    assert done(attempt) == ["num_workers 0 -> 3"]
    attempt.remove()
    assert DataLoader(DATA, 2).num_workers == 0


def test_batches_of_a_loader_with_more_workers_are_the_same(apply: Apply) -> None:
    apply("dataloader-workers", "1")
    data = TensorDataset(torch.arange(6))
    assert [batch[0].tolist() for batch in DataLoader(data, 2)] == [[0, 1], [2, 3], [4, 5]]


def test_workers_are_not_taken_away_without_a_number(apply: Apply) -> None:
    attempt = apply("dataloader-workers")
    assert DataLoader(DATA, num_workers=99).num_workers == 99
    assert "99 workers already" in why_not(attempt)


def test_too_many_workers_are_taken_away_when_that_is_asked_for(apply: Apply) -> None:
    attempt = apply("dataloader-workers", "1")
    assert DataLoader(DATA, num_workers=2).num_workers == 1
    assert done(attempt) == ["num_workers 2 -> 1"]


def test_a_stream_without_workers_gets_none(apply: Apply) -> None:
    attempt = apply("dataloader-workers", "2")
    assert DataLoader(Stream()).num_workers == 0
    assert "IterableDataset" in why_not(attempt)
    assert DataLoader(Stream(), num_workers=1).num_workers == 2


def test_more_batches_ready(apply: Apply) -> None:
    attempt = apply("dataloader-prefetch", "6")
    assert DataLoader(DATA).prefetch_factor is None
    assert "try dataloader-workers" in why_not(attempt)
    assert DataLoader(DATA, num_workers=1).prefetch_factor == 6
    assert done(attempt) == ["prefetch_factor 2 -> 6"]


def test_workers_that_stay(apply: Apply) -> None:
    attempt = apply("persistent-workers")
    assert DataLoader(DATA, num_workers=1).persistent_workers
    assert done(attempt) == ["persistent_workers False -> True"]


@pytest.mark.parametrize("fix", ["dataloader-workers", "persistent-workers"])
def test_workers_of_a_loader_that_is_made_while_training_goes_on_do_not_stay(apply: Apply, fix: str) -> None:
    """A loader for every evaluation, all of which Accelerate keeps: their workers would be more each time."""
    apply(fix)
    train(nn.Linear(8, 2), steps=1)
    assert not DataLoader(DATA, num_workers=0 if fix == "dataloader-workers" else 1).persistent_workers


@pytest.mark.parametrize("fix", ["dataloader-workers", "dataloader-prefetch", "persistent-workers"])
def test_a_loader_that_a_framework_makes_anew_is_no_reason(apply: Apply, fix: str) -> None:
    """Accelerate and Lightning put a loader of their own, with its settings, in the place of the script's."""
    attempt = apply(fix)
    first = DataLoader(DATA, num_workers=0 if fix == "dataloader-workers" else 1)
    kept = {name: getattr(first, name) for name in ("num_workers", "prefetch_factor", "persistent_workers")}
    DataLoader(DATA, **kept)
    assert attempt.report()["reasons"] == []


def test_a_call_that_does_not_take_the_change_is_made_as_it_was_written(apply: Apply) -> None:
    attempt = apply("dataloader-prefetch", "6")

    class Strict(DataLoader[Any]):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "prefetch_factor" and value == 6:
                raise ValueError("not here")
            super().__setattr__(name, value)

    assert Strict(DATA, num_workers=1).prefetch_factor == 2
    assert "ValueError: not here" in why_not(attempt)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_nothing_is_pinned_without_a_gpu(apply: Apply) -> None:
    attempt = apply("pin-memory")
    assert not DataLoader(DATA).pin_memory
    assert torch.zeros(2).to(torch.float64).dtype is torch.float64
    assert "no GPU" in why_not(attempt)


# Optimizers


@pytest.mark.parametrize("name", ["fused", "foreach"])
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_an_optimizer_gets_another_implementation(apply: Apply, name: str, kind: Any) -> None:
    attempt = apply(f"{name}-optimizer")
    net = nn.Linear(8, 2)
    optimizer = train(net, optimizer=kind(net.parameters(), lr=0.1))
    assert optimizer.defaults[name] is True
    assert optimizer.param_groups[0][name] is True
    assert done(attempt) == [f"{kind.__name__} with {name}=True"]
    assert attempt.times == 1


def test_a_fused_update_is_the_same_update(apply: Apply) -> None:
    nets = [nn.Linear(8, 2), nn.Linear(8, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    for number, net in enumerate(nets):
        if number:
            apply("fused-optimizer")
        torch.manual_seed(1)
        train(net)
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


def test_a_fused_optimizer_goes_on_from_the_state_that_is_there(apply: Apply) -> None:
    net = nn.Linear(8, 2)
    optimizer = train(net)
    apply("fused-optimizer")
    train(net, optimizer=optimizer)
    assert optimizer.state[net.weight]["step"] == 6


def test_an_optimizer_that_offers_no_fused_kernel_is_left_alone(apply: Apply) -> None:
    attempt = apply("fused-optimizer")
    net = nn.Linear(8, 2)
    optimizer = train(net, optimizer=torch.optim.Adadelta(net.parameters()))
    assert "fused" not in optimizer.defaults
    assert why_not(attempt) == "Adadelta has no fused implementation"


def test_lists_that_are_used_anyway_are_no_fix(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU an optimizer updates in lists unless the script says otherwise."""
    module = sys.modules["torch.optim.optimizer"]
    monkeypatch.setattr(module, "_get_foreach_kernels_supported_devices", lambda: ["cpu"])
    attempt = apply("foreach-optimizer")
    train(nn.Linear(8, 2))
    assert "by itself" in why_not(attempt)
    net = nn.Linear(8, 2)
    train(net, optimizer=torch.optim.AdamW(net.parameters(), foreach=False))
    assert done(attempt) == ["AdamW with foreach=True"]


# Arithmetic


def test_the_forward_runs_in_bf16_and_returns_fp32(apply: Apply) -> None:
    attempt = apply("bf16-autocast")
    inner: list[Any] = []

    class Net(nn.Linear):
        def forward(self, x: Any) -> Any:
            y = super().forward(x)
            inner.append(y.dtype)
            return {"logits": (y,)}

    net = Net(8, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        logits = net(torch.randn(4, 8))["logits"][0]
        logits.sum().backward()
        optimizer.step()
        assert logits.dtype is torch.float32
    assert inner == [torch.float32, torch.bfloat16, torch.bfloat16]
    assert done(attempt) == ["forward of Net under autocast to bf16"]
    assert attempt.times == 2


def test_a_named_tuple_is_returned_in_fp32_too(apply: Apply) -> None:
    apply("bf16-autocast")

    class Output(NamedTuple):
        logits: Any
        hidden: list[Any]

    class Net(nn.Linear):
        def forward(self, x: torch.Tensor) -> Any:
            given = super().forward(x)
            return Output(given, [given])

    net = Net(8, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        found = net(torch.randn(4, 8))
        found.logits.sum().backward()
        optimizer.step()
    assert isinstance(found, Output)
    assert (found.logits.dtype, found.hidden[0].dtype) == (torch.float32, torch.float32)
    # What bf16 holds is all that is left in the numbers.
    assert torch.equal(found.logits, found.logits.bfloat16().float())


def test_a_forward_under_autocast_gets_no_other(apply: Apply) -> None:
    attempt = apply("bf16-autocast")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train(nn.Linear(8, 2))
    assert "under autocast already" in why_not(attempt)


def test_a_model_in_bf16_needs_no_autocast(apply: Apply) -> None:
    attempt = apply("bf16-autocast")
    net = nn.Linear(8, 2).to(torch.bfloat16)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.randn(4, 8, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    assert "parameters in bfloat16" in why_not(attempt)


@pytest.fixture
def gpu_with_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says that there is one; the model of these tests stands for one on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr("llmprof.collectors.live.fixes.tf32._on_cpu", lambda optimizer: False)


@pytest.mark.usefixtures("gpu_with_tf32")
def test_tf32_is_allowed_whatever_the_script_has_set_before(apply: Apply) -> None:
    attempt = apply("tf32")
    torch.set_float32_matmul_precision("highest")
    train(nn.Linear(8, 2))
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cuda.matmul.allow_tf32
    assert "high" in done(attempt)[0]
    attempt.remove()
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("gpu_with_tf32")
def test_a_script_that_forbids_tf32_later_is_told_of(apply: Apply) -> None:
    attempt = apply("tf32")
    train(nn.Linear(8, 2))
    torch.set_float32_matmul_precision("highest")
    assert attempt.report()["status"] == "never"


def test_tf32_changes_nothing_where_no_gpu_has_it(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = apply("tf32")
    train(nn.Linear(8, 2))
    assert "there is no GPU here" in why_not(attempt)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    old = apply("tf32")
    train(nn.Linear(8, 2))
    assert "Tesla V100 has no TF32" in why_not(old)


def test_tf32_changes_nothing_for_a_model_on_the_cpu_beside_a_gpu(
    apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    attempt = apply("tf32")
    train(nn.Linear(8, 2))
    assert "trained on the CPU" in why_not(attempt)


def test_attention_of_hugging_face(apply: Apply) -> None:
    transformers = pytest.importorskip("transformers")
    attempt = apply("sdpa-attention")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=16, attn_implementation="eager")
    model = transformers.GPT2LMHeadModel(config)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ids = torch.zeros(1, 4, dtype=torch.int64)
    for _ in range(2):
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    assert model.config._attn_implementation == "sdpa"
    assert done(attempt) == ['attention implementation "eager" -> "sdpa"']


def test_attention_that_is_written_by_hand_is_left_alone(apply: Apply) -> None:
    attempt = apply("sdpa-attention")
    net = nn.Linear(8, 2)
    train(net)
    assert "no Hugging Face model" in why_not(attempt)


def test_fused_attention_stays_on(apply: Apply) -> None:
    attempt = apply("fused-attention-backend")
    torch.backends.cuda.enable_flash_sdp(False)
    assert torch.backends.cuda.flash_sdp_enabled()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cuda.math_sdp_enabled()
    assert "enable_flash_sdp(False) left out" in done(attempt)


def test_masks_of_attention_are_made_contiguous(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a look-up leaves it the heads are innermost; for all samples one copy is enough, and its gradient stays."""
    original, given = F.scaled_dot_product_attention, list[Any]()

    def attend(*args: Any) -> Any:
        given.append(args[3])
        return original(*args)

    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
    attempt = apply("fused-attention-backend")
    q = torch.randn(3, 2, 5, 8)
    table = torch.randn(5, 5, 2, requires_grad=True)
    mask = table.permute(2, 0, 1)[None].expand(3, -1, -1, -1)
    (wanted,) = torch.autograd.grad(original(q, q, q, mask).sum(), table)
    (found,) = torch.autograd.grad(F.scaled_dot_product_attention(q, q, q, attn_mask=mask).sum(), table)
    assert (given[0].stride(0), given[0].stride(-1)) == (0, 1)
    assert torch.allclose(wanted, found)
    assert "masks of attention made contiguous" in done(attempt)
    contiguous = torch.zeros(5, 5)
    F.scaled_dot_product_attention(q, q, q, contiguous)
    assert given[1] is contiguous


def test_compiled_in_place(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda call, **options: compiled.append((call, options)) or call)
    attempt = apply("torch-compile")
    attempt.proof = None

    class Linear(nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x)

    net = Linear(8, 2)
    train(net)
    assert [(call.__self__, options) for call, options in compiled] == [(net, {})]
    assert done(attempt) == ["Linear.compile()"]


@pytest.mark.slow
def test_compiled_code_runs(apply: Apply) -> None:
    attempt = apply("torch-compile")
    torch.compiler.reset()
    train(nn.Sequential(nn.Linear(8, 2)))
    assert any("graphs compiled" in text for text in done(attempt))


def test_a_model_that_cannot_be_compiled_is_trained_as_it_was(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    class TorchDynamoException(RuntimeError):
        """As the compiler's own errors are called."""

    def refuse(*args: Any) -> Any:
        raise TorchDynamoException("an attribute that it cannot follow")

    monkeypatch.setattr(torch, "compile", lambda forward, **_: refuse)
    attempt = apply("torch-compile")
    net = nn.Linear(8, 2)
    train(net)
    report = attempt.report()
    assert (report["status"], net.forward.__self__) == ("failed", net)
    assert "an attribute that it cannot follow" in report["reasons"][0]


def test_what_a_compiled_model_raises_itself_is_the_scripts(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)
    apply("torch-compile")
    net = nn.Linear(8, 2)
    train(net)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net(torch.zeros(4, 3))


def test_of_a_model_of_fabric_the_one_that_it_calls_is_compiled(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its wrapper finds attributes in two modules, which the compiler cannot follow."""
    fabric = pytest.importorskip("lightning.fabric", reason="lightning is not installed")
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda forward, **_: compiled.append(forward) or forward)
    attempt = apply("torch-compile")
    attempt.proof = None
    runner = fabric.Fabric(accelerator="cpu", devices=1)
    inside = nn.Sequential(nn.Linear(8, 2))
    net, optimizer = runner.setup(inside, torch.optim.SGD(inside.parameters(), lr=0.1))
    for _ in range(2):
        runner.backward(net(torch.randn(4, 8)).sum())
        optimizer.step()
    assert done(attempt) == ["Sequential.compile()"]


def test_of_a_model_of_lightning_those_inside_are_changed(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning calls `training_step`, and not the forward of the whole."""
    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)

    class LightningModule(nn.Module):
        pass

    class Script(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.loss = nn.Linear(8, 2), nn.MSELoss()

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            loss: torch.Tensor = self.loss(self.net(batch), batch[:, :2])
            return loss

    attempts = [apply("torch-compile"), apply("bf16-autocast")]
    attempts[0].proof = None
    script = Script()
    optimizer = torch.optim.SGD(script.parameters(), lr=0.1)
    for _ in range(2):
        script.training_step(torch.randn(4, 8)).backward()
        optimizer.step()
    assert [done(attempt) for attempt in attempts] == [
        ["Linear.compile()"],
        ["forward of Linear under autocast to bf16"],
    ]


def test_of_a_distributed_model_the_one_inside_is_compiled(
    apply: Apply, one_rank: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forward of DistributedDataParallel is no part of a graph, nor is what it calls when that is a container."""
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda forward, **_: compiled.append(forward) or forward)
    apply("torch-compile")
    model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(8, 2)))
    outer = model.forward
    train(model)
    assert (len(compiled), model.forward) == (1, outer)


def test_a_compiled_model_is_not_compiled_again(apply: Apply) -> None:
    attempt = apply("torch-compile")
    net = torch.compile(nn.Linear(8, 2), backend="eager")
    train(net)
    assert "compiled already" in why_not(attempt)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("fix", ["cuda-graphs", "expandable-segments"])
def test_needs_a_gpu(apply: Apply, fix: str) -> None:
    attempt = apply(fix)
    train(nn.Linear(8, 2))
    assert "no GPU" in why_not(attempt)


# Memory and host


def test_the_cache_is_not_flushed(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: flushed.append(1))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    attempt = apply("stop-cache-flush")
    torch.cuda.empty_cache()
    torch.cuda.empty_cache()
    assert (flushed, attempt.times) == ([], 2)
    attempt.remove()
    torch.cuda.empty_cache()
    assert flushed == [1]


@pytest.mark.skipif(
    not hasattr(torch, "accelerator") or not hasattr(torch.accelerator, "empty_cache"), reason="torch is older"
)
def test_the_cache_of_the_accelerator_is_not_flushed(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: flushed.append(1))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    attempt = apply("stop-cache-flush")
    torch.accelerator.empty_cache()
    assert (flushed, attempt.times) == ([], 1)


def test_without_a_gpu_there_is_no_cache_to_keep(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    attempt = apply("stop-cache-flush")
    torch.cuda.empty_cache()
    assert "no GPU" in why_not(attempt)


def test_garbage_is_collected_at_chosen_steps(apply: Apply) -> None:
    attempt = apply("gc-policy", "2")
    net = nn.Linear(8, 2)
    collections: list[int] = []
    optimizer = train(net, steps=1)
    assert not gc.isenabled()
    gc.callbacks.append(lambda phase, info: collections.append(info["generation"]) if phase == "start" else None)
    try:
        train(net, steps=4, optimizer=optimizer)
    finally:
        gc.callbacks.pop()
    assert collections == [1, 1]
    assert "every 2 optimizer steps" in done(attempt)[0]
    attempt.remove()
    assert gc.isenabled()


def test_a_script_that_collects_its_garbage_itself_is_left_alone(apply: Apply) -> None:
    attempt = apply("gc-policy")
    gc.disable()
    try:
        train(nn.Linear(8, 2))
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()
    assert "off already" in why_not(attempt)


def test_threads_stay_as_they_were_set(apply: Apply) -> None:
    before = torch.get_num_threads()
    attempt = apply("thread-count", "2")
    try:
        torch.set_num_threads(1)
        train(nn.Linear(8, 2))
        torch.set_num_threads(1)
        assert torch.get_num_threads() == 2
        assert done(attempt) == ["threads of torch 1 -> 2"], "what the script asks for, and what it gets"
    finally:
        attempt.remove()
        torch.set_num_threads(before)


def test_as_many_threads_as_there_are_already_are_no_fix(apply: Apply) -> None:
    attempt = apply("thread-count", str(torch.get_num_threads()))
    train(nn.Linear(8, 2))
    assert "threads already" in why_not(attempt)


def test_another_thread_of_the_process_keeps_its_number(apply: Apply) -> None:
    """The one that pins the batches of a DataLoader sets a single thread for itself, before the first step already."""
    before = torch.get_num_threads()
    attempt = apply("thread-count", str(before + 1))
    others: list[int] = []

    def pin() -> None:
        torch.set_num_threads(1)
        others.append(torch.get_num_threads())

    try:
        for _ in range(2):
            other = threading.Thread(target=pin)
            other.start()
            other.join()
            train(nn.Linear(8, 2), steps=1)
        assert (others, torch.get_num_threads()) == ([1, 1], before + 1)
        assert done(attempt) == [f"threads of torch {before} -> {before + 1}"]
    finally:
        attempt.remove()
        torch.set_num_threads(before)


def test_the_process_is_bound_near_its_gpu(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmprof.collectors.live.fixes import numa_binding

    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("one core: nothing to bind")
    bound: dict[int, set[int]] = {}
    near = {min(allowed)}
    monkeypatch.setattr(numa_binding, "_near", lambda device: near)
    monkeypatch.setattr(os, "sched_setaffinity", bound.__setitem__)
    attempt = apply("numa-binding")
    train(nn.Linear(8, 2))
    if not torch.cuda.is_available():  # a model on the CPU has no GPU to be near to
        assert "trained on the CPU" in why_not(attempt)
        return
    assert bound[os.getpid()] == near


def test_checkpointed_functions_are_called_once(apply: Apply) -> None:
    attempt = apply("drop-recompute")
    from torch.utils.checkpoint import checkpoint

    calls: list[int] = []

    def block(x: Any, *, factor: int) -> Any:
        calls.append(1)
        return x.sin() * factor

    x = torch.randn(3, requires_grad=True)
    checkpoint(block, x, use_reentrant=False, preserve_rng_state=False, factor=2).sum().backward()
    assert len(calls) == 1
    torch.testing.assert_close(x.grad, 2 * x.detach().cos())
    assert attempt.times == 1


# DistributedDataParallel


@pytest.fixture
def one_rank(tmp_path: Path) -> Any:
    """A process group of this process alone."""
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield dist
    dist.destroy_process_group()


def ddp(**options: Any) -> Any:
    return nn.parallel.DistributedDataParallel(nn.Linear(8, 2), **options)


def test_buckets_of_another_size(apply: Apply, one_rank: Any) -> None:
    attempt = apply("ddp-bucket-size", "50")
    assert ddp().bucket_bytes_cap == 50 * 1024 * 1024
    assert done(attempt) == ["bucket_cap_mb 25 -> 50"]


def test_gradients_as_views_and_a_graph_that_stays(apply: Apply, one_rank: Any) -> None:
    attempts = [apply("ddp-bucket-view"), apply("static-graph")]
    model = ddp()
    assert model.gradient_as_bucket_view
    assert model.static_graph
    assert [done(attempt) for attempt in attempts] == [
        ["gradient_as_bucket_view False -> True"],
        ["static_graph False -> True"],
    ]


def test_unused_parameters_are_not_looked_for_any_more(apply: Apply, one_rank: Any) -> None:
    """Also where the first micro-step is inside `no_sync()`, with which a static graph could not begin."""
    attempt = apply("static-graph")
    model = ddp(find_unused_parameters=True)
    with model.no_sync():
        model(torch.randn(4, 8)).sum().backward()
    train(model)
    assert not model.find_unused_parameters
    assert done(attempt) == ["find_unused_parameters True -> False"]


def test_gradients_in_two_bytes(apply: Apply, one_rank: Any) -> None:
    attempt = apply("compress-gradients")
    model = ddp()
    train(model)
    assert [hook.__name__ for hook, _ in model._comm_hooks] == ["fp16_compress_hook"]  # gloo has no bf16
    assert done(attempt) == ["fp16_compress_hook registered"]


def test_a_hook_of_the_script_stays_alone(apply: Apply, one_rank: Any) -> None:
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

    attempt = apply("compress-gradients")
    model = ddp()
    model.register_comm_hook(None, allreduce_hook)
    train(model)
    assert len(model._comm_hooks) == 1
    assert "of its own" in why_not(attempt)


def accumulate(model: Any, counts: list[int]) -> list[bool]:
    """Steps of so many micro-steps; returns which of these were to be reduced."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    reduced = []
    for count in counts:
        for _ in range(count):
            loss = model(torch.randn(4, 8)).sum()
            reduced.append(model.require_backward_grad_sync)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return reduced


def test_only_the_last_micro_step_reduces(apply: Apply, one_rank: Any) -> None:
    attempt = apply("no-sync")
    assert accumulate(ddp(), [3, 3, 3, 3]) == [True] * 6 + [False, False, True] * 2
    assert done(attempt) == ["2 of 3 micro-steps without a reduction"]


def test_a_shorter_step_as_an_epoch_ends_with_is_reduced_at_its_end(apply: Apply, one_rank: Any) -> None:
    attempt = apply("no-sync")
    reduced = accumulate(ddp(), [3, 3, 2, 3, 1, 3])
    assert reduced == [True] * 6 + [False, False] + [False, False, True] + [False] + [False, False, True]
    assert done(attempt) == ["2 of 3 micro-steps without a reduction", "a shorter step reduced at its end"]


def test_steps_that_have_become_shorter_end_it(apply: Apply, one_rank: Any) -> None:
    attempt = apply("no-sync")
    assert accumulate(ddp(), [3, 3, 2, 2, 2]) == [True] * 6 + [False] * 4 + [True] * 2
    assert attempt.report()["status"] == "failed"
    assert "2 steps in a row had fewer micro-steps than 3" in attempt.report()["reasons"][0]


def test_a_wrapper_that_was_left_in_evaluation_is_trained_all_the_same(apply: Apply, one_rank: Any) -> None:
    """Lightning validates first, and then sets the module inside back to training, not its wrapper."""
    attempt = apply("no-sync")
    model = ddp()
    model.training = False
    assert accumulate(model, [3, 3, 3]) == [True] * 6 + [False, False, True]
    assert attempt.times == 2


def test_there_is_nothing_to_leave_out_without_accumulation(apply: Apply, one_rank: Any) -> None:
    attempt = apply("no-sync")
    assert accumulate(ddp(), [1, 1, 1]) == [True] * 3
    assert "one micro-step" in why_not(attempt)
