"""However a training ends, its exit code is its own and a report can be made of what was written."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collectors.launchers.commands import (
    LOOP,
    PYTHON,
    environment,
    ranks_of,
    record,
    recorded,
    start,
    under_llmprof,
)

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

LONG = LOOP + "\ntrain(250, pause=0.02)\n"


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def warnings_of(run: Path) -> list[str]:
    document = json.loads((run / "analysis.json").read_text())
    assert document["capture"]["steps_measured"] > 50
    return list(document["capture"]["warnings"])


@pytest.mark.parametrize(
    ("last_words", "status", "death"),
    [
        ("import ctypes\nctypes.string_at(0)", -signal.SIGSEGV, "rank 0 (killed by SIGSEGV, after step "),
        ("os.kill(os.getpid(), 9)", 137, "rank 0 (killed by SIGKILL, after step "),
        ("raise ValueError('no more')", 1, "rank 0 (exception: ValueError: no more, after step 249)"),
        ("sys.exit(3)", 3, None),
        ("os._exit(77)", 77, None),
    ],
)
def test_an_end_yields_a_report(tmp_path: Path, last_words: str, status: int, death: str | None) -> None:
    (tmp_path / "train.py").write_text(f"{LONG}\n{last_words}\n")
    done = start(under_llmprof([PYTHON, "train.py"]), tmp_path)
    assert done.returncode == status, done.stderr
    found = [text for text in warnings_of(tmp_path / "run") if "died" in text]
    assert [text.startswith(str(death)) for text in found] == [True] * (death is not None), found


def test_a_run_whose_wrapper_was_killed_is_analyzed_later(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LONG + "\nopen('finished', 'w').close()\n")
    process = subprocess.Popen(under_llmprof([PYTHON, "train.py"]), cwd=tmp_path, env=environment())
    wait_for(lambda: ranks_of(tmp_path))
    process.kill()
    process.wait()
    wait_for((tmp_path / "finished").exists)
    wait_for(lambda: recorded(tmp_path).rank["ended"] == "exit")
    words = under_llmprof([])
    done = start([*words[:3], "analyze", "run", "-o", "run"], tmp_path)
    assert done.returncode in (0, 4), done.stderr
    assert not [text for text in warnings_of(tmp_path / "run") if "died" in text]
    assert len(recorded(tmp_path).steps) == 250


def test_a_terminal_that_goes_away_ends_the_run_and_the_report_is_made(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LONG.replace("250", "5000"))
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        command = under_llmprof([PYTHON, "train.py"])
        os.execve(command[0], command, environment())
    wait_for(lambda: ranks_of(tmp_path) and len(recorded(tmp_path).steps) > 100)
    os.close(screen)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGHUP
    [death] = [text for text in warnings_of(tmp_path / "run") if "died" in text]
    assert "killed by SIGHUP" in death


def test_a_full_file_system_does_not_stop_the_training(tmp_path: Path) -> None:
    """A tmpfs that holds what the wrapper writes before the command starts, and a few hundred bytes more."""
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(60, pause=0.1)\nprint('trained')\n")
    (tmp_path / "small").mkdir()
    inner = under_llmprof([PYTHON, "train.py"], "small/run", "--no-report")
    line = 'mount -t tmpfs -o size=640k none small && "$@"; code=$?; df --output=avail small | tail -1; exit $code'
    command = ["unshare", "--mount", "sh", "-c", line, "sh", *inner]
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("only root may mount a tmpfs")
    fill = "open('small/rest', 'wb', buffering=0).write(bytes(10**6))"
    (tmp_path / "train.py").write_text(f"{fill}\n{LOOP}\ntrain(30, pause=0.1)\nprint('trained')\n")
    done = start(command, tmp_path)
    assert (done.returncode, done.stdout.split()) == (0, ["trained", "0"]), done.stderr


def test_an_interrupt_reaches_every_rank_of_torchrun_and_the_code_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        LOOP + "\ntrain(20)\nopen(f'up-{os.environ[\"RANK\"]}', 'w').close()\ntrain(3000, pause=0.02)\n"
    )
    command = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    statuses = []
    for words in (command, under_llmprof(command, "run", "--no-report")):
        for old in tmp_path.glob("up-*"):
            old.unlink()
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), start_new_session=True, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: len(list(tmp_path.glob("up-*"))) == 2)
        os.killpg(process.pid, signal.SIGINT)
        statuses.append(process.wait(timeout=100))
    assert statuses[0] == statuses[1]
    assert ranks_of(tmp_path) == ["r00000", "r00001"]


def test_what_records_is_the_python_that_an_exec_ends_in(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        LOOP
        + "\nif len(sys.argv) == 1:\n    os.execv(sys.executable, [sys.executable, 'train.py', 'again'])\ntrain(12)\n"
    )
    assert record([PYTHON, "train.py"], tmp_path).returncode == 0
    assert ranks_of(tmp_path) == ["r00000"]
    assert len(recorded(tmp_path).steps) == 12
