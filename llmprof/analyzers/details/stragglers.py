"""What do ranks that are not alike cost? The figures S, removed and added of the ranks section, and a sentence on them.

The same figures from a table of pipeline operations, from a replay of several recorded ranks, or from their partitions;
`basis` says which. `analyzers.facts.communication.attribution` defines them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmprof.analyzers.facts.communication.attribution import Attribution, Effect, attribution_of_parts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.stragglers import Blame, StragglerFacts
from llmprof.analyzers.replay.attribution import attribution_of
from llmprof.analyzers.replay.gains import Replays
from llmprof.analyzers.rules.straggler_rank import perturbed
from llmprof.units import NS_PER_MS, format_ms, format_ns, ms

__all__ = ["MOSTLY", "PAIRED", "WORTH_TELLING", "of_operations", "of_ranks", "uneven_batches", "with_stragglers"]

WORTH_TELLING = 1.03
"""S from which ranks are worth a sentence: a gain below 3 % of the step is not worth a change (XProf's lower mark)."""
MOSTLY = 0.5
"""A rank or a stage whose repair brings back more than half of the loss is named as its cause."""
PAIRED = 0.9
"""From this correlation of forward and backward passes on it is their micro-batches that differ (same publication)."""
MOST_WORKERS = 1024


def of_ranks(facts: Facts, replays: Replays) -> Mapping[str, Any]:
    """The figures of a run of several ranks, replayed where that is faithful; empty where they cannot be told.

    Never raises: a diagnosis stands without them.
    """
    if len(facts.ranks) < 2:
        return {}
    try:
        compared = not perturbed(facts)
        found = None if replays.what_if is None else attribution_of(replays.what_if, host_compared=compared)
        found = found or attribution_of_parts(facts.ranks, facts.step.mean_ns, host_compared=compared)
    except Exception as error:  # whatever a stranger's recording holds, the diagnosis goes on
        return {"error": f"{type(error).__name__}: {error}"}
    return {} if found is None else _figures(found)


def with_stragglers(
    details: Mapping[str, Mapping[str, Any]], facts: Facts, replays: Replays
) -> Mapping[str, Mapping[str, Any]]:
    """The figures of all sections with those of `of_ranks`, where there are some."""
    found = of_ranks(facts, replays)
    return {**details, "stragglers": found} if found else details


def of_operations(facts: StragglerFacts) -> Mapping[str, Any]:
    """The figures of a table of pipeline operations; replayed steps are told in proportion to the recorded one."""
    scale = facts.recorded_ns / facts.replayed_ns
    loss = scale * (facts.replayed_ns - facts.ideal_ns)
    balanced_ns = None if facts.balanced_ns is None else scale * facts.balanced_ns

    def effect(blame: Blame | None, slowdown: float) -> Effect:
        if blame is None:
            return Effect(slowdown=slowdown)
        after = None if blame.removed is None else facts.recorded_ns - blame.removed * loss
        return Effect(removed=blame.removed, added=blame.added, slowdown=slowdown, after_ns=after)

    found = Attribution(
        basis="operations",
        step_ns=facts.recorded_ns,
        ideal_ns=scale * facts.ideal_ns,
        slowdown=facts.slowdown,
        by_kind={kind: effect(facts.blame_by_kind.get(kind), value) for kind, value in facts.by_kind.items()},
        by_rank={rank: effect(blame, facts.by_rank[rank]) for rank, blame in facts.blame_by_rank.items()},
        by_stage={stage: effect(facts.blame_by_stage.get(stage), value) for stage, value in facts.by_stage.items()}
        if len(facts.by_stage) > 1
        else {},
    )
    figures = _figures(found, balanced_ns)
    even_ns = None if facts.even_ns is None else scale * facts.even_ns
    if uneven_batches(facts):
        figures["sentence"] = f"{figures['sentence'][:-1]}; {format_ns(even_ns)} with micro-batches of equal size."
    workers = sorted(facts.by_rank)[:MOST_WORKERS]
    return {
        **figures,
        "even_ms": ms(even_ns),
        "pass_correlation": facts.pass_correlation,
        "replayed_ms": ms(facts.replayed_ns),
        "balanced_ms": ms(balanced_ns),
        "replicas": [{"replica": name, "slowdown": value} for name, value in facts.by_replica.items()],
        "worst": {"ranks": list(facts.worst_ranks), "removed": facts.worst.removed, "added": facts.worst.added},
        "last_stage": {"removed": facts.last_stage.removed, "added": facts.last_stage.added},
        "workers": [
            {
                "rank": rank,
                "replica": facts.places[rank][0],
                "stage": facts.places[rank][1],
                "slowdown": facts.by_rank[rank],
            }
            for rank in workers
            if rank in facts.places
        ],
    }


def uneven_batches(facts: StragglerFacts) -> bool:
    """Whether most of the loss comes from micro-batches of different size, such as sequences of different length."""
    if facts.even_ns is None or facts.pass_correlation is None or facts.pass_correlation < PAIRED:
        return False
    return facts.replayed_ns - facts.even_ns >= MOSTLY * (facts.replayed_ns - facts.ideal_ns) > 0


def _figures(found: Attribution, balanced_ns: float | None = None) -> dict[str, Any]:
    ranks = _rows("rank", found.by_rank)
    stages = _rows("stage", found.by_stage)
    return {
        "basis": found.basis,
        "sentence": _sentence(found, ranks, stages, balanced_ns),
        "slowdown": found.slowdown,
        "step_ms": ms(found.step_ns),
        "ideal_ms": ms(found.ideal_ns),
        "host_compared": found.host_compared,
        "kinds": _rows("kind", found.by_kind),
        "ranks": ranks,
        "stages": stages,
    }


def _rows(key: str, effects: Mapping[Any, Effect]) -> list[dict[str, Any]]:
    """One row an effect, what its repair brings first."""
    order = sorted(effects.items(), key=lambda item: (-(item[1].removed or 0.0), -(item[1].slowdown or 0.0)))
    return [
        {
            key: name,
            "slowdown": effect.slowdown,
            "removed": effect.removed,
            "added": effect.added,
            "step_ms_after": ms(effect.after_ns),
        }
        for name, effect in order
    ]


def _sentence(
    found: Attribution, ranks: list[dict[str, Any]], stages: list[dict[str, Any]], balanced_ns: float | None
) -> str:
    step, ideal = format_ns(found.step_ns), format_ns(found.ideal_ns)
    if found.slowdown < WORTH_TELLING:
        return f"Ranks that are alike would take {ideal} for the step of {step}: none of them is a straggler."
    most = "at most " if found.basis == "partition" else ""
    alike = "With ranks that are alike" if found.host_compared else "With ranks that are alike but for their hosts"
    told = f"{alike} the step would take {most}{ideal} instead of {step}"
    kind = next((name for name, one in found.by_kind.items() if (one.removed or 0.0) >= MOSTLY), None)
    cause = "" if kind is None else f" (most of it {kind})"
    for name, rows in (("rank", ranks), ("stage", stages)):
        if rows and (rows[0]["removed"] or 0.0) >= MOSTLY and rows[0]["step_ms_after"]:
            after = rows[0]["step_ms_after"]
            factor = f"{found.step_ns / NS_PER_MS / after:.2f}"
            times = f"{told}: {name} {rows[0][name]} makes it {factor} times as long{cause}"
            if name == "stage" and balanced_ns is not None:
                return f"{times}; {format_ns(balanced_ns)} with its layers spread over all stages."
            repaired = format_ms(after)
            return f"{times}." if repaired == ideal else f"{times}; repaired {repaired}."
    return f"{told}{cause}; no rank{' and no stage' if stages else ''} alone causes most of that."
