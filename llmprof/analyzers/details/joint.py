"""What do several fixes bring together, for every choice of the first ones? Each choice is a replay, never a sum."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from llmprof.analyzers.diagnosis import Combined, Recommendation
from llmprof.analyzers.replay.exclusive import alternatives
from llmprof.analyzers.replay.gains import Replays
from llmprof.analyzers.replay.transforms.registry import transforms_by_fix
from llmprof.units import NS_PER_MS

__all__ = ["joint_of"]

MOST_FIXES = 4
"""Of so many fixes every choice is replayed: 11 of them. Of fixes that exclude each other the first one counts."""
MOST_NODES = 300_000
"""Nodes of a graph, times the choices: some seconds. Larger graphs get pairs only, or none."""


def joint_of(replays: Replays, fixes: Sequence[Recommendation], combined: Combined | None) -> tuple[Combined, ...]:
    """The step after each choice of two or more of the first replayed fixes that can be done together.

    combined    the choice that the document names already; it is not replayed again
    """
    if replays.what_if is None:
        return ()
    known = transforms_by_fix()
    able: list[Recommendation] = []
    for one in fixes:
        helps = one.id in known and one.gain.basis == "replay" and one.gain.expected_ms > 0
        if helps and not any(other.id in alternatives(one.id) for other in able):
            able.append(one)
    found: list[Combined] = []
    left = MOST_NODES
    for count in range(2, MOST_FIXES + 1):
        for chosen in combinations(able[:MOST_FIXES], count):
            ids = tuple(one.id for one in chosen)
            if combined is not None and set(ids) == set(combined.of):
                continue
            left -= len(replays.what_if.model.traced)
            if left < 0:
                return tuple(found)
            wanted = [*dict.fromkeys(fix for one in chosen for fix in (*one.requires, one.id) if fix in known)]
            after = replays.what_if.predict(wanted)
            found.append(
                Combined(
                    of=ids,
                    step_ms_after=after.step_ns / NS_PER_MS,
                    low_ms=after.least_ns / NS_PER_MS,
                    high_ms=after.most_ns / NS_PER_MS,
                )
            )
    return tuple(found)
