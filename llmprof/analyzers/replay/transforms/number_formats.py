"""Matrix products in bf16 or TF32: each kernel at the rate of the other format, casts and their launches included.

Operators of known shapes take what the facts say. Kernels of the others go by the ratio of the formats' peaks. A
convolution in fp32 on CUDA cores may be dozens of kernels (transforms, many small products); on tensor cores it is one
kernel forward, and one for each gradient backward.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.faster.number_formats import MEMORY_CLASSES, Converted, converted, slower_formats
from llmprof.analyzers.facts.operators.operators import Rows
from llmprof.analyzers.replay.graph.graph import Float64, Mask
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Subject, host_of, in_optimizer
from llmprof.analyzers.replay.transforms.kernels import SHAPED_SHARE, by_name
from llmprof.timeline.events import NONE

__all__ = ["FIXES", "apply"]

FIXES = ("bf16-autocast", "tf32")

FORMAT = (1.6, 1.1, 0.75)
"""Time against the ratio of the peaks: at worst (small or odd shapes), expected (achievable bf16 is about 0.8 of the
peak, stas00/ml-engineering, against 0.9 assumed for fp32 on CUDA cores), and at best."""
ATTENTION = (3.0, 2.0, 1.0)
"""The same of attention: TraceLens expects 0.2 to 0.6 of the peak for one and two thousand tokens."""
TRAFFIC = (1.0, 0.75, 0.5)
"""Kernels limited by memory: bf16 tensors are half as long, but norms, losses and residuals may stay in fp32 (PyTorch
AMP documentation)."""
CASTS = 1 / 3
"""Extra launches for each matrix product: autocast casts a weight once a forward, and each forward product has two in
backward."""
LAUNCHES = (1.5, 1.0, 0.5)
"""How many launches of usual length a cast costs the host: it is an operator of its own, and a node of backward."""
CAST_HOST_NS = 12_000.0
"""No more than this is a usual launch: casts run no Python (recorded on H200s' hosts, the median cast: 7 to 17 µs), and
where nothing tells what the profiler cost its share is still in the launches."""
UNKNOWN_RATIO = {"fp32": 0.25, "tf32": 0.5}
"""Where the device's peaks are not known: the smallest step among data-centre GPUs since Ampere (A10, L40S)."""
_UNSET = -1.0

Columns = tuple[Float64, ...]
"""Of each row of a rank's events (or node): its time and launch against those of today, and the casts that it needs;
the time is _UNSET where no operator tells."""


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with fp32 (and for bf16 also TF32) products in the faster format."""
    fast = "tf32" if fix == "tf32" else "bf16"
    dur, casts, products = _by_peaks(subject, fast, level)
    if not products.any():
        return f"no matrix product runs in {' or '.join(slower_formats(fast))}"
    graph = scenario.graph
    nodes = (dur, np.ones(len(graph)), casts)
    chief = subject.chief
    places = sorted(range(len(subject.ranks)), key=lambda place: place != chief)
    model: Columns | None = None
    for place in places:
        operators = subject.of(place).operators
        mine = np.flatnonzero(graph.on_device & (graph.rank == place) & (graph.row != NONE))
        if model is None or (operators is not None and operators.shaped_share >= SHAPED_SHARE):
            columns = _columns(subject, place, fast, level)
        else:
            columns = by_name(subject, place, chief, model)
        told = mine[columns[0][graph.row[mine]] >= 0]
        for node, column in zip(nodes, columns, strict=True):
            node[told] = column[graph.row[told]]
        model = model or _by_row(subject, chief, mine, nodes)
    kept = host_of(graph, subject.device) & in_optimizer(subject)  # what updates the weights stays in fp32
    kept = subject.device & (graph.cause >= 0) & kept[np.maximum(graph.cause, 0)]
    for node, same in zip(nodes, (1.0, 1.0, 0.0), strict=True):
        node[kept] = same
    return _changed(scenario, subject, nodes, level)


def _by_row(subject: Subject, place: int, nodes: Rows, columns: Columns) -> Columns:
    """The columns of nodes as columns of the rows of the rank that they are on."""
    events, rows = subject.events(place), subject.graph.row[nodes]
    found = (np.ones(len(events)), np.ones(len(events)), np.zeros(len(events)))
    for column, node in zip(found, columns, strict=True):
        column[rows] = node[nodes]
    return found


def _changed(scenario: Scenario, subject: Subject, columns: Columns, level: Level) -> Scenario:
    graph, (dur, lag, casts) = scenario.graph, columns
    calls = host_of(graph, subject.device)
    usual = min(CAST_HOST_NS, float(np.median((graph.before_lag + graph.dur)[calls]))) if calls.any() else 0.0
    dur = np.where(subject.device, dur, 1.0)
    extra = np.zeros(len(graph))
    # A call that launches many kernels, a graph's, stays whatever becomes of them.
    work = np.flatnonzero(subject.device & (graph.cause >= 0))
    work = work[subject.graph.launched[graph.cause[work]] <= 1]
    cause = graph.cause[work]
    lag[cause] = dur[cause] = lag[work]
    extra[cause] = casts[work] * level.pick(*LAUNCHES) * usual
    changed = replace(graph, dur=graph.dur * dur, before_lag=graph.before_lag * lag + extra)
    return replace(scenario, graph=changed)


def _by_peaks(subject: Subject, fast: str, level: Level) -> tuple[Float64, Float64, Mask]:
    """By the names of kernels: the time against that of today, the casts, and which are products."""
    factor = np.ones(len(subject.graph))
    products = np.zeros(len(subject.graph), dtype=bool)
    for name in slower_formats(fast):
        ratio = _ratio(subject, name, fast)
        matrix = _of_format(subject, "gemm", name) | _of_format(subject, "convolution", name)
        factor[matrix] = min(1.0, ratio * level.pick(*FORMAT))
        products |= matrix
        if fast == "bf16":  # fused attention has no TF32 mode
            attention = _of_format(subject, "attention", name)
            factor[attention] = min(1.0, ratio * level.pick(*ATTENTION))
            products |= attention
    if fast == "bf16":
        factor[subject.kind(*MEMORY_CLASSES)] = level.pick(*TRAFFIC)
    return factor, np.where(products & (fast == "bf16"), CASTS, 0.0), products


def _columns(subject: Subject, place: int, fast: str, level: Level) -> Columns:
    """What the operators of one rank tell of its rows."""
    events, facts = subject.events(place), subject.of(place)
    dur, lag, casts = np.full(len(events), _UNSET), np.ones(len(events)), np.zeros(len(events))
    if facts.operators is None:
        return dur, lag, casts
    for one in converted(facts.operators, facts.environment.device, fast):
        rows = np.sort(subject.operator_rows[place].get(one.work.key, np.empty(0, dtype=np.intp)))
        slow, expected, best = one.ns
        dur[rows] = level.pick(slow, expected, best) / one.work.ns
        each, left = round(one.work.kernels / one.work.calls), round(one.kernels / one.work.calls)
        gone = np.zeros(rows.size, dtype=bool)
        if left < each and level is not Level.LOW:
            gone = np.arange(rows.size) % each >= left
        lag[rows] = np.where(gone, 0.0, 1.0)
        casts[rows] = np.where(gone, 0.0, _casts_each(one, gone))
    return dur, lag, casts


def _casts_each(one: Converted, gone: Mask) -> float:
    """The casts of a step by the kernels of a step that are left."""
    left = one.work.kernels * (1 - gone.mean()) if gone.size else 0.0
    return one.casts / left if left > 0 else 0.0


def _ratio(subject: Subject, slow: str, fast: str) -> float:
    peaks = subject.peaks
    if peaks is not None and slow in peaks.flops and fast in peaks.flops:
        return min(1.0, peaks.flops[slow] / peaks.flops[fast])
    return UNKNOWN_RATIO[slow]


def _of_format(subject: Subject, kind: str, number_format: str) -> Mask:
    """Kernels of a class whose name tells this number format."""
    found = np.zeros(len(subject.graph), dtype=bool)
    for place, table in enumerate(subject.names):
        events = subject.events(place)
        fits = np.zeros(len(events.strings), dtype=bool)
        fits[[name for name, told in table.names.items() if told.dtype == number_format]] = True
        mine = subject.kind(kind) & (subject.graph.rank == place)
        found[mine] = fits[events.name[subject.graph.row[mine]]]
    return found
