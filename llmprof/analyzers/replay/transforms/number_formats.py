"""Matrix products in bf16 or TF32: each kernel at the rate of the other format, casts and their launches included.

A convolution in fp32 on CUDA cores may be dozens of kernels (transforms, many small products). On tensor cores it is
one kernel forward, and one for each gradient backward.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmprof.analyzers.facts.convolutions import BACKWARD_CONVOLUTION, FORWARD_CONVOLUTION
from llmprof.analyzers.facts.devices import find_device
from llmprof.analyzers.facts.faster_kernels import in_channels_last
from llmprof.analyzers.replay.graph import NO_REF, Float64
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, host_of, scaled
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
CASTS = (1.0, 1 / 3, 0.0)
"""Extra launches for each matrix product: autocast casts a weight once a forward, and each forward product has two in
backward."""
KERNELS = {FORWARD_CONVOLUTION: 1, BACKWARD_CONVOLUTION: 3}
"""Kernels of a convolution on tensor cores: the product, backward one for each gradient, of which that of the weight
adds up its parts in another (recorded on an H200: 55 for 53 convolutions, and 159)."""
CONVERTED = {FORWARD_CONVOLUTION: 2, BACKWARD_CONVOLUTION: 3}
"""Conversions around it where the images lie in NCHW: of input and result; of both images and of a gradient."""
UNKNOWN_RATIO = {"fp32": 0.25, "tf32": 0.5}
"""Where the device's peaks are not known: the smallest step among data-centre GPUs since Ampere (A10, L40S)."""
_MEMORY_CLASSES = ("elementwise", "normalization", "softmax", "cross_entropy", "reduction", "dropout", "copy")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with fp32 (and for bf16 also TF32) products in the faster format."""
    fast = "tf32" if fix == "tf32" else "bf16"
    slow = ("fp32",) if fast == "tf32" else ("fp32", "tf32")
    factor = np.ones(len(scenario.graph))
    products = np.zeros(len(scenario.graph), dtype=bool)
    for name in slow:
        ratio = _ratio(subject, name, fast)
        matrix = _of_format(subject, "gemm", name) | _of_format(subject, "convolution", name)
        factor[matrix] = min(1.0, ratio * level.pick(*FORMAT))
        attention = _of_format(subject, "attention", name)
        factor[attention] = min(1.0, ratio * level.pick(*ATTENTION))
        products |= matrix | attention
    if not products.any():
        return f"no matrix product runs in {' or '.join(slow)}"
    if fast == "bf16":
        factor[subject.kind(*_MEMORY_CLASSES)] = level.pick(*TRAFFIC)
    changed = scaled(scenario, subject.device, dur=factor)
    if level is not Level.LOW:
        beyond = _beyond(subject, slow)  # their time is part of what the others then take
        changed = scaled(changed, beyond, dur=np.where(beyond & subject.device, 1.0, 0.0), lag=0.0)
    return _with_casts(changed, subject, products, level.pick(*CASTS)) if fast == "bf16" else changed


def _beyond(subject: Subject, slow: tuple[str, ...]) -> Mask:
    """Kernels with their launches that convolutions of these formats have beyond those that tensor cores need."""
    graph, found = subject.graph, np.zeros(len(subject.graph), dtype=bool)
    for place in range(len(subject.ranks)):
        operators = subject.of(place).operators
        if operators is None:
            continue
        node = np.full(int(graph.row.max(initial=0)) + 1, NO_REF, dtype=np.int64)
        mine = np.flatnonzero(graph.on_device & (graph.rank == place) & (graph.row != NONE))
        node[graph.row[mine]] = mine
        converted = not in_channels_last(operators)
        for one in operators.work:
            if one.operator not in KERNELS or one.number_format not in slow or one.tensor_core:
                continue
            rows = np.sort(subject.operator_rows[place].get(one.key, np.empty(0, dtype=np.intp)))
            each = round(one.kernels / one.calls) if one.calls else 0
            need = KERNELS[one.operator] + converted * CONVERTED[one.operator]
            if each <= need or not rows.size:
                continue
            extra = node[rows[np.arange(rows.size) % each >= need]]
            extra = extra[extra >= 0]
            found[extra] = True
            calls = graph.cause[extra]
            calls = calls[calls >= 0]
            found[calls[subject.graph.launched[calls] <= 1]] = True
    return found


def _ratio(subject: Subject, slow: str, fast: str) -> float:
    device = subject.facts.critical.environment.device
    peaks = find_device(device.name, device.sm_count)
    if peaks is not None and slow in peaks.flops and fast in peaks.flops:
        return min(1.0, peaks.flops[slow] / peaks.flops[fast])
    return UNKNOWN_RATIO[slow]


def _of_format(subject: Subject, kind: str, number_format: str) -> Mask:
    """Kernels of a class whose name tells this number format."""
    found = np.zeros(len(subject.graph), dtype=bool)
    for place, table in enumerate(subject.names):
        events = subject.ranks[place].events
        assert events is not None
        fits = np.zeros(len(events.strings), dtype=bool)
        fits[[name for name, told in table.names.items() if told.dtype == number_format]] = True
        mine = subject.kind(kind) & (subject.graph.rank == place)
        found[mine] = fits[events.name[subject.graph.row[mine]]]
    return found


def _with_casts(scenario: Scenario, subject: Subject, products: Mask, share: float) -> Scenario:
    """The host's time for the casts: for `share` of the products one more launch of usual length."""
    graph = scenario.graph
    calls = host_of(graph, subject.device)
    usual = float(np.median((graph.before_lag + graph.dur)[calls])) if calls.any() else 0.0
    extra: Float64 = np.where(host_of(graph, products), share * usual, 0.0)
    return replace(scenario, graph=replace(graph, before_lag=graph.before_lag + extra))
