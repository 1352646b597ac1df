"""How fast can a process group exchange data at best? The expected bus bandwidth, from the topology that was recorded.

NVLink by its generation: 25 GB/s a link in one direction up to NVLink 4, 50 GB/s with NVLink 5 (NVIDIA's datasheets of
V100, A100, H100, H200 and B200). Rings reach about 0.8 of that (stas00/ml-engineering measures 363 to 367 of 450 GB/s
on four and eight H200, 235 of 300 GB/s on eight A100). Over PCIe alone no figure holds for all boards: it is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmprof.analyzers.facts.device.devices import find_device
from llmprof.timeline.environment import Environment
from llmprof.timeline.topology import Node

__all__ = ["Link", "expected_link"]

RING_SHARE = 0.8
NETWORK_SHARE = 0.85
"""Of the network cards' rate: protocol and pipelining take the rest (an assumption)."""
LINK_BYTES_PER_S = 25e9
BLACKWELL_LINK_BYTES_PER_S = 50e9
MEGABIT = 125_000
"""Bytes."""

Kind = Literal["nvlink", "network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What connects the ranks of a group."""

    kind: Kind
    bus_bytes_per_s: float
    """What collectives of large messages are expected to reach, one direction."""
    source: Literal["topology", "device"]
    """`device`: the links between the GPUs were not recorded; the model of the GPU has them."""


def expected_link(environments: Mapping[int, Environment], ranks: Sequence[int] | None) -> Link | None:
    """The link of a group of global `ranks` (None: of all recorded ones); None where nothing tells what it is."""
    chosen = [environments[rank] for rank in (ranks or environments) if rank in environments]
    if ranks is not None and len(chosen) < len(ranks):
        return None
    if len(chosen) < 2 or any(one.host is None for one in chosen):
        # Ranks of one trace each: without hosts it is not known whether they share a node.
        return None
    hosts = {one.host for one in chosen}
    return _inside(chosen) if len(hosts) == 1 else _between(chosen, len(hosts))


def _inside(chosen: Sequence[Environment]) -> Link | None:
    node = chosen[0].node
    device = chosen[0].device
    peaks = find_device(device.name, device.sm_count)
    known = None if peaks is None else peaks.link_bytes_per_s
    if node is None or not node.pairs:
        return None if known is None else _nvlink(known, "device")
    indices = {one.gpu_index for one in chosen}
    pairs = [pair for pair in node.pairs if {pair.a, pair.b} <= indices]
    if None in indices or not pairs or not all(pair.nvlink or pair.nvlinks for pair in pairs):
        return None
    counts = [pair.nvlinks for pair in pairs if pair.nvlinks]
    each = BLACKWELL_LINK_BYTES_PER_S if (device.capability or (0, 0))[0] >= 10 else LINK_BYTES_PER_S
    # More than two GPUs use the links to all of their peers at a time, two only those between them.
    rate = min(counts) * each if counts and len(indices) == 2 else known
    return None if rate is None else _nvlink(min(rate, known or rate), "topology")


def _nvlink(bytes_per_s: float, source: Literal["topology", "device"]) -> Link:
    return Link(kind="nvlink", bus_bytes_per_s=RING_SHARE * bytes_per_s, source=source)


def _between(chosen: Sequence[Environment], hosts: int) -> Link | None:
    """The node with the slowest cards sets the pace; some of a node's GPUs have their share of its cards."""
    rates = []
    for host in {one.host for one in chosen}:
        own = [one for one in chosen if one.host == host]
        node = own[0].node
        total = None if node is None else _cards(node)
        if total is None or node is None:
            return None
        rates.append(total * min(1.0, len(own) / max(1, len(node.gpus))))
    return Link(kind="network", bus_bytes_per_s=NETWORK_SHARE * min(rates), source="topology")


def _cards(node: Node) -> float | None:
    """Bytes per second of a node's InfiniBand and RoCE cards that are up; None without any of known rate."""
    rates = [
        card.megabits_per_s
        for card in node.network
        if card.kind == "infiniband" and card.megabits_per_s and "DOWN" not in (card.state or "").upper()
    ]
    return sum(rates) * float(MEGABIT) if rates else None
