"""How is a panel drawn while the training itself writes to the same terminal? In rows that do not scroll.

The terminal is told to scroll only the rows above the panel (DECSTBM, as apt does for its progress bar): what the
training writes goes there untouched, and every redraw is one write that puts the cursor back. A process of its own
draws, until the pipe from the wrapper closes: it gives the rows back even when the wrapper is killed. Nothing is drawn
where standard error is no terminal, or one with too few rows.
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmprof.reports.live_run import LiveState

__all__ = ["live_panel", "main"]

LOOK_S = 1.0
FEWEST_ROWS = 20
ROWS = 8
"""Rows of the panel; a rule above them is the first."""
PATIENCE_S = 3.0


@contextmanager
def live_panel(run: Path) -> Iterator[None]:
    """Meanwhile show how the run is, on a terminal; otherwise, and whatever goes wrong, do nothing."""
    if not _can_draw():
        yield
        return
    drawing: subprocess.Popen[bytes] | None = None
    with suppress(OSError):
        command = [sys.executable, "-m", "llmprof.cli.live_panel", str(run), str(os.getpgrp())]
        drawing = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=_environment())
    try:
        yield
    finally:
        if drawing is not None and drawing.stdin is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                drawing.stdin.close()
                drawing.wait(PATIENCE_S)


def main() -> None:
    """Draw on standard error until standard input ends, while this group of processes has the terminal."""
    with suppress(OSError):
        os.setpgid(0, 0)  # the signals of the terminal are not for this process; it ends with the pipe
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    panel = _Panel(Path(sys.argv[1]), sys.stderr.fileno(), int(sys.argv[2]))
    try:
        with suppress(Exception):  # the training goes on without a panel
            panel.draw_until_stopped()
    finally:
        panel.remove()


def _environment() -> dict[str, str]:
    """As here, with the folder of the package: a checkout is not installed."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root}


def _can_draw() -> bool:
    try:
        return (
            sys.stderr is not None
            and sys.stderr.isatty()
            and os.environ.get("TERM", "dumb") != "dumb"
            and os.environ.get("TTY_INTERACTIVE") != "0"
            and os.get_terminal_size(sys.stderr.fileno()).lines >= FEWEST_ROWS
        )
    except (OSError, ValueError):
        return False


class _Panel:
    """The rows at the bottom of one terminal."""

    def __init__(self, run: Path, terminal: int, owner: int) -> None:
        self._run, self._terminal, self._owner = run, terminal, owner
        self._size: os.terminal_size | None = None

    def draw_until_stopped(self) -> None:
        """Look and draw, about once a second, from the first step on, until standard input ends."""
        from llmprof.reports.live_run import LiveRun

        live = LiveRun(self._run)
        while not select.select([sys.stdin], [], [], LOOK_S)[0]:
            state = live.look()
            if not self._in_front():
                self.remove()  # the job was suspended, or sent to the background
            elif state.steps:
                self._draw(self._lines_of(state))

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == self._owner
        except OSError:
            return True  # it is not the terminal of this session, and nobody is put in front

    def remove(self) -> None:
        """Give the rows back to the terminal."""
        if self._size is not None:
            self._write("\x1b7\x1b[r\x1b8\x1b[J")
            self._size = None

    def _lines_of(self, state: LiveState) -> list[str]:
        from rich.console import Console

        from llmprof.cli.console import can_color
        from llmprof.reports.live import panel

        width = os.get_terminal_size(self._terminal).columns
        color = can_color(sys.stderr)
        unicode = (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"
        stream = io.StringIO()
        console = Console(
            file=stream,
            width=width,
            force_terminal=True,
            color_system="standard" if color else None,
            no_color=not color,
        )
        for line in panel(state, width - 1, ascii_only=not unicode):
            console.print(line, soft_wrap=True, highlight=False)
        return [("─" if unicode else "-") * (width - 1), *stream.getvalue().splitlines()][:ROWS]

    def _draw(self, lines: list[str]) -> None:
        size = os.get_terminal_size(self._terminal)
        if size.lines < FEWEST_ROWS:
            self.remove()
            return
        text = ""
        if size != self._size:
            again = "" if self._size is None else "\x1b7\x1b[r\x1b8\x1b[J"
            # Newlines make room below the cursor; then it goes back to where it was.
            text = f"{again}{chr(10) * ROWS}\x1b[{ROWS}A\x1b7\x1b[1;{size.lines - ROWS}r\x1b8"
            self._size = size
        text += "\x1b7"
        for place in range(ROWS):
            shown = lines[place] if place < len(lines) else ""
            text += f"\x1b[{size.lines - ROWS + place + 1};1H\x1b[2K{shown}\x1b[0m"
        self._write(text + "\x1b8")

    def _write(self, text: str) -> None:
        """In one write, so that no line of the training comes between."""
        with suppress(OSError):
            os.write(self._terminal, text.encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
