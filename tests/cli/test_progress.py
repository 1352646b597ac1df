"""A bar is shown to somebody who watches, on standard error, and to nobody else."""

from __future__ import annotations

import io
import sys

import pytest

from llmprof.cli.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as tell:
        assert tell is not None
        tell(3, 8, "reading [rank] 3")
    assert "reading [rank] 3" in screen.getvalue()
    assert "3/8" in screen.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_a_pipe_and_a_closed_stream_see_nothing(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar() as tell:
        assert tell is None
    assert stream is None or stream.getvalue() == ""
