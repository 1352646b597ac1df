"""How does an adapter take hold of its framework?

An adapter names modules; when one of them has been imported, it wraps methods of the classes in it. Nothing of the
framework's objects changes: no callback is added that a user could see, print or pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from llmprof.collectors.live.hooks import After, Before, Hook
from llmprof.collectors.live.marks import Marks, Region
from llmprof.collectors.live.recorder import Recorder

__all__ = ["Adapter", "Grip", "Wrap"]

Wrap = Callable[[Hook, "list[tuple[Any, str]]", Before, After], None]


class Grip:
    """One framework of one recording."""

    def __init__(self, hook: Hook, recorder: Recorder, marks: Marks, wrap: Wrap) -> None:
        self.hook = hook
        self.recorder = recorder
        self.marks = marks
        self._wrap = wrap

    def around(self, owner: Any, method: str, before: Before, after: After) -> None:
        """Wrap a method that the framework has in every version; without it the hook is off, with the reason."""
        self._wrap(self.hook, [(owner, method)], before, after)

    def region(self, name: str, owner: Any, *methods: str) -> None:
        """What these methods do is a part of the step with this name; a method that is not there is passed over."""

        def begins(now: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Region | None:
            return self.marks.region_begins(name)

        def ends(region: Region, now: int, result: Any, error: BaseException | None) -> None:
            self.marks.region_ends(region)

        for method in methods:
            if hasattr(owner, method):
                self.around(owner, method, begins, ends)

    def training(self, owner: Any, method: str) -> None:
        """While this method runs, the framework says where steps end."""
        trainer = self.hook.name

        def begins(now: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
            self.marks.training_begins(trainer)
            return True

        def ends(token: bool, now: int, result: Any, error: BaseException | None) -> None:
            self.marks.training_ends(trainer)

        self.around(owner, method, begins, ends)


Adapter = Callable[[ModuleType, Grip], None]
