"""What fills the allocator's segments? Totals and the biggest live blocks, from torch's own list of segments.

Standard library only: the training process summarises its own segments with this when it runs out of memory, the
analysis those of a snapshot file. What is not of the documented form (torch.cuda.memory._snapshot) counts as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmprof.timeline.memory import LiveBlocks, Pool, Segments

__all__ = ["LIVE_GROUPS", "readable_stack", "summarize"]

LIVE_GROUPS = 24
STACK_FRAMES = 8
FRAMES_READ = 256
"""Native frames come first where they were recorded, some tens of them."""
FRAME_CHARACTERS = 120
NATIVE = (".cpp", ".h", ".cu", ".cuh", ".c", ".cc", ".hpp", ".so", "??")
INACTIVE = "inactive"
IN_USE = "active_allocated"


def summarize(segments: Iterable[Any], device: int) -> Segments:
    """Totals of one device; blocks in use are grouped by the stack that allocated them, else by their size."""
    totals = dict.fromkeys(("reserved", "allocated", "requested", "awaiting", "free", "split", "largest", "blocks"), 0)
    groups: dict[tuple[str, ...] | int, list[int]] = {}
    pools: dict[str, list[int]] = {}
    stacks: dict[int, tuple[str, ...]] = {}
    for segment in segments:
        if not isinstance(segment, Mapping) or segment.get("device", device) != device:
            continue
        blocks = segment.get("blocks")
        blocks = blocks if isinstance(blocks, Sequence) else ()
        size = _size(segment.get("total_size"))
        free = _count_blocks(segment, blocks, totals, groups, stacks)
        pool = pools.setdefault(str(segment.get("segment_type"))[:16], [0, 0, 0])
        totals["reserved"] += size
        pool[0] += 1
        pool[1] += size
        pool[2] += free
    biggest = sorted(groups.items(), key=lambda item: -item[1][0])[:LIVE_GROUPS]
    return Segments(
        device=device,
        reserved_bytes=totals["reserved"],
        allocated_bytes=totals["allocated"],
        requested_bytes=totals["requested"],
        awaiting_free_bytes=totals["awaiting"],
        free_bytes=totals["free"],
        inactive_split_bytes=totals["split"],
        largest_free_bytes=totals["largest"],
        blocks=totals["blocks"],
        live=tuple(
            LiveBlocks(bytes=size, blocks=count, stack=key if isinstance(key, tuple) else ())
            for key, (size, count) in biggest
        ),
        pools=tuple(
            Pool(name=name, segments=count, reserved_bytes=reserved, free_bytes=free)
            for name, (count, reserved, free) in sorted(pools.items())
        ),
    )


def readable_stack(frames: Any) -> tuple[str, ...]:
    """`folder/file.py:12 function` of a recorded stack, the innermost first, without the insides of torch."""
    if not isinstance(frames, Sequence):
        return ()
    named = [(str(one.get("filename")), one) for one in frames[:FRAMES_READ] if isinstance(one, Mapping)]
    own = [(name, one) for name, one in named if not name.endswith(NATIVE) and "-packages/torch/" not in name] or named
    return tuple(_frame(name, one) for name, one in own[:STACK_FRAMES])


def _frame(filename: str, frame: Mapping[str, Any]) -> str:
    short = "/".join(filename.replace("\\", "/").split("/")[-2:])
    return f"{short}:{_size(frame.get('line'))} {frame.get('name')}"[:FRAME_CHARACTERS]


def _count_blocks(
    segment: Mapping[str, Any],
    blocks: Sequence[Any],
    totals: dict[str, int],
    groups: dict[tuple[str, ...] | int, list[int]],
    stacks: dict[int, tuple[str, ...]],
) -> int:
    """Add the blocks of one segment; its free bytes."""
    split = len(blocks) > 1 and not segment.get("is_expandable")
    unused = 0
    for block in blocks:
        if not isinstance(block, Mapping):
            continue
        size, state = _size(block.get("size")), block.get("state")
        if state == INACTIVE:
            unused += size
            totals["free"] += size
            totals["split"] += size if split else 0
            totals["largest"] = max(totals["largest"], size)
            continue
        totals["blocks"] += 1
        if state == IN_USE:
            totals["allocated"] += size
            totals["requested"] += _size(block.get("requested_size")) or size
        else:
            totals["awaiting"] += size
        frames = block.get("frames") or ()
        stack = stacks.get(id(frames))  # equal stacks are one list: torch makes it once
        if stack is None:
            stack = stacks[id(frames)] = readable_stack(frames)
        group = groups.setdefault(stack or size, [0, 0])
        group[0] += size
        group[1] += 1
    return unused


def _size(value: Any) -> int:
    """A count of bytes as torch gives it; damage is nothing."""
    return value if type(value) is int and 0 <= value < 1 << 50 else 0
