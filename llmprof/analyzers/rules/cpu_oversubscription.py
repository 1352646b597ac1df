"""Do more threads want to run than there are cores?

Detects:
    The processes of the rank keep all their cores busy, and more threads want to run than there are cores.

Why it costs time:
    Threads that share a core run in turns. The thread that launches kernels waits for its turn, and so do workers that
    make batches. A parallel operator on the CPU waits for the slowest of its threads.

How it is measured:
    Cores that the rank has to itself (affinity mask and quota, divided among the ranks of the node), CPU time of its
    processes and the load average of the node while the counted steps ran. D is the load, at most the torch threads and
    loader workers that the settings ask for. With D threads on C cores each gets C/D of one, so at most 1 - C/D of the
    time that the host or the input holds up the step is gained. On the CPU all threads do useful work, and no gain is
    promised.

Does not apply when:
    The host and the input hold nothing up.

Fix:
    Give every rank as many threads as it has cores of its own: OMP_NUM_THREADS (and torch.set_num_threads) to cores per
    rank, one thread in each loader worker, TOKENIZERS_PARALLELISM=false inside workers.

Verify:
    Record again: the load falls to the number of cores, and the host and data parts of the step with it.
"""

from __future__ import annotations

from llmprof.analyzers.facts.host.host_causes import CpuLoad
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, input_wait_ns, no_gain, part_ns
from llmprof.analyzers.rules.loader_sizing import input_need
from llmprof.units import format_count, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="cpu-oversubscription",
    category="host",
    title="There are cores for all threads",
    failed_title="More threads want to run than there are cores",
    fixes=("thread-count",),
    thresholds=(thresholds.OVERSUBSCRIBED, thresholds.CPU_BUSY, thresholds.LAUNCH_SHARE),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the threads of the critical rank."""
    critical = facts.critical
    partition, settings = critical.partition, critical.environment
    load = (critical.causes.load if critical.causes is not None else None) or CpuLoad()
    cores = input_need(facts, 0.0, critical.loader or LoaderFacts(), "").cores
    threads, used, runnable = settings.cpu_threads, load.cores_used, load.runnable
    if cores is None or threads is None or used is None or runnable is None or partition is None:
        return RULE.no_data("Cores, threads and CPU use of the rank are not all known; `llmprof run` records them.")
    workers = (settings.loaders[0].num_workers if settings.loaders else None) or 0
    asked = threads if partition.cpu_only else threads + workers
    demand = min(runnable, float(asked))
    held = 0.0 if partition.cpu_only else input_wait_ns(critical) + part_ns(facts, "host")
    share = held / facts.step.mean_ns
    figures = [
        evidence.number("cores for this rank", cores, "cores", source="affinity and cgroup", rank=critical.rank),
        evidence.number("cores in use", used, "cores", source="CPU time of its processes", rank=critical.rank),
        evidence.number("load of the node", runnable, "threads", source="load average", rank=critical.rank),
        evidence.number("torch threads", threads, "threads", source="settings", rank=critical.rank),
        evidence.number("loader workers", workers, "processes", source="settings", rank=critical.rank),
        evidence.share("step held up by the host or the input", facts, held, thresholds.LAUNCH_SHARE),
    ]
    crowded = demand > thresholds.OVERSUBSCRIBED.value * cores and used >= thresholds.CPU_BUSY.value * cores
    felt = partition.cpu_only or share >= thresholds.LAUNCH_SHARE.value
    if not crowded or not felt:
        return RULE.passed(
            f"{used:.1f} of {format_count(cores)} cores are in use; host and input hold up {format_percent(share)} of "
            "the step.",
            evidence=figures,
        )
    most = held * (1 - cores / demand)
    fitting = max(1, cores - workers)
    none = partition.cpu_only
    why = "Threads that share a core run in turns, the one that launches kernels among them."
    return RULE.fired(
        facts,
        f"{format_count(demand)} threads of the rank want to run on {format_count(cores)} cores.",
        cost_ns=None if none else most,
        confidence=confidence_of(facts, "host", "data", strength=0.7),
        evidence=figures,
        recommendations=[
            recommend(
                "thread-count",
                rule=RULE.id,
                facts=facts,
                action=f"Run with {fitting} torch thread{'s' if fitting > 1 else ''} per rank instead of {threads}",
                why=f"{why} How much that brings is found by trying." if none else why,
                how=f"OMP_NUM_THREADS={fitting} (or torch.set_num_threads({fitting})); TOKENIZERS_PARALLELISM=false",
                gain=no_gain(facts)
                if none
                else gain(facts, expected_ns=most / 2, low_ns=0.0, high_ns=most, at_most_ns=most),
                watch="the host and data parts",
            )
        ],
    )
