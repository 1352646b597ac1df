"""Which copies cross the bus? Host-to-device and device-to-host copies: bytes, rate, pinned or pageable, exposed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CopyFacts", "CopyGroup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyGroup:
    """Copies of one direction and one kind of host memory; per step."""

    count: float = 0.0
    bytes: float = 0.0
    ns: float = 0.0
    exposed_ns: float = 0.0
    """Device time during which only this copy ran."""
    largest_bytes: int = 0

    @property
    def bytes_per_s(self) -> float | None:
        """Achieved rate, None when nothing was copied."""
        return self.bytes / self.ns * 1e9 if self.ns > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """Copies of one rank inside the traced windows."""

    pageable_to_device: CopyGroup = CopyGroup()
    pinned_to_device: CopyGroup = CopyGroup()
    to_host: CopyGroup = CopyGroup()
    on_device: CopyGroup = CopyGroup()
    peer: CopyGroup = CopyGroup()
    pageable_stall_ns: float | None = None
    """Host time inside the calls that copied pageable memory to the device (they block the launching thread)."""
