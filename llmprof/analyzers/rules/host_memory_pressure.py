"""Is the host's memory nearly full, or does it swap?

Detects:
    A node with less than a fifth of its memory left, a control group near its limit, or memory read back from swap.

Why it costs time:
    Without room the page cache is dropped and files are read again and again; what was swapped out comes back at the
    speed of a disk; at the end the kernel kills a process.

How it is measured:
    What the node has available, what the rank's processes hold and what was read back from swap, once a second.

Does not apply when:
    Nothing: every run has a host.

Fix:
    Fewer loader workers or batches in the queue (each worker holds a copy of what the dataset changes), memory-mapped
    data instead of Python lists, less pinned memory.

Verify:
    Record again: more than a fifth stays available, and nothing is swapped in.
"""

from __future__ import annotations

from llmprof.analyzers.facts.host.host_memory import HostMemory
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.units import format_bytes, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="host-memory-pressure",
    category="host",
    title="The host has memory left",
    failed_title="The host's memory is nearly full",
    fixes=(),
    thresholds=(thresholds.HOST_FULL,),
)


def evaluate(facts: Facts) -> Judgement:
    """Judge the fullest host."""
    ranks = facts.ranks or {facts.critical.rank: facts.critical}
    known = {number: rank.host_memory for number, rank in ranks.items() if rank.host_memory is not None}
    known = {number: one for number, one in known.items() if one.used_share is not None or one.held_bytes is not None}
    if not known:
        return RULE.no_data("The host was not sampled; `llmprof run` does, where there is a /proc.")
    reasons = {number: reason for number, one in sorted(known.items()) if (reason := _reason(one)) is not None}
    number = max(sorted(reasons or known), key=lambda one: known[one].used_share or 0.0)
    host = known[number]
    figures = [
        evidence.number("used, of the node's memory", host.used_share, "", source="host", rank=number),
        evidence.number("least available", host.available_bytes, "bytes", source="host", rank=number),
        evidence.number("held by the rank's processes", host.held_bytes, "bytes", source="host", rank=number),
        evidence.number("limit of the control group", host.limit_bytes, "bytes", source="host", rank=number),
        evidence.number("read back from swap", host.swapped_in_bytes, "bytes", source="host", rank=number),
    ]
    if not reasons:
        left = format_bytes(host.available_bytes)
        return RULE.passed(f"At least {left} of the node's memory stay available.", evidence=figures)
    return RULE.fired(
        facts,
        f"{reasons[number]} The {host.processes or 1} processes of rank {number} hold up to "
        f"{format_bytes(host.held_bytes)}.",
        cost_ns=None,
        confidence=0.8,
        evidence=figures,
        ranks=tuple(sorted(reasons)),
        severity="warning",
    )


def _reason(host: HostMemory) -> str | None:
    """What shows that memory is short; what a control group allows counts only without shared pages to mislead."""
    share = host.used_share
    if host.swapped_in_bytes:
        return f"{format_bytes(host.swapped_in_bytes)} were read back from swap while the run was recorded."
    if share is not None and share >= thresholds.HOST_FULL.value:
        return f"{format_percent(share)} of the node's {format_bytes(host.total_bytes)} are in use."
    if not host.limit_bytes or not host.held_bytes or host.processes != 1:
        return None
    held = host.held_bytes / host.limit_bytes
    if held < thresholds.HOST_FULL.value:
        return None
    return f"The rank holds {format_percent(held)} of what its control group has."
