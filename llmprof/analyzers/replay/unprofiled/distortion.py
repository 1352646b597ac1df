"""How much of the traced host's time is the profiler's? At most two parameters lead to the unprofiled step.

Every event that the profiler records of the host costs time; device work keeps its length. So each stretch of host
work shrinks by `cost x events recorded in it`, never below zero. Where twice the usual cost is not enough, the host as
a whole was slower meanwhile, its own Python and its calls into the driver too: then it is stretched. Where the traced
steps are the shorter ones the host was slower in the others: other processes, other clocks. Both are fitted on one
number, the unprofiled mean step. A step that does not depend on the host tells nothing about them: then the cost is
taken with which the host is as early as it was seen to be, or else the usual one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from llmprof.analyzers.facts.partition.correction import MAX_COST_NS, MAX_STRETCH
from llmprof.analyzers.replay.graph.graph import Graph, NodeKind
from llmprof.analyzers.replay.unprofiled.event_cost import USUAL_COST_NS
from llmprof.analyzers.replay.unprofiled.seen import Seen

__all__ = [
    "LAUNCH_WEIGHT",
    "MOST_SLOWER",
    "MOST_SLOWER_HOST",
    "WEIGHTS",
    "Distortion",
    "fit",
    "relieved",
    "slower_device",
]

LAUNCH_WEIGHT = 4.0
"""A launch is recorded on the host and on the device. In the same recordings the optimizer phase, with hardly a launch,
was longer than without the profiler by 1.3 to 2.5 µs an event, forward and backward by 6 to 11 µs more a launch."""
WEIGHTS = (1.0, LAUNCH_WEIGHT, 8.0)
"""How far that may be wrong: both ends are fitted too where a gain needs an interval."""
TELLS_SHARE = 0.05
"""A step that twice the usual cost does not shorten by this much tells nothing about the cost."""
_CORNER = 0.005
_BUSY_CORNER = 0.02
"""As far above the device's own step is taken for it where the device was seen to be busy: what good replays miss."""
MOST_SLOWER = 1.25
"""A device that the recording's late host lets idle is quicker than one that never rests: collectives have it to
themselves, and its clocks stay higher. A step that would need more than this is not explained by that (assumption)."""
MOST_SHARED = 2.0
"""A program that shares its core with another one runs at half its pace: no host is believed to be slower than that
(assumption)."""
MOST_SLOWER_HOST = 1.5
"""A host that took longer than so many times what it took in the traced steps did something else in the others."""
_COST_NOISE = 0.1
"""Costs of an event that differ by less are the same: those told by phases of one recording differ as much."""
_FOLLOWS = 0.5
"""Of what the host gets longer, so much at least has to make a step longer that is said to be long for its host."""
_TOLERANCE = 0.002
"""Of the step: closer than this nothing is gained by fitting on."""
_MOST_TRIES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Distortion:
    """What the profiler cost: ns per recorded event, and the common stretch of the host.

    fitted    False where the step does not depend on the host, so that the usual cost is assumed
    error     what remains between the replay and the unprofiled step, as a share of the latter; None without one
    range_ns  where the step does not tell the cost, or only that it is high enough for the device to set the pace:
              from, to
    device    how much longer the device's work takes than recorded: collectives, and without any of them, or with
              `whole`, all work
    """

    cost_ns: float = 0.0
    stretch: float = 1.0
    launch_weight: float = LAUNCH_WEIGHT
    fitted: bool = False
    error: float | None = None
    range_ns: tuple[float, float] | None = None
    device: float = 1.0
    whole: bool = False


def relieved(graph: Graph, distortion: Distortion) -> Graph:
    """The graph without the profiler's share of the host's work."""
    host, cost = graph.on_host, distortion.cost_ns
    own = graph.own_events + np.maximum(distortion.launch_weight - 1, 0) * graph.launched
    lag = graph.before_lag - cost * graph.lead_events
    dur = graph.dur - cost * own
    # What a call cannot pay, the work before it does: the profiler's callbacks stand partly outside the call.
    lag = np.maximum(lag + np.minimum(dur, 0.0), 0.0) / distortion.stretch
    dur = np.maximum(dur, 0.0) / distortion.stretch
    meetings = graph.kind == NodeKind.MEETING
    slower = meetings if meetings.any() and not distortion.whole else graph.on_device
    device = np.where(slower, graph.dur * distortion.device, graph.dur)
    return replace(graph, before_lag=np.where(host, lag, graph.before_lag), dur=np.where(host, dur, device))


