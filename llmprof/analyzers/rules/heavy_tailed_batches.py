"""Do single slow batches hold training up although the workers are fast enough?

Detects:
    Load times of batches that differ so much that the step waits for slow ones, while the mean rate would suffice.

Why it costs time:
    Batches are received in the order in which they were ordered. One that takes ten times as long is waited for,
    while the ready ones behind it lie in the queue.

How it is measured:
    The loader is replayed with the recorded load times, and once more with all of them replaced by their mean. The
    difference is what the spread costs.

Does not apply when:
    Batches are made in the training process, or no load times were recorded.

Fix:
    More batches on order (`prefetch_factor`), so that a slow one is begun earlier; samples of similar cost in one
    batch; the slow samples prepared before training.

Verify:
    Record again: the wait falls to what the mean load time explains.
"""

from __future__ import annotations

from dataclasses import replace

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.loading.batch_times import BatchTimes
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, input_wait_ns
from llmprof.analyzers.rules.loader_sizing import DEEPER, InputNeed, chance_ns, deeper_queue_ns, input_need, left_ns
from llmprof.units import format_ns, format_percent, ms

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="heavy-tailed-batches",
    category="data",
    title="Batches take about the same time to make",
    failed_title="Single slow batches hold training up",
    fixes=("dataloader-prefetch", "bucket-lengths"),
    thresholds=(thresholds.INPUT_WAIT, thresholds.TAIL_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the spread of the critical rank's load times."""
    critical = facts.critical
    loader = critical.loader
    if loader is None:
        return RULE.not_applicable("No data loader was seen.")
    if critical.partition is None:
        return RULE.no_data("No step of this recording could be taken apart, so the wait for input is not known.")
    wait = input_wait_ns(critical)
    found = input_need(facts, wait, loader, "")
    if found.workers == 0:
        return RULE.not_applicable("Batches are made in the training process: each is waited for as long as it takes.")
    times = loader.times
    if times is None or found.workers is None:
        return RULE.no_data("How long single batches take was not recorded; `llmprof run` notes it in the workers.")
    spread = max(0.0, left_ns(found, found.workers) - left_ns(_even(found, times), found.workers))
    cost = min(spread, wait)
    source = "loader workers"
    figures = [
        evidence.share("waiting because load times differ", facts, cost, thresholds.INPUT_WAIT, source="loader replay"),
        evidence.number("making one batch, mean", ms(times.mean_ns), "ms", source=source, rank=critical.rank),
        evidence.number("making one batch, median", ms(times.p50_ns), "ms", source=source, rank=critical.rank),
        evidence.number("making one batch, 95th percentile", ms(times.p95_ns), "ms", source=source, rank=critical.rank),
    ]
    share = cost / facts.step.mean_ns
    if share < thresholds.INPUT_WAIT.value or cost < thresholds.TAIL_SHARE.value * wait:
        return RULE.passed(
            f"That batches take differently long costs {format_percent(share)} of the step.", evidence=figures
        )
    return RULE.fired(
        facts,
        f"Batches take {format_ns(times.p50_ns)} to make by median and {format_ns(times.p95_ns)} at the 95th "
        f"percentile; {format_ns(cost)} per step are waiting for slow ones.",
        cost_ns=cost,
        confidence=confidence_of(facts, "data"),
        evidence=figures,
        recommendations=_fixes(facts, found, cost),
    )


def _even(found: InputNeed, times: BatchTimes) -> InputNeed:
    """The same loader with every batch taking the mean."""
    even = replace(times, sequence_ns=(times.mean_ns,), even_ns=(), paces=())
    return replace(found, loader=replace(found.loader, times=even))


def _fixes(facts: Facts, found: InputNeed, cost_ns: float) -> list[Recommendation]:
    now, deeper = found.prefetch, DEEPER * found.prefetch
    saved = deeper_queue_ns(found)
    settings = found.loader.settings
    # Not a fix of its own: it changes which samples come when, and with them a run that is to be repeated exactly.
    may = settings is not None and settings.in_order is True
    any_order = "; where the order of batches does not matter, DataLoader(in_order=False)" if may else ""
    result = []
    if saved > thresholds.NOISE_SHARE.value * facts.step.mean_ns:
        result.append(
            recommend(
                "dataloader-prefetch",
                rule=RULE.id,
                facts=facts,
                action=f"Keep more batches ready: prefetch_factor {now} to {deeper}",
                why="A slow batch is begun earlier, and the step uses up the queue meanwhile.",
                how=f"DataLoader(prefetch_factor={now}) -> DataLoader(prefetch_factor={deeper})",
                gain=gain(
                    facts,
                    expected_ns=saved,
                    low_ns=0.0,
                    high_ns=found.wait_ns + chance_ns(found),
                    at_most_ns=found.wait_ns + chance_ns(found),
                    basis="replay",
                ),
                watch="the data part",
            )
        )
    result.append(
        recommend(
            "bucket-lengths",
            rule=RULE.id,
            facts=facts,
            action="Put samples of similar cost into one batch, and prepare the slowest ones before training",
            why="A batch takes as long as its slowest samples make it.",
            how="a batch_sampler that sorts by length or size within chunks; decode the largest files offline"
            + any_order,
            gain=gain(facts, expected_ns=cost_ns / 2, low_ns=0.0, high_ns=cost_ns, at_most_ns=cost_ns),
            watch="the data part",
        )
    )
    return result
