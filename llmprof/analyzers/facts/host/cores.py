"""How many cores does each rank have to itself? Its affinity mask, shared with the other ranks of its node."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from llmprof.timeline.cpus import cpu_set
from llmprof.timeline.environment import Environment

__all__ = ["own_cores"]


def own_cores(environments: Mapping[int, Environment]) -> Mapping[int, float]:
    """Cores by rank: a core that several ranks may use is divided among them, and so is a quota.

    A rank that runs on an unknown host, or whose node has a rank with unknown affinity, is left out.
    """
    hosts: dict[str, dict[int, Environment]] = defaultdict(dict)
    for rank, environment in environments.items():
        if environment.host is not None:
            hosts[environment.host][rank] = environment
    return {rank: cores for ranks in hosts.values() for rank, cores in _on_host(ranks).items()}


def _on_host(ranks: Mapping[int, Environment]) -> Mapping[int, float]:
    try:
        masks = {rank: cpu_set(environment.cpu_affinity or "") for rank, environment in ranks.items()}
    except ValueError:
        return {}
    if not all(masks.values()):
        return {}
    users = Counter(cpu for mask in masks.values() for cpu in mask)
    found = {}
    for rank, mask in masks.items():
        cores = sum(1 / users[cpu] for cpu in mask)
        quota = ranks[rank].cpu_quota  # of the container, which the ranks of a node mostly share
        found[rank] = cores if quota is None else min(cores, quota / len(ranks))
    return found
