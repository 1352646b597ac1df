"""Is the expected bandwidth that of the recorded links, and unknown where nothing tells it?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmprof.analyzers.facts.communication.links import expected_link
from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.topology import Gpu, GpuPair, NetworkCard, Node

H200 = Device(name="NVIDIA H200", sm_count=132, capability=(9, 0))


def two(node: Node | None, **settings: Any) -> dict[int, Environment]:
    values = {"device": H200, "host": "a", "node": node, **settings}
    return {rank: Environment(gpu_index=rank, **values) for rank in (0, 1)}


def linked(count: int | None, *, nvlink: bool | None = True) -> Node:
    return Node(gpus=(Gpu(index=0), Gpu(index=1)), pairs=(GpuPair(a=0, b=1, nvlinks=count, nvlink=nvlink),))


@pytest.mark.parametrize(("links", "gigabytes"), [(18, 360), (4, 80)])
def test_two_gpus_have_the_links_between_them(links: int, gigabytes: int) -> None:
    found = expected_link(two(linked(links)), (0, 1))
    assert found is not None
    assert (found.kind, found.source, found.bus_bytes_per_s) == ("nvlink", "topology", pytest.approx(gigabytes * 1e9))


def test_blackwell_links_are_twice_as_fast() -> None:
    b200 = Device(name="NVIDIA B200", sm_count=148, capability=(10, 0))
    found = expected_link(two(linked(18), device=b200), (0, 1))
    assert found is not None and found.bus_bytes_per_s == pytest.approx(0.8 * 900e9)


def test_pcie_alone_is_unknown() -> None:
    assert expected_link(two(linked(None, nvlink=False)), (0, 1)) is None


def test_without_topology_the_device_tells() -> None:
    found = expected_link(two(None), (0, 1))
    assert found is not None and (found.source, found.bus_bytes_per_s) == ("device", pytest.approx(360e9))


def test_an_unknown_device_is_unknown() -> None:
    assert expected_link(two(None, device=Device(name="GPU of tomorrow")), (0, 1)) is None


@pytest.mark.parametrize("ranks", [(0, 1, 2), (0,)])
def test_groups_with_unrecorded_ranks_are_unknown(ranks: tuple[int, ...]) -> None:
    assert expected_link(two(linked(18)), ranks) is None


def test_ranks_of_unknown_hosts_are_unknown() -> None:
    assert expected_link(two(linked(18), host=None), (0, 1)) is None


def test_between_hosts_the_network_cards_decide() -> None:
    card = NetworkCard(name="mlx5_0", kind="infiniband", megabits_per_s=400_000, state="4: ACTIVE")
    node = replace(linked(18), network=(card, card, replace(card, state="1: DOWN")))
    ranks = two(node)
    ranks[1] = replace(ranks[1], host="b")
    found = expected_link(ranks, (0, 1))
    # One of two GPUs of each node has half of its two cards: 50 GB/s.
    assert found is not None and (found.kind, found.bus_bytes_per_s) == ("network", pytest.approx(0.85 * 50e9))


def test_between_hosts_without_known_cards_it_is_unknown() -> None:
    ranks = two(linked(18))
    ranks[1] = replace(ranks[1], host="b")
    assert expected_link(ranks, (0, 1)) is None
