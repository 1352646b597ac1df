"""`llmprof watch` and the panel of `llmprof run --live`: on a terminal they draw, elsewhere they are silent."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Llmprof
from tests.cli.test_run import TRAIN

RUN = ROOT / "sample_traces" / "data-in-process"
HEIGHT, WIDTH = 30, 100


class Terminal:
    """A terminal of HEIGHT x WIDTH that a program has been started in, and what it shows."""

    def __init__(self) -> None:
        pyte = pytest.importorskip("pyte", reason="pyte tells what a terminal would show")
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.ByteStream(self.screen)
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        os.set_blocking(self.ours, False)

    def read(self) -> str:
        try:
            while data := os.read(self.ours, 65536):
                self._stream.feed(data)
        except OSError:
            pass
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, condition: Callable[[str], bool], seconds: float = 60) -> str:
        deadline = time.monotonic() + seconds
        while not condition(shown := self.read()):
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        return shown

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONUTF8": "1"}


def test_without_a_terminal_it_tells_once_and_leaves(llmprof: Llmprof) -> None:
    done = llmprof("watch", RUN)
    assert done.returncode == 0, done.stderr
    assert "looks input-bound" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_what_is_no_run_is_refused(llmprof: Llmprof, tmp_path: Path) -> None:
    done = llmprof("watch", tmp_path)
    assert done.returncode == 2
    assert "is no run directory" in done.stderr


def test_on_a_terminal_it_draws_and_leaves_when_the_run_is_over() -> None:
    terminal = Terminal()
    try:
        command = [sys.executable, "-m", "llmprof", "watch", str(RUN)]
        done = subprocess.run(command, stdout=terminal.theirs, stderr=terminal.theirs, env=ENVIRONMENT, timeout=60)
        shown = terminal.read()
    finally:
        terminal.close()
    assert done.returncode == 0
    assert "looks input-bound" in shown
    assert "the run is over" in shown


def test_the_panel_stays_below_what_the_training_writes_and_goes_with_the_pipe() -> None:
    terminal = Terminal()
    try:
        command = [sys.executable, "-m", "llmprof.cli.live_panel", str(RUN), str(os.getpgrp())]
        drawing = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=terminal.theirs, env=ENVIRONMENT)
        assert drawing.stdin is not None
        os.write(terminal.theirs, b"first line\n")
        terminal.wait(lambda shown: "looks input-bound" in shown)
        for number in range(100):
            os.write(terminal.theirs, f"line {number}\n".encode())
        rows = terminal.wait(lambda shown: "line 99" in shown).split("\n")
        assert [row for row in rows[: HEIGHT - 8] if row][-1] == "line 99"
        assert not [row for row in rows[HEIGHT - 8 :] if row.startswith("line")]
        assert any("looks input-bound" in row for row in rows[HEIGHT - 8 :])
        drawing.stdin.close()
        assert drawing.wait(20) == 0
        os.write(terminal.theirs, b"after\n" * HEIGHT)
        after = terminal.wait(lambda shown: shown.count("after") >= HEIGHT - 1)
        assert "input-bound" not in after
    finally:
        terminal.close()


def test_live_is_silent_where_nobody_watches(llmprof: Llmprof, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('mine')")
    done = llmprof("run", "--live", "--no-report", "--", sys.executable, "train.py")
    assert (done.returncode, done.stdout) == (0, "mine\n")
    assert "\x1b" not in done.stderr


@pytest.mark.slow
def test_a_training_run_on_a_terminal_shows_its_panel_and_then_everything_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        TRAIN.replace("for batch in", "import time\nfor batch in").replace(
            "    model(batch)", "    time.sleep(0.05)\n    model(batch)"
        )
    )
    terminal = Terminal()
    try:
        command = [sys.executable, "-m", "llmprof", "run", "--live", "--no-report", "-o", str(tmp_path / "run")]
        running = subprocess.Popen(
            [*command, "--", sys.executable, str(tmp_path / "train.py")],
            stdout=terminal.theirs, stderr=terminal.theirs, env=ENVIRONMENT, cwd=tmp_path,
        )  # fmt: skip
        terminal.wait(lambda shown: "/step, p95" in shown, 120)
        assert running.wait(120) == 0
        shown = terminal.wait(lambda shown: "recorded in" in shown)
    finally:
        terminal.close()
    assert "trained" in shown
    assert "/step, p95" not in shown
