"""How did the rank's GPU behave while the counted steps ran, against what it can do? And where does it sit?

From the node's telemetry (samples inside the counted steps only) and its topology. What was not sampled is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.steps.step_times import counted_steps
from llmprof.timeline.cpus import cpu_set
from llmprof.timeline.environment import Environment
from llmprof.timeline.steps import StepTimes
from llmprof.timeline.telemetry import Series
from llmprof.timeline.timeline import RankTimeline
from llmprof.timeline.topology import Gpu

__all__ = ["REASONS", "HardwareFacts", "hardware_facts"]

REASONS: Mapping[int, str] = {
    0x1: "idle",
    0x2: "application-clocks",
    0x4: "software-power-cap",
    0x8: "hardware-slowdown",
    0x10: "sync-boost",
    0x20: "software-thermal",
    0x40: "hardware-thermal",
    0x80: "power-brake",
    0x100: "display-clocks",
    0x200: "board-limit",
    0x400: "reliability",
}
"""Clock event reasons, by their bits (NVML API reference, nvmlClocksEventReasons)."""
SLOWDOWNS = frozenset({"hardware-slowdown", "software-thermal", "hardware-thermal", "power-brake"})
"""Those that mean trouble: cooling or power supply. The power cap is how a GPU at full load is meant to run."""
_TROUBLE = sum(bit for bit, name in REASONS.items() if name in SLOWDOWNS)
_IDLE = next(bit for bit, name in REASONS.items() if name == "idle")
ACTIVITY = ("sm_active", "sm_occupancy", "tensor_active", "dram_active", "fp16_active", "fp32_active", "fp64_active")
TRAFFIC = ("pcie_tx", "pcie_rx", "nvlink_tx", "nvlink_rx")


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFacts:
    """One rank's GPU during the counted steps; shares from 0 to 1, means over the samples unless it says otherwise."""

    samples: int = 0
    reasons: Mapping[str, float] = field(default_factory=dict)
    """Share of the samples in which the clocks were held down for this reason; reasons that never came are left out."""
    slowed_share: float | None = None
    """Share of the samples with a reason that means trouble (SLOWDOWNS)."""
    power_held_share: float | None = None
    """Share of the time that the driver counted as held down by the power limit; misses nothing between samples."""
    thermal_held_share: float | None = None
    utilization: float | None = None
    """Share of the time in which at least one kernel ran, however small (NVML's GPU utilisation)."""
    activity: Mapping[str, float] = field(default_factory=dict)
    """Shares by GPM: sm_active, sm_occupancy, tensor_active, dram_active, fp16_active, fp32_active, fp64_active."""
    traffic_bytes_per_s: Mapping[str, float] = field(default_factory=dict)
    """pcie_tx, pcie_rx, nvlink_tx, nvlink_rx, as the GPU sees it."""
    sm_mhz: float | None = None
    sm_mhz_max: int | None = None
    slowed_mhz: float | None = None
    """Mean SM clock of the samples with a reason that means trouble."""
    free_mhz: float | None = None
    """Mean SM clock of the samples without one in which kernels ran."""
    power_w: float | None = None
    power_limit_w: float | None = None
    power_default_w: float | None = None
    temperature_c: float | None = None
    """The highest."""
    pcie_gen: int | None = None
    """The best that was seen: a link without traffic falls back to generation 1."""
    pcie_width: int | None = None
    pcie_gen_max: int | None = None
    pcie_width_max: int | None = None
    gpu_numa_node: int | None = None
    far_cpus: bool | None = None
    """Whether the rank may only run on CPUs that are not near to its GPU."""
    other_processes: int | None = None
    """Most processes of others on the GPU at a time."""
    other_bytes: int | None = None
    used_bytes: int | None = None
    """The most memory in use on the device, by whom ever."""
    ecc_uncorrected: int | None = None
    """Errors that came during the counted steps."""
    ecc_corrected: int | None = None

    @property
    def clock_share(self) -> float | None:
        """Mean SM clock over the highest one."""
        return self.sm_mhz / self.sm_mhz_max if self.sm_mhz is not None and self.sm_mhz_max else None

    @property
    def pcie_below_max(self) -> bool | None:
        """Whether the link was slower or narrower than GPU and slot allow."""
        pairs = ((self.pcie_gen, self.pcie_gen_max), (self.pcie_width, self.pcie_width_max))
        known = [now < most for now, most in pairs if now is not None and most is not None]
        return any(known) if known else None


