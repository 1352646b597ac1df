"""Is the batch still worked on in the training loop before the model sees it?

Detects:
    Work between the fetch of a batch and the first kernel of the step, in the thread that trains: tokenizing, padding,
    decoding or augmenting in the loop instead of in the dataset.

Why it costs time:
    Loader workers prepare the next batch while the device computes; the loop does not. What it does to a batch is added
    to every step whose launch queue has run empty.

How it is measured:
    Idle time of the device before a late launch, from the end of the loader's `next()` to the first kernel after it,
    without calls into the driver; corrected to the unprofiled step. Before a copy out of a worker's memory, silence
    no longer than the copy is left out: that may be memory going back (see pageable-transfers). Where the host is far
    ahead the device is busy meanwhile, and nothing is counted. Less than a millisecond is the way into the model, not
    work on the batch.

Does not apply when:
    No fetch from a DataLoader is seen in the trace.

Fix:
    Do it in `Dataset.__getitem__` or `collate_fn` with `num_workers > 0`, or once before training.

Verify:
    Record again: the first kernel follows the fetch at once, and the host part of the step falls.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.batch_memory import released_ns
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import data_late_weight, gain, part_ns
from llmprof.analyzers.rules.host_waits import unprofiled_ns
from llmprof.analyzers.rules.loader_sizing import input_need
from llmprof.units import NS_PER_MS, format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="main-thread-preprocessing",
    category="host",
    title="Batches come ready from the loader",
    failed_title="Batches are prepared in the training loop",
    fixes=("preprocess-in-workers", "offline-preprocessing"),
    thresholds=(thresholds.PREPARING, thresholds.PAUSE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge what the critical rank does between fetch and first kernel."""
    critical = facts.critical
    work = critical.causes.work if critical.causes is not None else None
    if work is None or critical.partition is None:
        return RULE.no_data("The recording holds no operators of traced steps; record a burst with CPU activities.")
    if work.preparing_ns is None:
        return RULE.not_applicable("No fetch from a DataLoader was seen in the traced steps.")
    released = released_ns(facts)
    cost = max(0.0, min(unprofiled_ns(facts, work.preparing_ns), part_ns(facts, "host")) - released)
    silent = max(0.0, unprofiled_ns(facts, work.preparing_silent_ns or 0.0) - released)
    share = cost / facts.step.mean_ns
    figures = [
        evidence.share("device idle between fetch and first kernel", facts, cost, thresholds.PREPARING, source="trace"),
        evidence.time(
            "of it outside of PyTorch", min(silent, cost), source="trace", rank=critical.rank, window=work.longest
        ),
    ]
    if share < thresholds.PREPARING.value or cost < thresholds.PAUSE.value * NS_PER_MS:
        return RULE.passed(
            f"From the fetched batch to the first kernel the device waits {format_percent(share)} of the step.",
            evidence=figures,
        )
    return RULE.fired(
        facts,
        f"The device waits {format_ns(cost)} per step while the training loop works on the batch that it has fetched.",
        cost_ns=cost,
        confidence=confidence_of(facts, "host", strength=0.9),
        evidence=figures,
        recommendations=_fixes(facts, cost, max(cost, min(work.preparing_ns, part_ns(facts, "host")) - released)),
    )


def _fixes(facts: Facts, cost_ns: float, most_ns: float) -> list[Recommendation]:
    """most_ns: the cost if the profiler slowed only the launches, and not the decoding, of which it sees little."""
    loader = facts.critical.loader
    found = input_need(facts, 0.0, loader, "") if loader is not None else None
    workers = found.workers if found is not None else None
    full = found is not None and workers is not None and found.cores is not None and workers + 1 >= found.cores
    weight, late = data_late_weight(facts)
    # In the workers it takes as long, but beside the step; the way into the model stays. How much of it the profiler
    # slowed is between all that it slowed of the launches and nothing.
    expected = max(0.5 * (cost_ns + most_ns) - thresholds.PAUSE.value * NS_PER_MS, 0.0) * weight
    estimate = gain(facts, expected_ns=expected, low_ns=0.5 * weight * cost_ns, high_ns=most_ns, at_most_ns=most_ns)
    offline = recommend(
        "offline-preprocessing",
        rule=RULE.id,
        facts=facts,
        action="Prepare the samples once, before training",
        why=f"What is stored ready has not to be worked on in the loop. {late}".rstrip(),
        how="tokenise, decode and resize in a separate job and store the results; let the dataset only read them",
        gain=estimate,
        watch="the host part",
    )
    if full:
        return [offline]
    now = "" if workers is None else f"num_workers={workers} -> "
    move = recommend(
        "preprocess-in-workers",
        rule=RULE.id,
        facts=facts,
        action="Move the work on the batch from the loop into the loader's workers",
        why=f"Workers do it for the next batch while the device computes. {late}".rstrip(),
        how=f"do it in collate_fn or Dataset.__getitem__; DataLoader({now}num_workers={(workers or 0) + 2})",
        gain=estimate,
        watch="the host part",
    )
    return [move, offline]
