"""Memory snapshots of the form that torch.cuda.memory._snapshot documents, with totals that are known."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

MIB = 1 << 20
START_US = 1_790_857_026_000_000

TRAIN = {"filename": "/home/me/project/train.py", "line": 42, "name": "forward"}
LINEAR = {"filename": "/venv/lib/python3.11/site-packages/torch/nn/modules/linear.py", "line": 125, "name": "forward"}
NATIVE = {"filename": "/pytorch/aten/src/ATen/EmptyTensor.cpp", "line": 7, "name": "at::detail::empty_generic"}
ACTIVATIONS = [NATIVE, LINEAR, TRAIN, {"filename": "/home/me/project/train.py", "line": 90, "name": "<module>"}]
WEIGHTS = [LINEAR, {"filename": "/home/me/project/model.py", "line": 10, "name": "__init__"}]


def block(address: int, size: int, state: str, frames: list[Any], requested: int | None = None) -> dict[str, Any]:
    return {
        "address": address,
        "size": size,
        "requested_size": size if requested is None else requested,
        "state": state,
        "frames": frames,
    }


def segment(address: int, blocks: list[dict[str, Any]], *, kind: str = "large", device: int = 0) -> dict[str, Any]:
    active = [one for one in blocks if one["state"] != "inactive"]
    return {
        "device": device,
        "address": address,
        "total_size": sum(one["size"] for one in blocks),
        "allocated_size": sum(one["size"] for one in active if one["state"] == "active_allocated"),
        "active_size": sum(one["size"] for one in active),
        "requested_size": sum(one["requested_size"] for one in active),
        "stream": 0,
        "segment_type": kind,
        "segment_pool_id": (0, 0),
        "is_expandable": False,
        "frames": [],
        "blocks": blocks,
    }


def entry(action: str, address: int, size: int, at_us: int, frames: list[Any]) -> dict[str, Any]:
    where = "device_free" if action == "oom" else "addr"
    return {
        "action": action,
        where: address,
        "size": size,
        "stream": 0,
        "time_us": START_US + at_us,
        "compile_context": "N/A",
        "user_metadata": "",
        "frames": frames,
    }


def snapshot(*, history: bool = True, oom: bool = True) -> dict[str, Any]:
    """100 MiB of 160 MiB in use: 64 of activations (two blocks), 32 of weights, 4 awaiting their free; peak 130 MiB."""
    base = 0x7F0000000000
    first = [
        block(base, 32 * MIB, "active_allocated", ACTIVATIONS, requested=32 * MIB - 512),
        block(base + 32 * MIB, 32 * MIB, "active_allocated", ACTIVATIONS),
        block(base + 64 * MIB, 16 * MIB, "inactive", []),
    ]
    second = [
        block(base + (1 << 30), 32 * MIB, "active_allocated", WEIGHTS),
        block(base + (1 << 30) + 32 * MIB, 8 * MIB, "inactive", []),
    ]
    whole = [block(base + (2 << 30), 36 * MIB, "inactive", [])]
    small = [block(base + (3 << 30), 4 * MIB, "active_pending_free", [])]
    trace: list[dict[str, Any]] = []
    if history:
        trace = [
            entry("alloc", base + (4 << 30), 62 * MIB, 1000, ACTIVATIONS),  # 130 MiB in use from here
            entry("free_requested", base + (4 << 30), 62 * MIB, 1500, ACTIVATIONS),
            entry("free_completed", base + (4 << 30), 62 * MIB, 2000, ACTIVATIONS),
            entry("alloc", base, 32 * MIB - 512, 3000, ACTIVATIONS),
        ]
        if oom:
            trace.append(entry("oom", 7 * MIB, 40 * MIB, 4000, ACTIVATIONS))
    return {
        "segments": [segment(base, first), segment(base + (1 << 30), second), segment(base + (2 << 30), whole),
                     segment(base + (3 << 30), small, kind="small")],
        "device_traces": [trace],
        "allocator_settings": {"expandable_segments": False, "max_split_size": -1, "garbage_collection_threshold": 0.0,
                               "roundup_power2_divisions": {"1": 0, "2": 0}},
        "external_annotations": [{"stage": "START", "name": "ProfilerStep#3", "device": 0, "time_us": START_US}],
    }  # fmt: skip


def write(path: Path, value: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path
