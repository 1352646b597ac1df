"""Helpers of a training command are recognised by their command line, and only torch wakes the recorder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[4] / "llmprof/collectors/live/bootstrap/llmprof_bootstrap.py"


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llmprof_bootstrap_under_test", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "python -m pip install torch",
        "python -mpip list",
        "python -Im pip list",
        "/opt/bin/python /opt/bin/pip install x",
        "python /opt/conda/bin/conda info",
        "python -m conda.cli",
        "python -m ipykernel_launcher -f file",
        "python /x/torch/_inductor/compile_worker/__main__.py --pickler=a",
        "python -m llmprof analyze run",
        "python -X dev -W ignore -m ninja",
    ],
)
def test_a_helper_is_left_alone(bootstrap: ModuleType, line: str) -> None:
    assert bootstrap.is_helper(line.split())


@pytest.mark.parametrize(
    "code",
    [
        "from multiprocessing.resource_tracker import main;main(5)",
        'import sys\nfrom ctypes import cdll\ncdll.LoadLibrary("/tmp/probe.so")\n',
    ],
)
def test_a_helper_of_multiprocessing_or_inductor_is_left_alone(bootstrap: ModuleType, code: str) -> None:
    assert bootstrap.is_helper(["python", "-B", "-c", code])


@pytest.mark.parametrize(
    "line",
    [
        "python train.py -m pip",
        "python -u -W once train.py",
        "python -Wonce -Xdev pip_train.py",
        "python -um trainer.pip",
        "python -m torch.distributed.run train.py",
        "/usr/bin/python /usr/bin/torchrun train.py",
        "python -c pip()",
        "python -",
        "python",
        "",
    ],
)
def test_anything_else_may_train(bootstrap: ModuleType, line: str) -> None:
    assert not bootstrap.is_helper(line.split())
    assert not bootstrap.is_spawned(line.split())


@pytest.mark.parametrize(
    "code",
    [
        "from multiprocessing.spawn import spawn_main; spawn_main(pipe_handle=3)",
        "from multiprocessing.forkserver import main; main(1, 2)",
    ],
)
def test_a_spawned_process_may_train_or_load_data(bootstrap: ModuleType, code: str) -> None:
    line = ["python", "-c", code, "--fork"]
    assert bootstrap.is_spawned(line)
    assert not bootstrap.is_helper(line)


def test_the_finder_fires_once_after_the_import_and_not_when_only_looked_for(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("complete = True")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    seen: list[bool] = []
    finder = bootstrap.TorchFinder(lambda: seen.append(sys.modules["torch"].complete))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert importlib.util.find_spec("torch") is not None
    assert importlib.util.find_spec("json") is not None
    assert seen == []
    import torch

    assert seen == [True]
    assert finder not in sys.meta_path
    assert torch.__file__ == str(tmp_path / "torch.py")
    importlib.reload(torch)
    assert seen == [True]
    monkeypatch.delitem(sys.modules, "torch")
