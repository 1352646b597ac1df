"""Small traces wait for no compiler, and without numba everything is read plainly."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from llmprof.collectors.files import kineto, scan_choice
from llmprof.collectors.files.kineto_rows import RowCollector
from tests.scenarios.files import events_of, small


def test_without_numba_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert scan_choice.plain_limit() is None


def test_more_is_read_plainly_before_the_scanner_was_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert scan_choice.plain_limit() == scan_choice.COLD_LIMIT
    (tmp_path / "files_1").mkdir()
    (tmp_path / "files_1" / "scanner.scan-1.py311.nbi").touch()
    assert scan_choice.plain_limit() == scan_choice.WARM_LIMIT < scan_choice.COLD_LIMIT


def test_a_small_trace_loads_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmprof.collectors.files.scan_walk", None)
    trace = kineto.parse_kineto(small().write_kineto(tmp_path / "t.json.gz"))
    assert isinstance(trace.found, RowCollector)


def test_a_numba_that_cannot_be_imported_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kineto, "plain_limit", lambda: 0)
    monkeypatch.setitem(sys.modules, "llmprof.collectors.files.scan_walk", None)
    for name in ("t.json", "t.json.gz"):
        trace = kineto.parse_kineto(small().write_kineto(tmp_path / name))
        assert isinstance(trace.found, RowCollector)
        assert len(events_of(trace.timeline(0))) == 6
