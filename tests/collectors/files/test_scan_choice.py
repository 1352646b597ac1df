"""A small trace loads no compiler, no trace loads numba, and without llvmlite everything is read plainly."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.collectors.files import kineto, scan_choice, scan_code
from llmprof.collectors.files.kineto_rows import RowCollector
from tests.scenarios.files import events_of, small


def test_without_a_compiler_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert scan_choice.plain_limit() is None


def test_a_small_trace_loads_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmprof.collectors.files.scan_walk", None)
    trace = kineto.parse_kineto(small().write_kineto(tmp_path / "t.json.gz"))
    assert isinstance(trace.found, RowCollector)


def test_a_large_trace_never_loads_numba(tmp_path: Path) -> None:
    pytest.importorskip("llvmlite")
    path = small().write_kineto(tmp_path / "t.json")
    code = (
        "import sys; from llmprof.collectors.files import kineto; kineto.plain_limit = lambda: 0\n"
        f"found = kineto.parse_kineto({str(path)!r}).found\n"
        "print(type(found).__name__, 'llvmlite' in sys.modules, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ScannedRows", "True", "False"]


def test_text_that_llvm_refuses_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    text = tmp_path / "scanner.ll"
    text.write_text("define i64 @scan(future %0)")
    monkeypatch.setattr(scan_code, "TEXT", text)
    monkeypatch.setattr(kineto, "plain_limit", lambda: 0)
    scan_code.scanner_code.cache_clear()
    try:
        for name in ("t.json", "t.json.gz"):
            trace = kineto.parse_kineto(small().write_kineto(tmp_path / name))
            assert isinstance(trace.found, RowCollector)
            assert len(events_of(trace.timeline(0))) == 6
    finally:
        scan_code.scanner_code.cache_clear()
