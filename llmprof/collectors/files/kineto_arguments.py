"""What do the details of a Kineto trace say? Reads single values, event arguments and top-level records.

Everything here comes from a stranger's file: a value of the wrong type is None, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from llmprof.timeline.environment import Device, Environment
from llmprof.timeline.events import CollectiveCall
from llmprof.units import NS_PER_US

__all__ = ["clean", "collective", "environment", "integer", "nanoseconds", "shapes"]

_INT64_MAX = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"\d+")


def nanoseconds(value: object) -> int | None:
    """Integer ns of a number of µs, given as int or as decimal text; every digit down to 1 ns is kept.

    None when it is no finite number or does not fit into int64.
    """
    if type(value) is int:
        result = value * NS_PER_US
    elif type(value) is str:
        whole, _, fraction = value.partition(".")
        try:
            if not whole or len(fraction) > 3 or len(whole) > 20:
                raise ValueError
            result = int(whole + fraction.ljust(3, "0"))
        except ValueError:
            return _nanoseconds_of_decimal(value)
    else:
        return None
    return result if -_INT64_MAX <= result <= _INT64_MAX else None


def _nanoseconds_of_decimal(text: str) -> int | None:
    """The slow way, for exponents and more than three decimals; rounds to the nearest ns."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite() or value.adjusted() > 17:
        return None
    result = round(value * NS_PER_US)
    return result if -_INT64_MAX <= result <= _INT64_MAX else None


def integer(value: object) -> int | None:
    """An int64 from an integer or a quoted one (AMD writes `"bytes": "2048"`); None for anything else."""
    if type(value) is str and len(value) <= 20:
        try:
            value = int(value)
        except ValueError:
            return None
    return value if type(value) is int and -_INT64_MAX <= value <= _INT64_MAX else None


def clean(value: object) -> str | None:
    """Text that every terminal and file can take: no control characters, no lone surrogates; None for no text."""
    if not isinstance(value, str) or not value:
        return None
    if value.isascii() and value.isprintable():
        return value
    return _CONTROL.sub("\ufffd", value.encode("utf-8", errors="replace").decode("utf-8"))


def collective(args: Mapping[str, Any]) -> CollectiveCall | None:
    """The collective that an event's arguments describe; None when they describe none."""
    name = clean(args.get("Collective name"))
    if name is None:
        return None
    ranks = _ranks(args.get("Process Group Ranks"))
    return CollectiveCall(
        name=name,
        in_elements=integer(args.get("In msg nelems")),
        out_elements=integer(args.get("Out msg nelems")),
        dtype=clean(args.get("dtype")),
        group_size=integer(args.get("Group size")),
        group_name=clean(args.get("Process Group Name")),
        group_description=clean(args.get("Process Group Description")),
        ranks=ranks,
        peer=_peer(name, args, ranks),
    )


def _peer(name: str, args: Mapping[str, Any], ranks: tuple[int, ...] | None) -> int | None:
    """The other side of a message; before PyTorch named it, `Rank` was its place in the group (ProcessGroupNCCL)."""
    key = {"send": "Dst Rank", "recv": "Src Rank"}.get(name)
    if key is None:
        return None
    peer, place = integer(args.get(key)), integer(args.get("Rank"))
    if peer is None and ranks is not None and place is not None and 0 <= place < len(ranks):
        peer = ranks[place]
    return peer


def _ranks(value: object) -> tuple[int, ...] | None:
    """Ranks from `"[0, 1]"` or from a list; None when they are absent or PyTorch shortened the text with "..."."""
    if isinstance(value, str):
        if "..." in value:
            return None
        return tuple(int(number) for number in _NUMBER.findall(value) if len(number) <= 9) or None
    if isinstance(value, list):
        ranks = tuple(rank for rank in map(integer, value) if rank is not None)
        return ranks if ranks and len(ranks) == len(value) else None
    return None


def shapes(args: Mapping[str, Any]) -> str | None:
    """Input shapes and types as `[16,1024];[]|float;Scalar`: one item an argument, dims before the bar, types after.

    A list of tensors is a nested list: `[[16,8],[8]]`. None when the recording has no shapes for the operator.
    """
    dims = args.get("Input Dims", args.get("Input dims"))
    if not isinstance(dims, list) or not dims:
        return None
    types = args.get("Input type", ())
    names = ";".join(map(str, types)) if isinstance(types, list) else ""
    return clean(f"{';'.join(map(str, dims)).replace(' ', '')}|{names}")


def environment(header: Mapping[str, Any], device: int | None) -> Environment:
    """What the top level of a trace tells about the run; `device` is the id of the device that the rank used."""
    distributed = header.get("distributedInfo")
    distributed = distributed if isinstance(distributed, dict) else {}
    devices = header.get("deviceProperties")
    records = [record for record in devices if isinstance(record, dict)] if isinstance(devices, list) else []
    return Environment(
        device=_device(records, device),
        gpus_per_node=len(records) or None,
        cuda_version=_cuda_version(integer(header.get("cuda_runtime_version"))),
        nccl_version=clean(distributed.get("nccl_version")),
        world_size=integer(distributed.get("world_size")),
        backend=clean(distributed.get("backend")),
    )


def _device(records: Sequence[Mapping[str, Any]], device: int | None) -> Device:
    if not records:
        return Device()
    record = next((record for record in records if record.get("id") == device), records[0])
    major, minor = integer(record.get("computeMajor")), integer(record.get("computeMinor"))
    return Device(
        name=clean(record.get("name")),
        memory_bytes=integer(record.get("totalGlobalMem")),
        sm_count=integer(record.get("numSms")),
        capability=None if major is None or minor is None else (major, minor),
    )


def _cuda_version(number: int | None) -> str | None:
    """`12.4` of 12040."""
    return None if number is None or number < 1000 else f"{number // 1000}.{number % 1000 // 10}"
