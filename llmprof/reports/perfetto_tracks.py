"""How are slices laid on tracks and written, one event of Chrome's JSON a line?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

import numpy as np
import numpy.typing as npt

from llmprof.reports.text import clip, visible

__all__ = ["LONGEST_NAME", "TrackFile", "us_text"]

LONGEST_NAME = 500


class TrackFile:
    """The list of events of one file; knows the next free track of every process."""

    def __init__(self, stream: TextIO) -> None:
        self.slices = 0
        self._stream = stream
        self._tracks: dict[int, int] = {}
        self._first = True

    def __contains__(self, process: int) -> bool:
        """Whether the process has a name already."""
        return process in self._tracks

    def process(self, process: int, name: str, order: int) -> None:
        """A process of this number, at this place among them."""
        self._tracks[process] = 0
        self.emit(
            [
                f'{{"ph":"M","name":"process_name","pid":{process},"args":{{"name":{json.dumps(name)}}}}}',
                f'{{"ph":"M","name":"process_sort_index","pid":{process},"args":{{"sort_index":{order}}}}}',
            ]
        )

    def track(
        self,
        process: int,
        title: str,
        category: str | None,
        names: Sequence[str],
        start: npt.NDArray[np.int64],
        end: npt.NDArray[np.int64],
        arguments: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
    ) -> list[int]:
        """Slices on one track, or on as many as it takes for them to nest; the track of each slice."""
        if not names:
            return []
        order, levels = _nested(start, end)
        first = self._tracks[process] + 1
        for level in range(max(levels) + 1):
            self._tracks[process] += 1
            again = f" ({level + 1})" if level else ""
            shown = json.dumps(visible(f"{title}{again}"))
            about = f'"pid":{process},"tid":{first + level},"args":'
            self.emit(
                [
                    f'{{"ph":"M","name":"thread_name",{about}{{"name":{shown}}}}}',
                    f'{{"ph":"M","name":"thread_sort_index",{about}{{"sort_index":{first + level}}}}}',
                ]
            )
        texts = {name: json.dumps(clip(visible(name), LONGEST_NAME)) for name in set(names)}
        start = np.maximum(start, 0)
        at, took = start.tolist(), np.maximum(end - start, 0).tolist()
        lines = []
        for row, level in zip(order, levels, strict=True):
            cat = category if categories is None else categories[row]
            args = f',"args":{arguments[row]}' if arguments is not None and arguments[row] else ""
            lines.append(
                f'{{"ph":"X","pid":{process},"tid":{first + level},"ts":{us_text(at[row])},"dur":{us_text(took[row])},'
                f'"cat":"{cat}","name":{texts[names[row]]}{args}}}'
            )
        self.slices += len(lines)
        self.emit(lines)
        tracks = [0] * len(names)
        for row, level in zip(order, levels, strict=True):
            tracks[row] = first + level
        return tracks

    def emit(self, lines: Sequence[str]) -> None:
        """Write these events, each without a comma."""
        if lines:
            self._stream.write(("" if self._first else ",\n") + ",\n".join(lines))
            self._first = False


def us_text(ns: int) -> str:
    """Microseconds with all nanoseconds, which a float of a long run would lose."""
    sign = "-" if ns < 0 else ""
    whole, rest = divmod(abs(ns), 1000)
    return f"{sign}{whole}.{rest:03d}" if rest else f"{sign}{whole}"


def _nested(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The rows by start, the longer first, and for each the first track on which it nests with what is open there."""
    order = np.lexsort((-end, start)).tolist()
    starts, ends = start.tolist(), end.tolist()
    tracks: list[list[int]] = [[]]
    levels = []
    for row in order:
        level = 0
        while not _takes(tracks[level], starts[row], ends[row]):
            level += 1
            if level == len(tracks):
                tracks.append([])
        tracks[level].append(ends[row])
        levels.append(level)
    return order, levels


def _takes(stack: list[int], start: int, end: int) -> bool:
    """Whether a slice nests in what is still open on a track at its start; closes what is not."""
    while stack and stack[-1] <= start:
        stack.pop()
    return not stack or end <= stack[-1]
