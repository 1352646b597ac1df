"""Where does a command's answer go, where its progress, and what can the terminal show?"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

__all__ = ["answer", "can_color", "note", "width_of"]

WIDTH_WITHOUT_TERMINAL = 120
"""A pipe or a log file: wide enough for kernel names, which a guess of 80 columns would cut."""


def answer(text: str) -> None:
    """The answer, on standard output, with one final newline."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def note(sentence: str) -> None:
    """Progress, a warning or an error, one line on standard error; one that is closed, or gone, gets none."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"llmprof: {sentence}", file=sys.stderr, flush=True)


def width_of(stream: TextIO) -> int:
    """Columns of the terminal behind `stream`; COLUMNS wins, and what is no terminal is 120 columns wide."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH_WITHOUT_TERMINAL
    except (OSError, ValueError):
        return WIDTH_WITHOUT_TERMINAL


def can_color(stream: TextIO) -> bool:
    """Whether colour is welcome: a terminal, and neither NO_COLOR (no-color.org) nor TERM=dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
