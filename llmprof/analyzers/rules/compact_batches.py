"""Could batches have fewer bytes, and what does a thread that pins them take from the thread that launches kernels?

The memory of a batch that a worker made goes back page after page, when the last reference to it is dropped: in the
destructor of a Python object, which holds Python's lock. Where a thread pins the batches, the training thread's Python
stands still meanwhile, in a pause without any call. (Measured: while one thread drops a shared tensor of 100 MB, a loop
in another stands for as long as that takes.)
"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.analyzers.facts.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.loader_model import RELEASE_NS_PER_BYTE
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.fixes import recommend

__all__ = ["SHARES", "compact_batches", "locked_ns", "wide_share"]

SHARES = (1 / 4, 1 / 2, 3 / 4)
"""Share of the bytes that goes: half with bf16 in place of fp32, at best uint8, at worst some of it stays."""
MOSTLY = 0.5
"""Share of the bytes from which on they are mostly fp32."""


def wide_share(group: CopyGroup, float_bytes: float | None) -> float:
    """The share of the copied bytes that is known to be fp32; 0 where it is little, or no copy is large.

    Token ids and pixels of one byte have no shorter type.
    """
    share = (float_bytes or 0.0) / group.bytes if group.bytes > 0 else 0.0
    return share if share >= MOSTLY and group.largest_bytes >= thresholds.LARGE_COPY.value else 0.0


def locked_ns(facts: Facts) -> float:
    """Ns per step that the thread which pins holds Python's lock for; 0 without such a thread."""
    copies = facts.critical.copies or CopyFacts()
    loader = facts.critical.environment.loaders[0] if facts.critical.environment.loaders else None
    if loader is None or not loader.num_workers or not loader.pin_memory:
        return 0.0
    return RELEASE_NS_PER_BYTE * copies.pinned_to_device.bytes


def compact_batches(facts: Facts, rule: str, why: str, saved: Gain) -> Recommendation:
    """The advice to hand over batches of fewer bytes."""
    return recommend(
        "compact-batches",
        rule=rule,
        facts=facts,
        action="Hand over batches of fewer bytes: in the type in which they are stored",
        why=why,
        how="Return uint8 images (or bf16) from the dataset; on the device: batch.to(device).float().div_(255)",
        gain=saved,
        watch="the data and host parts",
    )
