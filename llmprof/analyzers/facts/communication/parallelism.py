"""How is the work divided among ranks? Degrees from the settings, and where those are silent from the traffic.

What each kind of parallelism exchanges: data parallelism all-reduces gradients in the backward pass; FSDP gathers
parameters in both passes and reduce-scatters gradients in the backward pass alone; tensor parallelism all-reduces
activations in both passes, with sequence parallelism as all-gather and reduce-scatter; pipelines send and receive;
experts exchange tokens all to all (Megatron-LM and PyTorch FSDP documentation).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace

from llmprof.analyzers.facts.communication.collective_groups import CollectiveGroup
from llmprof.timeline.environment import Environment
from llmprof.timeline.settings import Parallelism

__all__ = ["parallelism_of"]

_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (degree, re.compile(rf"(?:^|[_\W])(?:{words})(?:$|[_\W])", re.IGNORECASE))
    for degree, words in (
        ("fsdp", r"fsdp|dp_shard(_cp)?|shard"),
        ("dp", r"dp|ddp|data|dp_replicate|replicate"),
        ("tp", r"tp|tensor|tensor_model_parallel_group|model"),
        ("pp", r"pp|pipe|pipeline"),
        ("cp", r"cp|context"),
        ("ep", r"ep|expert"),
    )
)
"""What programs call their groups: mesh_tp, mesh_dp_shard (torch.distributed.device_mesh), and the like."""
FEW = 4
"""All-reduces of a forward pass, from which on they are taken for activations and not for a metric."""


def parallelism_of(environment: Environment, groups: Sequence[CollectiveGroup]) -> Parallelism:
    """The degrees of a rank; what neither its settings nor its traffic tell stays None."""
    known = environment.parallelism
    found: dict[str, int] = {}
    for group in groups:
        degree, size = _degree(group, groups), group.group_size
        if degree is not None and size is not None and size > 1:
            found.setdefault(degree, size)
    if (known.fsdp or found.get("fsdp")) and not known.dp:
        found.pop("dp", None)  # reductions over the whole group beside sharding are norms and losses
    return replace(
        known,
        **{
            one.name: found[one.name] for one in fields(known) if getattr(known, one.name) is None and one.name in found
        },
    )


def _degree(group: CollectiveGroup, groups: Sequence[CollectiveGroup]) -> str | None:
    """The kind of parallelism that a group's traffic is typical of."""
    named = next((degree for degree, name in _NAMES if group.description and name.search(group.description)), None)
    if named == "dp" and group.op in ("all_gather", "reduce_scatter"):
        return "fsdp"  # fully_shard over a mesh that is called dp
    if named is not None:
        return named
    if group.op == "all_to_all":
        return "ep"
    if group.op == "send_recv":
        return "pp"
    if group.op == "reduce_scatter":
        gathers = any(one.op == "all_gather" and one.group_name == group.group_name for one in groups)
        if not gathers or group.backward_share is None:
            return None
        return "fsdp" if group.backward_share == 1.0 else "tp"
    if group.op == "all_reduce" and group.backward_share is not None:
        forward = group.count * (1 - group.backward_share)
        if group.backward_share > 0:
            return "tp" if forward >= FEW else "dp"
    return None
