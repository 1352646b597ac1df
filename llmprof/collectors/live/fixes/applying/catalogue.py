"""Which fixes can be applied at run time, and what is known of each before it is?"""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["FIXES", "VARIABLE", "AboutFix", "about", "applicable"]

VARIABLE = "LLMPROF_FIXES"
"""What `llmprof run` is told: fixes separated by commas, each `ID` or `ID=VALUE`; set but empty: a plain run that is
to be compared with a fixed one."""
FIXES = "llmprof.collectors.live.fixes"
"""The package whose modules are the fixes."""
_ID = re.compile(r"[a-z][a-z0-9-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutFix:
    """What is known of a fix before it is applied."""

    id: str
    numerics: bool
    """Whether losses may change: more than the order of the samples or the last bits of a sum."""
    value: str
    """Regular expression that finds the value in a recommendation's `how`; empty for a fix without one."""
    needs_gpu: bool
    """Whether there is nothing that it could change where training runs on the CPU."""


@cache
def applicable() -> tuple[str, ...]:
    """The ids of all fixes that can be applied at run time."""
    places = import_module(FIXES).__path__
    return tuple(sorted(one.name.replace("_", "-") for one in pkgutil.iter_modules(places) if not one.ispkg))


def about(fix: str) -> AboutFix | None:
    """What is known of this fix; None when it cannot be applied at run time."""
    if not _ID.match(fix) or fix not in applicable():
        return None
    module: Any = import_module(f"{FIXES}.{fix.replace('-', '_')}")
    needs_gpu = getattr(module, "NEEDS_GPU", False)
    return AboutFix(id=fix, numerics=module.NUMERICS, value=module.VALUE, needs_gpu=needs_gpu)
