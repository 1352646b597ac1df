"""How the verdict reads: one sentence with its cause and its size, for people who do not read timelines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from llmprof.analyzers.diagnosis import Bound, Recommendation, RunnerUp, Verdict
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.pipeline import waiting_for_stages
from llmprof.timeline.cpus import cpu_list
from llmprof.units import NS_PER_MS, format_ms, format_percent

__all__ = ["WORTH_A_FIX", "abstention", "next_in_line", "prospects", "scoped", "sentence"]

_STALLS = frozenset({"checkpoint", "evaluation", "gc", "compile", "plan_build"})
"""What is none of the host's usual work: beside it the rest of the bound is worth telling apart."""
WORTH_A_FIX = 0.03
"""Of the step: a smaller gain is no reason to change a run (the mark of MindStudio's advisor for medium weight)."""

_MOSTLY = 0.5

_HOST = {
    "launch": "for the host to launch work",
    "gap": "between kernels that are too short",
    "python": "for Python code between operators",
    "sync": "for the host to refill the queue after it synchronised",
    "memory_management": "for the memory allocator's device calls",
    "checkpoint": "for checkpoints to be written",
    "evaluation": "for evaluation",
    "gc": "for Python's garbage collector",
    "compile": "for compilation",
    "plan_build": "for cuDNN to plan operators for shapes that are new to it",
}


_NEXT: dict[Bound, str] = {
    "data": "input-starved: the GPU waits for data",
    "communication": "communication-bound: collectives that nothing hides take",
    "host": "host-bound: the GPU waits for the host",
    "imbalance": "imbalanced: ranks wait for the one with most work",
    "compute": "compute-bound: kernels run",
    "memory": "memory-bound: kernels that are limited by memory traffic run",
}
"""How another bound than the verdict's reads, without its time."""


def sentence(facts: Facts, bound: Bound, detail: str | None, share: float | None, *, reason: str = "") -> str:
    """The verdict in one sentence; `share` is of the step, `reason` completes a capacity verdict."""
    step = facts.step.mean_ns / NS_PER_MS
    partition = facts.critical.partition
    what = "training thread" if partition is not None and partition.cpu_only else "GPU"
    size = f"{format_ms((share or 0.0) * step)} of every {format_ms(step)} step ({format_percent(share)})"
    who = f" on rank {facts.critical.rank}" if len(facts.ranks) > 1 else ""
    waits = f"{_HOST.get(detail or 'launch', _HOST['launch'])} {size}"
    if detail in _STALLS:
        waits = f"{size}, most of it {_HOST[detail]}"
    text = {
        "data": f"Input-starved: the {what} waits for data {size}{who}.",
        "communication": f"Communication-bound: {_exchange(facts, share)} {size}{who}.",
        "host": f"Host-bound: the {what} waits {waits}{who}.",
        "imbalance": f"Imbalanced: rank {facts.critical.rank} holds the others up for {size}.",
        "compute": f"Compute-bound: {'operators' if what != 'GPU' else 'kernels'} run {size}{who}.",
        "memory": (
            f"Memory-bound (capacity): {reason}."
            if detail == "capacity"
            else f"Memory-bound (bandwidth): kernels that are limited by memory traffic run {size}{who}."
        ),
        "none": f"Nothing limits: no single cause takes a tenth of the {format_ms(step)} step; kernels run "
        f"{format_percent(share)} of it.",
    }[bound]
    if facts.step.basis == "profiled":
        text = text[:-1] + ", in the profiled run (its unprofiled step time is not known)."
    if partition is not None and partition.cpu_only:
        text = text[:-1] + "; there is no GPU work, so operators stand for kernels."
    return text


def _exchange(facts: Facts, share: float | None) -> str:
    """What takes the time: collectives, or where most of it is sends and receives those, waiting for the others too."""
    if waiting_for_stages(facts.ranks) <= _MOSTLY * (share or 0.0) * facts.step.mean_ns:
        return "collectives that nothing hides take"
    if facts.critical.environment.pipeline is None:
        return "sends and receives, waiting for the other rank included, take"
    return "the stages of the pipeline wait for each other"


def next_in_line(facts: Facts, close: RunnerUp, how: str = "It is nearly as much") -> str:
    """The cause that might as well have been the verdict, with its size."""
    time = format_ms(close.share * facts.step.mean_ns / NS_PER_MS)
    partition = facts.critical.partition
    cpu_only = partition is not None and partition.cpu_only
    what = _NEXT[close.bound].replace("the GPU", "the training thread" if cpu_only else "the GPU")
    return f"{how} {what} {time} ({format_percent(close.share)})."


def abstention(reason: str) -> Verdict:
    """No verdict, and why."""
    return Verdict(bound=None, reason=reason, sentence=f"No verdict: {reason}.")


def prospects(verdict: Verdict, fixes: Iterable[Recommendation], facts: Facts) -> Verdict:
    """The verdict on a run that is busy, with a word where no fix is expected to win anything worth it."""
    busy = verdict.bound in ("compute", "none") or (verdict.bound == "memory" and verdict.detail == "bandwidth")
    worth_ms = WORTH_A_FIX * facts.step.mean_ns / NS_PER_MS
    if not busy or any(max(fix.gain.expected_ms, fix.gain.low_ms) > worth_ms for fix in fixes):
        return verdict
    text = f"{verdict.sentence} Nothing above {format_percent(WORTH_A_FIX)} of the step was found to gain."
    return replace(verdict, sentence=text, flags=(*verdict.flags, "nothing-found"))


def scoped(verdict: Verdict, facts: Facts) -> Verdict:
    """The verdict with the ranks that it is about, where one of several is missing."""
    about = _scope(facts)
    if not about:
        return verdict
    flags = (*verdict.flags, "ranks-missing")
    if verdict.bound is None:
        return replace(abstention(f"{verdict.reason}; {about}"), flags=flags)
    return replace(verdict, sentence=f"{verdict.sentence} {about[0].upper()}{about[1:]}.", flags=flags)


MOST_NAMED = 60
"""Characters of a list of ranks or files; a longer one is cut."""


def _scope(facts: Facts) -> str:
    """`judged on 7 of 8 ranks, without rank 3`; empty when nothing is missing, or one rank alone was looked at."""
    judged, world = set(facts.ranks), facts.world_size or 0
    missing = set(range(world)) - judged
    if not facts.left_out and (not missing or len(judged) < 2):
        return ""
    without = f"rank{'' if len(missing) == 1 else 's'} {_cut(cpu_list(missing))}" if missing else ""
    files = _cut(", ".join(name for name in facts.left_out if not missing or not name.startswith("rank ")))
    if files:
        without = f"{without} ({files})" if without else files
    return f"judged on {len(judged)} of {max(world, len(judged) + len(facts.left_out))} ranks, without {without}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_NAMED else f"{text[:MOST_NAMED]}..."