def hardware_facts(rank: RankTimeline) -> HardwareFacts | None:
    """What is known of the rank's GPU; None when neither telemetry nor topology tell anything."""
    environment = rank.environment
    gpu = environment.node.gpu(environment.gpu_index) if environment.node is not None else None
    own = _own_series(rank.telemetry)
    if gpu is None and not own:
        return None
    look = _Samples(own, rank.times)
    limit = look.mean("power_limit_w")
    return HardwareFacts(
        samples=look.count,
        reasons=look.reasons() or {},
        slowed_share=look.slowed(),
        power_held_share=look.held("power_violation_ns"),
        thermal_held_share=look.held("thermal_violation_ns"),
        utilization=look.share("gpu_util"),
        activity={name: share for name in ACTIVITY if (share := look.share(name)) is not None},
        traffic_bytes_per_s={
            name: rate for name in TRAFFIC if (rate := look.mean(f"{name}_bytes_per_s")) is not None
        },
        sm_mhz=look.mean("sm_mhz"),
        sm_mhz_max=gpu.sm_mhz_max if gpu is not None else None,
        slowed_mhz=look.clock(slowed=True),
        free_mhz=look.clock(slowed=False),
        power_w=look.mean("power_w"),
        power_limit_w=limit if limit is not None or gpu is None else gpu.power_limit_w,
        power_default_w=gpu.power_default_w if gpu is not None else None,
        temperature_c=look.peak("temp_c"),
        pcie_gen=_whole(look.peak("pcie_gen")),
        pcie_width=_whole(look.peak("pcie_width")),
        pcie_gen_max=gpu.pcie_gen_max if gpu is not None else None,
        pcie_width_max=gpu.pcie_width_max if gpu is not None else None,
        gpu_numa_node=gpu.numa_node if gpu is not None else None,
        far_cpus=_far(environment, gpu),
        other_processes=_whole(look.peak("other_processes")),
        other_bytes=_whole(look.peak("other_mem_bytes")),
        used_bytes=_whole(look.peak("mem_used_bytes")),
        ecc_uncorrected=look.growth("ecc_uncorrected"),
        ecc_corrected=look.growth("ecc_corrected"),
    )  # fmt: skip


def _own_series(telemetry: Sequence[Series]) -> dict[str, Series]:
    """The series of the rank's GPU; none where those of several GPUs stand there, because nothing tells its own."""
    devices = {series.device for series in telemetry if series.device is not None}
    return {series.name: series for series in telemetry if series.device is not None} if len(devices) == 1 else {}


class _Samples:
    """Readings inside the counted steps; without step times all of them."""

    def __init__(self, series: Mapping[str, Series], times: StepTimes | None) -> None:
        self._series = series
        rows = counted_steps(times)
        self._spans: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
        if times is not None and rows.size:
            start = times.start_ns[rows]
            self._spans = start, start + times.wall_ns[rows]
        self.count = max((self._inside(name).size for name in series), default=0)

    def _inside(self, name: str) -> npt.NDArray[np.float64]:
        return self._rows(name)[1]

    def _rows(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Times and values of the known readings inside the counted steps."""
        series = self._series.get(name)
        if series is None:
            return np.empty(0, np.int64), np.empty(0)
        keep = ~np.isnan(series.value)
        if self._spans is not None:
            start, end = self._spans
            place = np.searchsorted(start, series.t_ns, side="right") - 1
            keep &= (place >= 0) & (series.t_ns < end[np.maximum(place, 0)])
        return series.t_ns[keep], series.value[keep]

    def mean(self, name: str) -> float | None:
        known = self._inside(name)
        return float(known.mean()) if known.size else None

    def peak(self, name: str) -> float | None:
        known = self._inside(name)
        return float(known.max()) if known.size else None

    def share(self, name: str) -> float | None:
        """Of a percentage."""
        mean = self.mean(name)
        return None if mean is None else mean / 100

    def growth(self, name: str) -> int | None:
        """What a counter grew by; None with fewer than two readings."""
        known = self._inside(name)
        return max(0, int(known[-1] - known[0])) if known.size > 1 else None

    def held(self, name: str) -> float | None:
        """Growth of a counter of ns over the time between its first and its last reading."""
        t_ns, value = self._rows(name)
        if value.size < 2 or t_ns[-1] <= t_ns[0]:
            return None
        return float(np.clip((value[-1] - value[0]) / float(t_ns[-1] - t_ns[0]), 0.0, 1.0))

    def reasons(self) -> dict[str, float] | None:
        """Share of the samples by reason, those that never came left out; None without samples."""
        bits = self._inside("throttle_reasons").astype(np.int64)
        if bits.size == 0:
            return None
        shares = {name: float(((bits & bit) != 0).mean()) for bit, name in REASONS.items()}
        return {name: share for name, share in shares.items() if share > 0}

    def slowed(self) -> float | None:
        """Share of the samples with one of SLOWDOWNS."""
        bits = self._inside("throttle_reasons").astype(np.int64)
        return float(((bits & _TROUBLE) != 0).mean()) if bits.size else None

    def clock(self, *, slowed: bool) -> float | None:
        """Mean SM clock of the samples with one of SLOWDOWNS, or of those without in which kernels ran."""
        t_ns, bits = self._rows("throttle_reasons")
        at_ns, mhz = self._rows("sm_mhz")
        common, first, second = np.intersect1d(t_ns, at_ns, return_indices=True)
        if common.size == 0:
            return None
        reasons = bits[first].astype(np.int64)
        held = (reasons & _TROUBLE) != 0
        known = mhz[second][held if slowed else ~held & ((reasons & _IDLE) == 0)]
        return float(known.mean()) if known.size else None


def _far(environment: Environment, gpu: Gpu | None) -> bool | None:
    """Whether none of the rank's CPUs is near to its GPU; None: nothing tells."""
    near = _near_cpus(environment, gpu)
    try:
        mine = cpu_set(environment.cpu_affinity or "")
    except ValueError:
        return None
    if not near or not mine:
        return None
    return not mine & near


def _near_cpus(environment: Environment, gpu: Gpu | None) -> frozenset[int]:
    """The CPUs of the GPU's NUMA node; what the driver calls near where the node is not known."""
    node = environment.node
    if gpu is None or node is None or len(node.numa_nodes) < 2:
        return frozenset()  # with one NUMA node every CPU is as near as any other
    listed = node.numa_nodes.get(str(gpu.numa_node)) if gpu.numa_node is not None else gpu.cpu_affinity
    try:
        return cpu_set(listed or "")
    except ValueError:
        return frozenset()


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
