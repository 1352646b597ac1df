"""A session that only remembers what collectors ask of it, for tests that drive one collector alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class FakeSession:
    """What a collector may use of the real session, kept in memory."""

    def __init__(
        self,
        run: Path,
        *,
        rank: int = 0,
        world_size: int = 1,
        local_rank: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.rank, self.world_size, self.local_rank = rank, world_size, local_rank
        self.host = "testhost"
        self.run_dir = run
        self.rank_dir = run / "ranks" / f"r{rank:05d}"
        self.rank_dir.mkdir(parents=True, exist_ok=True)
        self.options = dict(options or {})
        self.phase = "baseline"
        self.current_step = 0
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.rank_json: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.disarmed: dict[str, str] = {}
        self.statuses: dict[str, tuple[str, str | None]] = {}
        self.loaders: list[Any] = []
        self.optimizers: list[Any] = []
        self.models: list[Any] = []
        self.phases: dict[int, str] = {}
        self.expected_steps: int | None = None
        self.during_step: Callable[[], None] | None = None
        self.on_lines: list[Callable[[str, Mapping[str, Any]], None]] = []
        self.every_flush: list[Callable[[], None]] = []

    def append(self, filename: str, obj: dict[str, Any]) -> None:
        self.lines.append((filename, obj))

    def update_rank(self, **keys: Any) -> None:
        for key, value in keys.items():
            held = self.rank_json.get(key)
            merged = isinstance(held, dict) and isinstance(value, dict)
            self.rank_json[key] = {**held, **value} if merged else value

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append({"kind": kind, **fields})

    def disarm(self, name: str, reason: str) -> None:
        self.disarmed[name] = reason

    def set_collector(self, name: str, status: str, reason: str | None = None) -> None:
        self.statuses[name] = (status, reason)

    def wake(self) -> None:
        """Every step is shown to the collector anyway."""

    def note_apart(self, name: str, begin: int, end: int) -> None:
        """Nothing is judged here."""

    def train(self, collector: Any, steps: int, work: Callable[[int], None], wall_ns: int = 1_000_000) -> None:
        """Run `steps` steps as the real session does: step 0 is over before the collector starts."""
        for n in range(steps):
            self.current_step = n
            work(n)
            self.phases[n] = self.phase
            if n == 0:
                collector.start(self)
            self.current_step = n + 1
            collector.on_step({"n": n, "t": n * wall_ns, "wall": wall_ns, "phase": self.phases[n], "micro": 1})
        collector.stop()