def fit(
    graph: Graph,
    step_ns: float,
    predict: Callable[[Graph], float],
    launch_weight: float = LAUNCH_WEIGHT,
    seen: Seen | None = None,
    by_events: bool = False,
) -> Distortion:
    """The distortion with which `predict` gives `step_ns` for the relieved graph, or comes closest to it.

    seen         what the unprofiled steps showed besides their length
    by_events    explain as much as can be believed by the cost of an event
    """
    seen = seen or Seen()
    found = replace(_fitted(graph, step_ns, predict, launch_weight, seen), launch_weight=launch_weight)
    # A step that does not wait for its host tells nothing about it.
    if seen.host_late and not by_events and found.cost_ns > 2 * USUAL_COST_NS:
        found = _slowed(graph, step_ns, predict, found) or found
    return _slower_host(graph, step_ns, predict, found, seen) or found


def slower_device(
    graph: Graph,
    step_ns: float,
    predict: Callable[[Graph], float],
    seen: Seen,
    *,
    cost_ns: float,
    most: float = MOST_SLOWER,
    whole: bool = False,
) -> Distortion | None:
    """The other explanation of a step that fits a late host: a slower device, and a host that is early.

    None where the device was seen to run dry, or would have to be too slow.

    cost_ns    what the profiler costs the host an event at least
    most       how many times as long the device's work may take
    whole      all of that work, not the collectives alone
    """
    if seen.host_late:
        return None
    cost, ends = _untold(seen, max(cost_ns, seen.least_cost_ns))

    def at(swiftness: float) -> float:
        return predict(relieved(graph, Distortion(cost_ns=cost, device=1 / swiftness, whole=whole)))

    low, high = (1 / most, at(1 / most)), (1.0, at(1.0))
    if not high[1] < step_ns < low[1]:
        return None
    swiftness, found_ns = _solve(at, step_ns, low, high, _TOLERANCE * step_ns)
    error = found_ns / step_ns - 1
    return Distortion(cost_ns=cost, device=1 / swiftness, whole=whole, fitted=True, error=error, range_ns=ends)


def _slowed(graph: Graph, step_ns: float, predict: Callable[[Graph], float], found: Distortion) -> Distortion | None:
    """A host that was slower while it was traced, instead of a cost that is higher than any quiet recording shows.

    The further that cost is from twice the usual one, the less of it is believed, down to the usual one. None where
    the host would have been too slow, or the device takes over shortly below the step.
    """
    cost = max(USUAL_COST_NS, (2 * USUAL_COST_NS) ** 2 / found.cost_ns)

    def at(stretch: float) -> float:
        return predict(relieved(graph, replace(found, cost_ns=cost, stretch=stretch)))

    low, high = (1.0, at(1.0)), (MOST_SHARED, at(MOST_SHARED))
    if not high[1] < (1 - _BUSY_CORNER) * step_ns < step_ns < low[1]:
        return None
    stretch, found_ns = _solve(at, step_ns, low, high, _TOLERANCE * step_ns)
    return Distortion(
        cost_ns=cost, stretch=stretch, launch_weight=found.launch_weight, fitted=True, error=found_ns / step_ns - 1
    )


def _fitted(
    graph: Graph, step_ns: float, predict: Callable[[Graph], float], launch_weight: float, seen: Seen
) -> Distortion:
    def at(cost_ns: float, stretch: float = 1.0) -> float:
        return predict(relieved(graph, Distortion(cost_ns=cost_ns, stretch=stretch, launch_weight=launch_weight)))

    plain, doubled = at(0.0), at(2 * USUAL_COST_NS)
    close = _TOLERANCE * step_ns
    if plain <= step_ns + close or plain - doubled < TELLS_SHARE * step_ns:
        return _assumed(plain, step_ns, at, seen)
    corner = _BUSY_CORNER if seen.device_busy else _CORNER
    if doubled < (1 - corner) * step_ns:
        cost, found_ns = _solve(at, step_ns, (0.0, plain), (2 * USUAL_COST_NS, doubled), close)
        return Distortion(cost_ns=cost, fitted=True, error=found_ns / step_ns - 1)
    fastest = at(MAX_COST_NS)
    # Where the device takes over shortly above the step, the cost at which it does is the one that can be told.
    near = fastest < (1 + corner) * step_ns
    target = max(step_ns, fastest + _CORNER * step_ns) if near else step_ns
    if fastest <= target:
        cost, found_ns = _solve(at, target, (0.0, plain), (MAX_COST_NS, fastest), close)
        if near and fastest > (1 - corner) * step_ns and not seen.host_late:
            # Every cost from this one on explains the step.
            least = max(cost, seen.least_cost_ns)
            cost, ends = _untold(seen, max(least, seen.usual_cost_ns))
            cost, ends = max(cost, least), (max(ends[0], least), max(ends[1], least))
            return Distortion(cost_ns=cost, fitted=True, error=at(cost) / step_ns - 1, range_ns=ends)
        return Distortion(cost_ns=cost, fitted=True, error=found_ns / step_ns - 1)
    stretched = at(MAX_COST_NS, MAX_STRETCH)
    if stretched >= step_ns:
        return Distortion(cost_ns=MAX_COST_NS, stretch=MAX_STRETCH, fitted=True, error=stretched / step_ns - 1)
    low, high = (1.0, fastest), (MAX_STRETCH, stretched)
    stretch, found_ns = _solve(lambda value: at(MAX_COST_NS, value), step_ns, low, high, close)
    return Distortion(cost_ns=MAX_COST_NS, stretch=stretch, fitted=True, error=found_ns / step_ns - 1)


