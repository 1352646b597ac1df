"""A collector that is missing or cannot be made is told, and the others are made."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from llmprof.collectors.live import collector


class Good:
    name = "good"


def broken() -> None:
    raise OSError("no device")


def test_discovers_what_can_be_made_and_tells_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("llmprof.collectors.live.made_up")
    module.Good, module.broken = Good, broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = (("missing", "Missing"), ("made_up", "broken"), ("made_up", "Absent"), ("made_up", "Good"))
    monkeypatch.setattr(collector, "DEFAULT_COLLECTORS", names)
    told: list[tuple[str, str]] = []
    [made] = collector.discover(lambda name, reason: told.append((name, reason)))
    assert isinstance(made, Good)
    assert [name for name, _ in told] == ["missing", "made_up", "made_up"]
    assert told[0][1].startswith("ModuleNotFoundError")
    assert told[1][1] == "OSError: no device"


def test_the_default_collectors_exist() -> None:
    told: list[tuple[str, str]] = []
    made = collector.discover(lambda name, reason: told.append((name, reason)))
    assert told == []
    assert {one.name for one in made} == {"configuration", "allocator", "telemetry", "torch_trace"}
