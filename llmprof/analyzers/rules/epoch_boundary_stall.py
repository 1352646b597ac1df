"""Does every new epoch hold training up?

Detects:
    Starts of epochs that take longer than a step: workers end, new ones start, import, and make their first batches
    while the device waits.

Why it costs time:
    A DataLoader without `persistent_workers` starts its processes anew for every epoch, and at the beginning of an
    epoch no batch is on order. With short epochs that is paid often.

How it is measured:
    The recorder notes what every start of an epoch after the first one costs: ending the old iterator, making the
    new one, waiting for the first batch. Divided among the steps between them.

Does not apply when:
    The run has not begun a second epoch.

Fix:
    `persistent_workers=True`; where workers persist already, one long epoch (a sampler that does not end).

Verify:
    Record several epochs again: their starts take about one batch.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.loading.batch_times import EpochStarts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="epoch-boundary-stall",
    category="data",
    title="New epochs start at once",
    failed_title="Every new epoch holds training up",
    fixes=("persistent-workers", "packed-dataset"),
    thresholds=(thresholds.EPOCH_COST, thresholds.EPOCH_LEAST),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the starts of epochs of the critical rank."""
    loader = facts.critical.loader
    if loader is None:
        return RULE.not_applicable("No data loader was seen.")
    epochs = loader.epochs
    if epochs is None:
        return RULE.not_applicable("No second epoch was seen.")
    median = facts.step.median_ns or facts.step.mean_ns
    share = epochs.per_step_ns / facts.step.mean_ns
    source = "loader"
    figures = [
        evidence.number("starts of epochs", epochs.count, "", source=source, rank=facts.critical.rank),
        evidence.number("one start", epochs.mean_ns / 1e6, "ms", source=source, rank=facts.critical.rank),
        evidence.share("divided among the steps", facts, epochs.per_step_ns, thresholds.EPOCH_COST, source=source),
    ]
    if epochs.mean_ns < thresholds.EPOCH_LEAST.value * median or share < thresholds.EPOCH_COST.value:
        return RULE.passed(
            f"A new epoch costs {format_ns(epochs.mean_ns)}, {format_percent(share)} of every step.", evidence=figures
        )
    fix = _fix(facts, epochs)
    return RULE.fired(
        facts,
        f"Each of {epochs.count} new epochs holds training up for {format_ns(epochs.mean_ns)}.",
        cost_ns=epochs.per_step_ns,
        confidence=0.9,
        evidence=figures,
        recommendations=[] if fix is None else [fix],
    )


def _fix(facts: Facts, epochs: EpochStarts) -> Recommendation | None:
    loader = facts.critical.loader
    settings = loader.settings if loader is not None else None
    if loader is None or settings is None or not settings.num_workers:
        return None  # without workers the start is the first batch, and that is the matter of input-starvation
    if settings.persistent_workers:
        return _one_epoch(facts, epochs)
    usual = loader.times.p50_ns if loader.times is not None else 0.0
    first = usual if epochs.first_load_ns is None else epochs.first_load_ns
    top = epochs.per_step_ns
    # The first batch of an epoch has to be made in any case: nothing was on order for it.
    saved = top * max(0.0, 1.0 - first / epochs.mean_ns)
    return recommend(
        "persistent-workers",
        rule=RULE.id,
        facts=facts,
        action="Keep the workers alive between epochs",
        why=f"Each of {epochs.count} new epochs costs {format_ns(epochs.mean_ns)}: workers end, start, and begin anew.",
        how="DataLoader(persistent_workers=False) -> DataLoader(persistent_workers=True)",
        gain=gain(facts, expected_ns=saved, low_ns=saved / 2, high_ns=top, at_most_ns=top),
        watch="the time of an epoch's first step",
    )


def _one_epoch(facts: Facts, epochs: EpochStarts) -> Recommendation:
    top = epochs.per_step_ns
    return recommend(
        "packed-dataset",
        rule=RULE.id,
        facts=facts,
        action="Let one long epoch stand for many short ones",
        why="The workers persist already; what is left is that no batch is on order when an epoch begins.",
        how="a sampler or an IterableDataset that starts over by itself, so that the iterator never ends",
        gain=gain(facts, expected_ns=top / 2, low_ns=0.0, high_ns=top, at_most_ns=top),
        watch="the time of an epoch's first step",
    )
