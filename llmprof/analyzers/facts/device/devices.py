"""What can this GPU do at most? Peak rates of known devices.

Figures are the dense rates (no sparsity) of the vendors' datasheets: NVIDIA V100, T4, A10, A100, L4, L40S, H100, H200,
H20, Blackwell B200, GB200 and B300 and the GeForce RTX whitepapers; AMD Instinct MI250X, MI300X, MI325X and MI355X.
GeForce rows take the rate with single-precision accumulation, which is what PyTorch runs. An MI250X shows itself as
two devices, so its row is one of the two. The figure that marketing quotes is often two or four times as high.

No kernel reaches the peak. What matrix products reach at best was measured by stas00/ml-engineering (its maximum
achievable matmul FLOPS: A100 271, H100 and H200 795, B200 1745, MI300X 668 TFLOPS in bf16; H100 1403, H200 1453, B200
3433 in fp8), which is 71 to 87 % of the peak on NVIDIA's devices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["DevicePeaks", "find_device"]

ACHIEVABLE = 0.8
"""The share of a peak that is taken as achievable where nobody measured it: the middle of the 71 to 87 % above. Also
for memory: NVIDIA's DCGM documentation calls a memory interface that is busy 80 % of the time the practical limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePeaks:
    """Peak rates of one device."""

    name: str
    flops: Mapping[str, float]
    """FLOP/s by number format: bf16, fp16, fp8, tf32, fp32; an absent one has no figure."""
    memory_bytes_per_s: float
    memory_bytes: tuple[int, ...]
    """Sizes that are sold, decimal bytes."""
    sm_counts: tuple[int, ...]
    """Streaming multiprocessors or compute units."""
    link_bytes_per_s: float | None = None
    """Bandwidth to the peers through NVLink or Infinity Fabric, one direction; None for PCIe."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """The best FLOP/s that matrix products were measured to reach, by number format."""

    def achievable(self, number_format: str) -> float | None:
        """FLOP/s that a good matrix product reaches; None for a format without a figure."""
        peak = self.flops.get(number_format)
        return self.measured.get(number_format, None if peak is None else ACHIEVABLE * peak)

    @property
    def achievable_bytes_per_s(self) -> float:
        """Memory bandwidth that a good kernel reaches."""
        return ACHIEVABLE * self.memory_bytes_per_s


def _peaks(
    name: str,
    sm: int | tuple[int, ...],
    tflops: Mapping[str, float],
    bandwidth_gb: float,
    memory_gb: int | tuple[int, ...],
    link_gb: float | None,
) -> DevicePeaks:
    """A row of the table; rates in TFLOPS and GB/s, `link_gb` both directions together as datasheets give it."""
    sizes = memory_gb if isinstance(memory_gb, tuple) else (memory_gb,)
    return DevicePeaks(
        name=name,
        flops={key: value * 1e12 for key, value in tflops.items()},
        memory_bytes_per_s=bandwidth_gb * 1e9,
        memory_bytes=tuple(size * 10**9 for size in sizes),
        sm_counts=sm if isinstance(sm, tuple) else (sm,),
        link_bytes_per_s=None if link_gb is None else link_gb / 2 * 1e9,
    )


def _rates(
    bf16: float | None, fp16: float | None, fp8: float | None, tf32: float | None, fp32: float
) -> Mapping[str, float]:
    given = {"bf16": bf16, "fp16": fp16, "fp8": fp8, "tf32": tf32, "fp32": fp32}
    return {key: value for key, value in given.items() if value is not None}


_HOPPER = _rates(989, 989, 1979, 494.5, 67)
_AMPERE = _rates(312, 312, None, 156, 19.5)
_BLACKWELL = _rates(2250, 2250, 4500, 1125, 80)

# First match wins, so a longer name stands before the shorter one that it contains.
_TABLE: tuple[tuple[str, DevicePeaks], ...] = (
    (r"V100-SXM2", _peaks("V100 SXM2", 80, _rates(None, 125, None, None, 15.7), 900, (16, 32), 300)),
    (r"\bT4\b", _peaks("T4", 40, _rates(None, 65, None, None, 8.1), 320, 16, None)),
    (r"\bA10G\b", _peaks("A10G", 80, _rates(70, 70, None, 35, 35), 600, 24, None)),
    (r"\bA10\b", _peaks("A10", 72, _rates(125, 125, None, 62.5, 31.2), 600, 24, None)),
    (r"RTX 3090$", _peaks("RTX 3090", 82, _rates(71, 71, None, 35.6, 35.6), 936, 24, 112)),
    (r"RTX 4090$", _peaks("RTX 4090", 128, _rates(165, 165, 330, 82.6, 82.6), 1008, 24, None)),
    (r"RTX 5090$", _peaks("RTX 5090", 170, _rates(210, 210, 419, 105, 105), 1792, 32, None)),
    (r"A100-SXM4-40GB", _peaks("A100 SXM 40 GB", 108, _AMPERE, 1555, 40, 600)),
    (r"A100-SXM4-80GB", _peaks("A100 SXM 80 GB", 108, _AMPERE, 2039, 80, 600)),
    (r"A100.PCIE.40GB|A100 40GB PCIe", _peaks("A100 PCIe 40 GB", 108, _AMPERE, 1555, 40, 600)),
    (r"A100.PCIE.80GB|A100 80GB PCIe", _peaks("A100 PCIe 80 GB", 108, _AMPERE, 1935, 80, 600)),
    (r"\bL4\b", _peaks("L4", 58, _rates(121, 121, 242, 60, 30.3), 300, 24, None)),
    (r"\bL40S\b", _peaks("L40S", 142, _rates(362, 362, 733, 183, 91.6), 864, 48, None)),
    (r"\bH100 NVL\b", _peaks("H100 NVL", 132, _rates(835, 835, 1671, 417.5, 60), 3900, 94, 600)),
    (r"\bH100 PCIe\b", _peaks("H100 PCIe", 114, _rates(756, 756, 1513, 378, 51), 2000, 80, 600)),
    (r"\bH100 (SXM|80GB HBM3)", _peaks("H100 SXM", 132, _HOPPER, 3350, 80, 900)),
    (r"\bH200 NVL\b", _peaks("H200 NVL", 132, _rates(835, 835, 1671, 417.5, 60), 4800, 141, 900)),
    (r"\bH200\b", _peaks("H200 SXM", 132, _HOPPER, 4800, 141, 900)),
    (r"\bH20\b", _peaks("H20", 78, _rates(148, 148, 296, 74, 44), 4000, 96, 900)),
    (r"\bGB200\b", _peaks("GB200", (148, 152), _rates(2500, 2500, 5000, 1250, 80), 8000, (186, 192), 1800)),
    (r"\bB200\b", _peaks("B200", 148, _BLACKWELL, 8000, (180, 192), 1800)),
    (r"\bB300\b", _peaks("B300", (148, 152), _BLACKWELL, 8000, 288, 1800)),
    (r"\bMI250X\b", _peaks("MI250X (one of two dies)", 110, _rates(191.5, 191.5, None, None, 23.95), 1638, 64, 350)),
    (r"\bMI300X\b", _peaks("MI300X", 304, _rates(1307, 1307, 2615, 654, 163), 5300, 192, 896)),
    (r"\bMI325X\b", _peaks("MI325X", 304, _rates(1307, 1307, 2615, 654, 163), 6000, 256, 896)),
    (r"\bMI355X\b", _peaks("MI355X", 256, _rates(2500, 2500, 5000, None, 157), 8000, 288, 1071)),
)
# TFLOPS in bf16 and fp8 as stas00/ml-engineering measured them; fp16 runs as bf16 does.
_MEASURED = {
    "A100 SXM 80 GB": {"bf16": 271},
    "H100 SXM": {"bf16": 795, "fp8": 1403},
    "H200 SXM": {"bf16": 795, "fp8": 1453},
    "B200": {"bf16": 1745, "fp8": 3433},
    "MI300X": {"bf16": 668},
}


def _with_measured(peaks: DevicePeaks) -> DevicePeaks:
    best = {key: value * 1e12 for key, value in _MEASURED.get(peaks.name, {}).items()}
    if "bf16" in best:
        best["fp16"] = best["bf16"]
    return replace(peaks, measured=best)


_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), _with_measured(peaks)) for pattern, peaks in _TABLE)


def find_device(name: str | None, sm_count: int | None) -> DevicePeaks | None:
    """The peaks of the device with this name; None when it is not known, because a guess would be a wrong roofline.

    sm_count tells variants apart: one that does not fit the name (a slice of a GPU) is not known either.
    """
    if name is None or " MIG " in f" {name} ":
        return None
    peaks = next((peaks for pattern, peaks in _PATTERNS if pattern.search(name)), None)
    if peaks is None or (sm_count is not None and sm_count not in peaks.sm_counts):
        return None
    return peaks
