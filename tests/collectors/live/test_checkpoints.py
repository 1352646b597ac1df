"""Checkpoints are stalls whoever writes them, once each, and only when training waits for them."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from llmprof.collectors.live.checkpoints import ImportWatch, places_of  # noqa: E402
from tests.collectors.live.conftest import Recorded  # noqa: E402
from tests.collectors.live.training_loops import loader, loss, model, sgd  # noqa: E402

Record = Callable[[Callable[[], None]], Recorded]
MS = 1_000_000
DCP = "torch.distributed.checkpoint.state_dict_saver"


def train(save: Callable[[Any], object]) -> None:
    """Six steps; a checkpoint after step 3."""
    net = model()
    optimizer = sgd(net)
    for number, (batch,) in enumerate(loader(6)):
        loss(net, batch).backward()
        optimizer.step()
        if number == 3:
            save(net.state_dict())


def saved(recorded: Recorded) -> list[tuple[int, str]]:
    stalled = {step["n"]: step["checkpoint"] for step in recorded.steps if "checkpoint" in step}
    events = [event for event in recorded.events if event["kind"] == "checkpoint"]
    assert sum(stalled.values()) == sum(event["ns"] for event in events)
    return [(event["step"], event["by"]) for event in events]


def test_distributed_checkpoint(record: Record, tmp_path: Path) -> None:
    import torch.distributed.checkpoint as dcp

    recorded = record(lambda: train(lambda state: dcp.save(state, checkpoint_id=str(tmp_path / "saved"))))
    assert saved(recorded) == [(3, f"{DCP}.save")]
    assert (tmp_path / "saved" / ".metadata").exists()
    assert dcp.save.__module__ == DCP


def test_of_an_asynchronous_one_what_blocks(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint import state_dict_saver

    write = state_dict_saver._save_state_dict
    waiting: list[Any] = []

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.5)
        return write(*args, **kwargs)

    monkeypatch.setattr(state_dict_saver, "_save_state_dict", slowly)
    recorded = record(
        lambda: train(lambda state: waiting.append(dcp.async_save(state, checkpoint_id=str(tmp_path / "saved"))))
    )
    waiting[0].result()
    assert saved(recorded) == [(3, f"{DCP}.async_save")]
    assert recorded.steps[3]["checkpoint"] < 500 * MS


@pytest.mark.parametrize("name", ["save_file", "save_model"])
def test_safetensors(name: str, record: Record, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    net = model()
    what = net if name == "save_model" else net.state_dict()
    recorded = record(lambda: train(lambda state: getattr(safetensors, name)(what, str(tmp_path / "saved"))))
    assert saved(recorded) == [(3, f"safetensors.torch.{name}")]


def test_a_function_that_was_taken_out_before(record: Record, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.torch import save_file

    recorded = record(lambda: train(lambda state: save_file(state, str(tmp_path / "saved"))))
    assert saved(recorded) == [(3, "safetensors.torch.serialize_file")]


def test_one_that_uses_another_is_counted_once(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    inner = safetensors.serialize_file

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.02)
        torch.save({}, tmp_path / "inner.pt")
        return inner(*args, **kwargs)

    monkeypatch.setattr(safetensors, "serialize_file", slowly)
    recorded = record(lambda: train(lambda state: safetensors.save_file(state, str(tmp_path / "saved"))))
    assert saved(recorded) == [(3, "safetensors.torch.save_file")]
    assert recorded.steps[3]["checkpoint"] >= 20 * MS


def test_one_in_another_thread_holds_nothing_up(record: Record, tmp_path: Path) -> None:
    def aside(state: Any) -> None:
        thread = threading.Thread(target=torch.save, args=(state, tmp_path / "saved.pt"))
        thread.start()
        thread.join()

    assert saved(record(lambda: train(aside))) == []


def test_one_that_fails_fails_as_ever_and_is_over(record: Record, tmp_path: Path) -> None:
    def save(state: Any) -> None:
        with pytest.raises(RuntimeError, match="does not exist"):
            torch.save(state, tmp_path / "no" / "such" / "folder.pt")
        torch.save(state, tmp_path / "saved.pt")

    assert saved(record(lambda: train(save))) == [(3, "torch.save"), (3, "torch.save")]


# Modules that are imported later


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose __init__ hands a function of a submodule on, as torch.distributed.checkpoint does."""
    folder = tmp_path / "later_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("from later_package.saver import save\n")
    (folder / "saver.py").write_text("def save():\n    return 'saved'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "later_package.saver"
    for name in ("later_package", "later_package.saver"):
        sys.modules.pop(name, None)


def test_a_module_is_seen_before_anybody_can_take_something_out_of_it(package: str) -> None:
    def arrived(module: Any) -> None:
        module.save = lambda: "hooked"

    watch = ImportWatch([package], arrived)
    assert importlib.import_module("later_package").save() == "hooked"
    assert watch in sys.meta_path
    watch.remove()
    assert watch not in sys.meta_path


def test_a_module_that_is_there_is_seen_at_once(package: str) -> None:
    module = importlib.import_module(package)
    seen: list[Any] = []
    ImportWatch([package], seen.append).remove()
    assert seen == [module]
    assert places_of(module, "save") == [(module, "save"), (sys.modules["later_package"], "save")]
    assert places_of(module, "load") == []


def test_what_the_watcher_does_wrong_is_not_felt(package: str) -> None:
    def arrived(module: Any) -> None:
        raise RuntimeError("broken on purpose")

    watch = ImportWatch([package], arrived)
    assert importlib.import_module("later_package").save() == "saved"
    watch.remove()
