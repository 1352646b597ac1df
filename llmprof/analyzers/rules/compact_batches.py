"""Could batches have fewer bytes?"""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Gain, Recommendation
from llmprof.analyzers.facts.loading.copies import CopyGroup
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import thresholds
from llmprof.analyzers.rules.fixes import recommend

__all__ = ["SHARES", "compact_batches", "wide_share"]

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
