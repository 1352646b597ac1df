"""Is the link between the ranks slower than it should be?

Detects:
    Large collectives that move far fewer bytes per second than the recorded topology allows: a path through host memory
    instead of NVLink, a network card that is not used, ranks that are placed far from each other.

Why it costs time:
    Transfers take as many times longer as the link is slower, and less of them can be hidden.

How it is measured:
    Bus bandwidth of the fastest tenth of the large messages, by the formulas of nccl-tests and on the shortest duration
    over the ranks, against what the links between the group's GPUs, or the network cards between its nodes, are
    expected to reach. What nothing tells the expected rate of stays without judgement.

Does not apply when:
    The run has one rank, its steps hold no collectives, or no message is large enough to show a bandwidth.

Fix:
    Let the GPUs reach each other directly: unset NCCL_P2P_DISABLE, switch IOMMU and ACS off, start the fabric manager.
    Place the ranks of a group near each other.

Verify:
    `nvidia-smi topo -m` and all_reduce_perf of nccl-tests; record again: the bus bandwidth is that of the link.
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Recommendation
from llmprof.analyzers.facts.communication.collectives import CollectiveFacts, CollectiveGroup
from llmprof.analyzers.facts.communication.links import Link, expected_link
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule, confidence_of
from llmprof.analyzers.rules.exchange import (
    communication_gain,
    explained,
    exposed_of,
    exposed_share,
    parallelism,
    question,
)
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import part_ns
from llmprof.units import format_ns, format_percent

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="slow-interconnect",
    category="communication",
    title="The link between the ranks is as fast as expected",
    failed_title="The link between the ranks is slow",
    fixes=("enable-p2p", "topology-placement"),
    thresholds=(thresholds.SLOW_LINK, thresholds.LARGE_MESSAGE, thresholds.COMMUNICATION_COST, thresholds.REPLAY_LOW),
)
_SWITCHED_OFF = ("NCCL_P2P_DISABLE", "NCCL_SHM_DISABLE", "NCCL_IB_DISABLE")
"""Variables with which NCCL is kept from a path (NCCL documentation, environment variables)."""
_GB = 1e9


def evaluate(facts: Facts) -> Judgement:
    """Judge the bandwidth of the critical rank's largest collectives."""
    collectives = question(RULE, facts)
    if isinstance(collectives, Judgement):
        return collectives
    large = [g for g in collectives.groups if (g.largest_bytes or 0) >= thresholds.LARGE_MESSAGE.value * 2**20]
    if not large:
        return RULE.not_applicable("No collective is large enough to show the bandwidth of the link.")
    measured = [group for group in large if group.best_bus_bytes_per_s is not None]
    if not measured:
        return RULE.no_data("Bandwidth needs the same collectives of several ranks; record a burst on every rank.")
    group = max(measured, key=lambda one: one.ns)
    link = expected_link({number: rank.environment for number, rank in facts.ranks.items()}, group.ranks)
    if link is None:
        return RULE.no_data("What connects the ranks was not recorded; record the run with `llmprof run`.")
    rate = group.best_bus_bytes_per_s or 0.0
    share = rate / link.bus_bytes_per_s
    saved, replayed = _saved(facts, collectives, group, share)
    figures = [
        evidence.number("bus bandwidth of large messages", rate / _GB, "GB/s", source="trace"),
        evidence.number("expected", link.bus_bytes_per_s / _GB, "GB/s", source=link.source),
        exposed_share(facts, saved),
    ]
    words = f"{rate / _GB:.0f} GB/s bus bandwidth, {link.bus_bytes_per_s / _GB:.0f} GB/s expected of {_name(link)}"
    if share >= thresholds.SLOW_LINK.value or saved < thresholds.COMMUNICATION_COST.value * facts.step.mean_ns:
        return RULE.passed(f"{words}.", evidence=figures)
    return RULE.fired(
        facts,
        f"{words}: {format_ns(saved)} per step are the slow link.",
        cost_ns=saved,
        confidence=confidence_of(facts, "communication", strength=0.95 if link.source == "topology" else 0.75),
        evidence=figures,
        recommendations=[_fix(facts, group, link, share, saved, replayed=replayed)],
    )


def _saved(facts: Facts, collectives: CollectiveFacts, group: CollectiveGroup, share: float) -> tuple[float, bool]:
    """Ns per step that the expected rate saves, and whether a replay says so."""
    if share <= 0 or share >= 1:
        return 0.0, False
    # What is exposed shrinks with the transfers in any case; the replay adds what stood in line behind them.
    saved = exposed_of(facts, [group]) * (1 - share)
    buckets = None if parallelism(facts).fsdp else collectives.buckets
    if buckets is None or group.op != "all_reduce":
        return saved, False
    return max(saved, explained(facts, buckets.tail_ns() - buckets.tail_ns(bandwidth_factor=1 / share))), True


def _name(link: Link) -> str:
    return "NVLink" if link.kind == "nvlink" else "the network cards"


def _fix(
    facts: Facts, group: CollectiveGroup, link: Link, share: float, saved: float, *, replayed: bool
) -> Recommendation:
    exposed = exposed_of(facts, [group])
    # A link that is found may still be as slow as the mark that it is held against.
    surely = 1 - share / thresholds.SLOW_LINK.value
    gain, late = communication_gain(
        facts,
        expected_ns=saved,
        low_ns=min(saved, surely * min(exposed, saved / (1 - share))),
        high_ns=max(saved, min(exposed, part_ns(facts, "communication"))),
        replayed=replayed,
    )
    variables = facts.critical.environment.variables
    off = [name for name in _SWITCHED_OFF if variables.get(name) not in (None, "", "0")]
    direct = link.kind == "nvlink"
    how = (
        "unset " + " ".join(off)
        if off
        else "NCCL_DEBUG=INFO shows the path, nvidia-smi topo -m the links; check IOMMU, ACS and the fabric manager"
        if direct
        else "NCCL_DEBUG=INFO shows the cards in use; check NCCL_IB_HCA, GPUDirect RDMA and the placement of the ranks"
    )
    return recommend(
        "enable-p2p" if direct else "topology-placement",
        rule=RULE.id,
        facts=facts,
        action=f"Unset {', '.join(off)}"
        if off
        else "Find out why the GPUs do not reach each other directly"
        if direct
        else "Use all network cards, and place the ranks of a group near each other",
        why=f"The link reaches {format_percent(share)} of what is expected of {_name(link)}. {late}".rstrip(),
        how=how,
        gain=gain,
        watch="the communication part",
        effort="flag" if off else None,
    )
