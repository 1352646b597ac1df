"""CUDA graphs and torch.compile: the model's launches shrink to a few, and compilation also fuses its kernels."""

from __future__ import annotations

from llmprof.analyzers.facts.compiled_launches import launches_left
from llmprof.analyzers.replay.graph import NO_REF, NodeKind, Region
from llmprof.analyzers.replay.scenario import Scenario
from llmprof.analyzers.replay.transforms.base import Level, Mask, Subject, host_of, scaled

__all__ = ["FIXES", "apply"]

FIXES = ("cuda-graphs", "torch-compile")

GRAPH_HOST = (0.5, 0.15, 0.05)
"""The share of the model's host work that stays: at worst half of it stands at graph breaks, expected are guards, the
copying of inputs and one launch each for forward and backward (assumptions)."""
DISTRIBUTED_HOST = 0.5
"""With several ranks graphs break at gradient buckets (PyTorch documentation); that half is left is assumed."""
GRAPH_GAP = (1.0, 0.5, 0.25)
"""Gaps between kernels inside a graph against those on a stream: about 1 µs against 1.5 to 2 µs."""
COMPILE_HOST = (0.8, 0.55, 0.25)
"""The share of the model's host work that fused operators leave, where kernels have no classes (assumptions)."""
COMPILE_TRAFFIC = (1.0, 0.75, 0.5)
"""Time of chains of elementwise kernels and reductions once fused: each pass but the first and the last is saved."""
CHAIN_REST = 0.15
"""Of a run of kernels that becomes one the longest stays, and this share of the others (TraceLens' fusion model)."""
_FUSED = ("elementwise", "normalization", "softmax", "cross_entropy", "reduction", "dropout", "copy")


def apply(fix: str, scenario: Scenario, subject: Subject, level: Level) -> Scenario | str:
    """The scenario with the model compiled, or captured as graphs."""
    host = _model_calls(subject)
    if not host.any():
        return "no launches of a model were recorded"
    if subject.names_where(lambda name: "GraphLaunch" in name).any():
        return "the step is launched as CUDA graphs already"
    if fix == "torch-compile":
        if subject.facts.critical.environment.compiled:
            return "the model is compiled already"
        rest = level.pick(*(launches_left(subject.facts.critical.kernels) or COMPILE_HOST))
        fused = subject.kind(*_FUSED) & ~_in_regions(subject)
        return scaled(scaled(scenario, host, dur=rest, lag=rest), fused, dur=level.pick(*_traffic(subject)))
    waits = (scenario.graph.kind == NodeKind.WAIT) & ~_in_regions(subject)
    copies = subject.names_where(lambda name: "emcpy" in name)  # a batch on its way in, before the graph
    left = waits & ~copies & ~_returned(scenario)
    if int(left.sum()) > BREAKING_SYNCS * subject.graph.steps * len(subject.ranks):
        return "host syncs inside the model break the graph; they have to be taken out first"
    several = (subject.facts.world_size or len(subject.ranks)) > 1
    rest = max(level.pick(*GRAPH_HOST), DISTRIBUTED_HOST if several and level is not Level.HIGH else 0.0)
    model = subject.device & ~_in_regions(subject) & ~subject.kind("communication")
    return scaled(scaled(scenario, host, dur=rest, lag=rest), model, lag=level.pick(*GRAPH_GAP))


def _traffic(subject: Subject) -> tuple[float, float, float]:
    """COMPILE_TRAFFIC, or less where the step has more that follows each other, above all formulas written out."""
    worst, expected, best = COMPILE_TRAFFIC
    operators = subject.facts.critical.operators
    fusion = operators.fusion if operators is not None else None
    if fusion is None or fusion.ns <= 0:
        return COMPILE_TRAFFIC
    chains = (1 - CHAIN_REST) * fusion.chain_ns / fusion.ns
    most = fusion.between_ns / fusion.ns
    return worst, min(expected, 1 - chains), min(best, 1 - most)


BREAKING_SYNCS = 2
"""Host syncs in a step that do no harm: reading the loss at its end."""


def _returned(scenario: Scenario) -> Mask:
    """Blocking calls that another fix has taken out."""
    graph = scenario.graph
    gone: Mask = (graph.cause == NO_REF) & (graph.before_lag == 0)
    return gone


def _in_regions(subject: Subject) -> Mask:
    inside: Mask = subject.graph.region != Region.OTHER
    return inside


def _model_calls(subject: Subject) -> Mask:
    """Launches outside the optimizer and the loader, those of collectives left out, with the host's work before."""
    calls = host_of(subject.graph, subject.device & ~subject.kind("communication", "memcpy", "optimizer"))
    return calls & ~_in_regions(subject)