def _slower_host(
    graph: Graph, step_ns: float, predict: Callable[[Graph], float], found: Distortion, seen: Seen
) -> Distortion | None:
    """The cost that the host's phases tell, with a host that was slower in the unprofiled than in the traced steps.

    None where `found` explains the step with at least that cost, where the device was not seen to run dry, where
    collectives may be what was slower, and where the step hardly follows the host.
    """
    if not seen.host_late or found.stretch != 1 or (graph.kind == NodeKind.MEETING).any():
        return None
    short = not found.fitted and (found.error or 0.0) < -_BUSY_CORNER
    told = seen.least_cost_ns
    if not short and found.cost_ns >= (1 - _COST_NOISE) * told:
        return None
    for cost in dict.fromkeys((told, 0.0) if short else (told,)):

        def at(stretch: float, cost: float = cost) -> float:
            other = Distortion(cost_ns=cost, stretch=stretch, launch_weight=found.launch_weight)
            return predict(relieved(graph, other))

        high, low = (1 / MOST_SLOWER_HOST, at(1 / MOST_SLOWER_HOST)), (1.0, at(1.0))
        if low[1] < (1 - _BUSY_CORNER) * step_ns <= step_ns <= high[1]:
            stretch, found_ns = _solve(at, step_ns, high, low, _TOLERANCE * step_ns)
            if step_ns / low[1] - 1 < _FOLLOWS * (1 / stretch - 1):
                continue
            return replace(found, cost_ns=cost, stretch=stretch, fitted=True, error=found_ns / step_ns - 1)
    return None


def _untold(seen: Seen, cost_ns: float) -> tuple[float, tuple[float, float]]:
    """A cost that the step does not tell, with the ends of its range: as early a host as was seen, else `cost_ns`."""
    if seen.host_late and seen.least_cost_ns > 0:
        # The phases of a late host hold no waiting, so that they tell more than the least.
        return seen.least_cost_ns, (seen.least_cost_ns / 2, 2 * seen.least_cost_ns)
    if seen.early_cost_ns is None:
        usual, least = seen.usual_cost_ns, seen.least_cost_ns
        return cost_ns, (max(usual / 2, least), max(2 * usual, 2 * least, cost_ns))
    low, cost, high = (max(one, seen.least_cost_ns) for one in seen.early_cost_ns)
    return cost, (low, high)


def _assumed(plain: float, step_ns: float, at: Callable[[float], float], seen: Seen) -> Distortion:
    """A cost that the step does not tell, as long as it does not lead away from a step that the recording meets."""
    close = _BUSY_CORNER if seen.early_cost_ns is not None else _TOLERANCE
    cost, ends = _untold(seen, max(seen.usual_cost_ns, seen.quick_cost_ns if seen.device_busy else 0.0))
    usual = at(cost)
    if abs(usual - step_ns) > abs(plain - step_ns) + close * step_ns:
        return Distortion(error=plain / step_ns - 1)
    return Distortion(cost_ns=cost, error=usual / step_ns - 1, range_ns=ends)


def _solve(
    at: Callable[[float], float],
    target: float,
    low: tuple[float, float],
    high: tuple[float, float],
    close: float,
) -> tuple[float, float]:
    """Where a falling function meets `target`, and its value there; `low` and `high` are such pairs on both sides.

    False position with a halving of the side that stays (the Illinois variant), since most of the way is a line.
    """
    (a, over), (b, under) = (low[0], low[1] - target), (high[0], high[1] - target)
    middle, found, side = b, high[1], 0
    for _ in range(_MOST_TRIES):
        middle = b - under * (b - a) / (under - over) if under != over else (a + b) / 2
        found = at(middle)
        value = found - target
        if abs(value) <= close:
            break
        if value > 0:
            under = under / 2 if side > 0 else under
            a, over, side = middle, value, 1
        else:
            over = over / 2 if side < 0 else over
            b, under, side = middle, value, -1
    return middle, found
