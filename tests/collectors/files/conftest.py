"""Both readers of Kineto traces, for the tests that hold for either; and a cache folder of their own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmprof.collectors.files import kineto


@pytest.fixture(autouse=True, scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what large traces leave for a second look out of the user's folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(params=["plain", "scanner"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read everything with this reader, whatever its size, and always anew."""
    if request.param == "scanner" and importlib.util.find_spec("llvmlite") is None:
        pytest.skip("no llvmlite")
    limit = None if request.param == "plain" else 0
    monkeypatch.setattr(kineto, "plain_limit", lambda: limit)
    monkeypatch.setattr(kineto.TraceCache, "load", lambda self: None)
    monkeypatch.setattr(kineto.TraceCache, "store", lambda self, kept: None)
    return str(request.param)
