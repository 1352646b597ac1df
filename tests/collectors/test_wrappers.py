"""Wrappers that are told one directory: who may join, who is last, and what is written about the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmprof.collectors.wrappers import Wrapper
from llmprof.errors import InputError
from llmprof.timeline import rundir

TORCHRUN = ["torchrun", "--nnodes", "2", "--node-rank", "0", "--nproc_per_node=8", "train.py", "--seed", "1"]


def enter(path: Path, command: list[str] | None = None) -> Wrapper:
    return Wrapper.enter(path, command or TORCHRUN, {}, lambda folder: (folder / "filled").touch())


def run_of(path: Path) -> dict[str, object]:
    return rundir.read_json(path / rundir.RUN)


def test_the_first_begins_the_others_join_and_the_last_ends_the_run(tmp_path: Path) -> None:
    one, two, three = enter(tmp_path), enter(tmp_path), enter(tmp_path)
    assert [wrapper.first for wrapper in (one, two, three)] == [True, False, False]
    host = os.uname().nodename
    assert one.leave(0) == [host]
    assert two.leave(-9) == [host]
    assert run_of(tmp_path)["end_unix_ns"] is None
    assert three.leave(0) == []
    run = run_of(tmp_path)
    assert (run["exit_code"], run["signal"], run["pid"]) == (137, "SIGKILL", os.getpid())
    assert run["end_unix_ns"] is not None


def test_one_alone_writes_its_run(tmp_path: Path) -> None:
    assert enter(tmp_path / "new").leave(3) == []
    run = run_of(tmp_path / "new")
    assert (run["command"], run["exit_code"], run["signal"]) == (TORCHRUN, 3, None)


@pytest.mark.parametrize(
    "command",
    [
        ["torchrun", "--nnodes", "2", "--node_rank", "1", "--nproc_per_node=8", "train.py", "--seed", "1"],
        ["torchrun", "--nnodes", "2", "--node-rank=1", "--nproc-per-node", "4", "train.py", "--seed", "1"],
    ],
)
def test_another_node_of_the_job_may_join(tmp_path: Path, command: list[str]) -> None:
    enter(tmp_path)
    assert not enter(tmp_path, command).first


@pytest.mark.parametrize(
    "command",
    [
        ["torchrun", "--nnodes", "2", "--node-rank", "1", "--nproc_per_node=8", "train.py", "--seed", "2"],
        ["python", "train.py"],
    ],
)
def test_another_command_may_not_join(tmp_path: Path, command: list[str]) -> None:
    enter(tmp_path)
    with pytest.raises(InputError, match="another command") as raised:
        enter(tmp_path, command)
    assert "\n" not in str(raised.value)


def test_a_run_that_is_over_is_not_joined(tmp_path: Path) -> None:
    enter(tmp_path).leave(0)
    with pytest.raises(InputError, match="not empty"):
        enter(tmp_path)


def test_a_folder_of_somebody_else_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "bootstrap").mkdir()
    (tmp_path / "index.html").touch()
    with pytest.raises(InputError, match="not empty"):
        enter(tmp_path)


def test_a_wrapper_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    """Its job was begun again, as a scheduler does, with the same command and the same folder."""
    killed = enter(tmp_path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    [path] = rundir.wrapper_files(tmp_path)
    path.write_text(json.dumps({**rundir.read_json(path), "pid": gone.pid}))
    again = enter(tmp_path)
    assert (killed.first, again.first) == (True, False)
    assert again.has_node_to_itself()
    assert again.leave(0) == []
    assert run_of(tmp_path)["exit_code"] == 0


def test_a_killed_wrapper_of_another_node_is_named(tmp_path: Path) -> None:
    enter(tmp_path)
    [path] = rundir.wrapper_files(tmp_path)
    path.write_text(json.dumps({**rundir.read_json(path), "host": "far-away", "pid": 1}))
    assert enter(tmp_path).leave(0) == ["far-away"]


def test_one_wrapper_a_node_samples_the_telemetry(tmp_path: Path) -> None:
    assert enter(tmp_path).has_node_to_itself()
    assert not enter(tmp_path).has_node_to_itself()


def test_a_command_that_did_not_start_leaves_an_empty_folder(tmp_path: Path) -> None:
    enter(tmp_path).withdraw()
    assert list(tmp_path.iterdir()) == []


def together(count: int, call: Callable[[], object]) -> list[object]:
    """Call it in threads that all begin at once."""
    barrier, results = threading.Barrier(count), []

    def work() -> None:
        barrier.wait()
        results.append(call())

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_that_begin_at_once_one_is_first(tmp_path: Path) -> None:
    wrappers = together(8, lambda: enter(tmp_path / "run"))
    assert sorted(wrapper.first for wrapper in wrappers) == [False] * 7 + [True]  # type: ignore[attr-defined]
    assert len(rundir.wrapper_files(tmp_path / "run")) == 8


CLOSE = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from llmprof.collectors.wrappers import Wrapper
wrapper = Wrapper.enter(Path(sys.argv[1]), ["train"], {}, lambda folder: None)
while len(list((Path(sys.argv[1]) / "wrappers").glob("*.json"))) < 4:
    time.sleep(0.01)
print(wrapper.leave(0))
"""


def test_of_many_that_end_at_once_one_ends_the_run(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", CLOSE, str(tmp_path / "run"), root]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert said.count("[]") == 1, said
