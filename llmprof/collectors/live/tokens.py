"""How many tokens does a batch hold, found with as little work a step as possible?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

__all__ = ["TokenCounter"]

_DEPTH, _ITEMS = 3, 16  # how far into a batch to look for token ids
STEADY, LOOK_EVERY = 16, 8
"""The short batch that ends an epoch may pass for a full one then: an error of less than one batch an epoch."""
_INTEGERS = frozenset({"torch.int64", "torch.int32", "int64", "int32"})


class TokenCounter:
    """Counts batch after batch of one loader; in a batch built like the last one it looks at the same place only.

    Where STEADY batches in a row hold as many, it looks at one of LOOK_EVERY from then on, until one is different.
    """

    __slots__ = ("_dtype", "_key", "_kind", "_length", "_same", "skip", "tokens")

    def __init__(self) -> None:
        self._kind: Any = None  # type of the batch, when the ids are one of its items
        self._length = 0
        self._key: Any = None
        self._dtype: Any = None
        self.tokens = self._same = 0
        self.skip = 0
        """Batches from the next one on that are not looked at: they hold as many `tokens` as the one before."""

    def count(self, batch: Any) -> int:
        """Elements of the first integer tensor of two dimensions, (batch, sequence), in a batch; 0 if there is none."""
        if self.skip:
            self.skip -= 1
            return self.tokens
        tokens = self._look(batch)
        if tokens != self.tokens:
            self.tokens, self._same = tokens, 0
        self._same += 1
        if self._same >= STEADY:
            self.skip = LOOK_EVERY - 1
        return tokens

    def _look(self, batch: Any) -> int:
        if type(batch) is self._kind:
            try:
                ids = batch[self._key]
                rows, columns = ids.shape
                if ids.dtype is self._dtype and len(batch) == self._length:
                    return rows * columns  # type: ignore[no-any-return]
            except (AttributeError, KeyError, IndexError, TypeError, ValueError):  # this one is built differently
                pass
        return self._search(batch)

    def _search(self, batch: Any) -> int:
        self._kind = None
        found = _find(batch, 0)
        if found is None:
            return 0
        ids, way = found
        if len(way) == 1:
            self._kind, self._length, self._key, self._dtype = type(batch), len(batch), way[0], ids.dtype
        return int(ids.shape[0]) * int(ids.shape[1])


def _find(value: Any, depth: int) -> tuple[Any, tuple[Any, ...]] | None:
    """The ids, and the keys that lead to them from the outermost container on."""
    items: Any
    if isinstance(value, (list, tuple)):
        items = enumerate(value[:_ITEMS])
    elif hasattr(value, "dtype"):
        return (value, ()) if len(value.shape) == 2 and str(value.dtype) in _INTEGERS else None
    elif isinstance(value, Mapping):
        named = value.get("input_ids")
        items = [*([] if named is None else [("input_ids", named)]), *islice(value.items(), _ITEMS)]
    else:
        return None
    if depth < _DEPTH:
        for key, item in items:
            found = _find(item, depth + 1)
            if found is not None:
                return found[0], (key, *found[1])
    return None
