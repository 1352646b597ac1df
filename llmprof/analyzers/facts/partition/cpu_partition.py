"""Where does each nanosecond of a step go when there is no GPU? Operators stand for kernels."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from llmprof.analyzers.facts.host.updates import update_spans
from llmprof.analyzers.facts.partition.idle import compile_spans, loader_spans
from llmprof.analyzers.facts.partition.partition import Partition, partition_of
from llmprof.analyzers.facts.steps.steps import Windows
from llmprof.timeline.events import EventTable, Kind
from llmprof.timeline.intervals import EMPTY, Intervals, union

__all__ = ["cpu_partition", "operator_classes"]

_ZERO_GRAD = re.compile(r"^Optimizer\.zero_grad#")
_COLLECTIVE = re.compile(r"^(c10d::|gloo:|mpi:|ucc:|record_param_comms)")
OPERATORS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("attention", r"scaled_dot_product|flash_attention|multi_head_attention"),
        ("convolution", r"^aten::.*conv|mkldnn_convolution"),
        ("gemm", r"^aten::(mm|addmm|bmm|baddbmm|matmul|linear|einsum|mv|addmv|dot)$|mkldnn_linear"),
        ("normalization", r"^aten::.*(layer_norm|batch_norm|group_norm|rms_norm)"),
        ("cross_entropy", r"^aten::.*(nll_loss|cross_entropy|log_softmax)"),
        ("softmax", r"^aten::.*softmax"),
        ("optimizer", r"^aten::(_foreach|_fused_(adam|sgd|adagrad))"),
        ("embedding", r"^aten::.*embedding"),
        ("dropout", r"^aten::.*(dropout|bernoulli)"),
        ("index", r"^aten::(index|gather|scatter|sort|topk|nonzero|masked_select|one_hot)"),
        ("copy", r"^aten::(copy_|_to_copy|to|contiguous|clone|cat|stack|repeat|fill_|zero_)$"),
        ("reduction", r"^aten::(sum|mean|norm|linalg_vector_norm|max|min|argmax|cumsum|var|std)$"),
        (
            "elementwise",
            r"^aten::(add|sub|mul|div|pow|sqrt|rsqrt|neg|exp|log|tanh|sigmoid|relu|gelu|silu|where|addc|lerp)",
        ),
        ("other", r"^aten::|^autograd::|^torch::|Backward\d*$|^CompiledFunction"),
    )
)
"""Classes of host operators, in the order in which overlapping (nested) ones are charged."""


def cpu_partition(events: EventTable, windows: Windows) -> Partition:
    """The partition of a run without device work.

    A batch being fetched is `data` (also the operators that collate it); then come compilation, the optimizer's own
    operators, all other operators by class, exposed collectives, and what no operator covers is `python`, part `host`.
    """
    free = Intervals.of(windows.start_ns, windows.end_ns)
    spans: dict[str, Intervals] = {}
    spans["wait"] = free & loader_spans(events)
    free = free - spans["wait"]
    spans["compile"] = free & compile_spans(events)
    free = free - spans["compile"]
    classes = operator_classes(events)
    stepping = _named(events, (Kind.ANNOTATION,), _ZERO_GRAD) | union(update_spans(events).values())
    everything = EMPTY
    for found in classes.values():
        everything = everything | found
    spans["optimizer"] = free & everything & stepping
    free = free - spans["optimizer"]
    for name, found in classes.items():
        charged = free & found
        spans[name] = spans.get(name, EMPTY) | charged
        free = free - charged
    spans["communication"] = free & _named(events, (Kind.ANNOTATION, Kind.CPU_OP), _COLLECTIVE)
    spans["python"] = free - spans["communication"]
    return partition_of({name: value for name, value in spans.items() if value}, windows, cpu_only=True)


def operator_classes(events: EventTable) -> Mapping[str, Intervals]:
    """When operators of each class ran on any host thread; classes overlap where operators are nested."""
    names = events.strings.names
    label = np.full(len(names), -1, dtype=np.int16)
    for index, (_, pattern) in enumerate(OPERATORS):
        for i, name in enumerate(names):
            if label[i] < 0 and pattern.search(name) and not _COLLECTIVE.search(name):
                label[i] = index
    result = {}
    rows = events.rows(Kind.CPU_OP)
    for index, (name, _) in enumerate(OPERATORS):
        chosen = rows[label[events.name[rows]] == index]
        if chosen.size:
            result[name] = events.spans(chosen)
    return result


def _named(events: EventTable, kinds: tuple[Kind, ...], pattern: re.Pattern[str]) -> Intervals:
    names = events.strings.names
    matching = np.fromiter((pattern.search(name) is not None for name in names), dtype=bool, count=len(names))
    return events.spans(events.rows_named(kinds, matching)) if matching.any() else EMPTY
