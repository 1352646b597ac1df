"""How many steps will the run have, as far as that can be known after its first step?"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import Any

__all__ = ["steps_of_an_epoch"]


def steps_of_an_epoch(loaders: Iterable[weakref.ref[Any]], batches_a_step: int) -> int | None:
    """Steps until the first of the training loaders is exhausted; None when none of them knows its length.

    A run of several epochs is longer. `batches_a_step` is how many a step takes of each loader.
    """
    found = []
    for reference in loaders:
        try:
            found.append(math.ceil(len(reference()) / max(batches_a_step, 1)))  # type: ignore[arg-type]
        except Exception:  # noqa: PERF203 - a stream, or a length of the script's own that fails
            continue
    return min(found, default=None)
