"""Which frameworks are known, and by which modules are they recognised?

A framework is one file with a name and `MODULES`; nothing of it is imported here, it is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from llmprof.collectors.live.checkpoints import ImportWatch
from llmprof.collectors.live.frameworks import accelerate, deepspeed, huggingface, lightning
from llmprof.collectors.live.frameworks.grip import Adapter, Grip, Wrap
from llmprof.collectors.live.marks import Marks
from llmprof.collectors.live.recorder import Recorder

__all__ = ["ADAPTERS", "watch_frameworks"]

ADAPTERS: dict[str, tuple[str, Adapter]] = {
    module: (framework.NAME, adapter)
    for framework in (accelerate, deepspeed, huggingface, lightning)
    for module, adapter in framework.MODULES.items()
}
"""Module -> the name of the hook, and what takes hold of the module."""


def watch_frameworks(recorder: Recorder, marks: Marks, wrap: Wrap) -> Callable[[], None]:
    """Take hold of every known framework that is imported, or will be; returns what ends the waiting."""

    def arrived(module: ModuleType) -> None:
        name, adapter = ADAPTERS[module.__name__]
        hook = recorder.hooks.get(name) or recorder.hook(name)
        if recorder.session is not None and hook.armed:  # imported late: the crew does not list it any more
            recorder.session.set_collector(name, "armed")
        try:
            adapter(module, Grip(hook, recorder, marks, wrap))
        except Exception as error:
            hook.fail(error)

    return ImportWatch(list(ADAPTERS), arrived).remove
