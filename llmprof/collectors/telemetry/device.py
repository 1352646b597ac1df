"""What do the GPUs of this node report about themselves? NVML and GPM samples of all GPUs that NVML shows.

Every question is asked on its own: what the device refuses stays empty in device.csv, which means unknown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from llmprof.collectors.telemetry.gpm import COLUMNS as GPM
from llmprof.collectors.telemetry.gpm import Gpm
from llmprof.collectors.telemetry.nvml import answer, text
from llmprof.collectors.telemetry.processes import family, others_on
from llmprof.errors import NotFoundError
from llmprof.timeline.rundir import write_text_atomic

__all__ = ["COLUMNS", "DeviceTelemetry"]

SLOW_EVERY = 10
"""What hardly changes is read every tenth time."""
BLOCKING_EVERY = 50
"""What blocks (PCIe throughput counts for 20 ms, once a direction) is read every fiftieth time, of one GPU in turn."""
GIVE_UP_AFTER = 3
"""A question refused this often in a row is not asked again."""

Values = Sequence[float | int | None]
Reader = Callable[[Any, Any], Values]
"""(pynvml, device handle) to one value a column; raises where the device refuses."""


def _pair(answered: Any, first: str, second: str) -> Values:
    return getattr(answered, first), getattr(answered, second)


def _reasons(nvml: Any, gpu: Any) -> Values:
    """By the name of driver 535 and newer; the older name asks the same."""
    ask = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    found = answer(lambda: ask(gpu)) if ask is not None else None
    return (found if found is not None else nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),)


def _ecc(kind: str) -> Reader:
    return lambda nvml, gpu: (nvml.nvmlDeviceGetTotalEccErrors(gpu, getattr(nvml, kind), nvml.NVML_VOLATILE_ECC),)


def _violation(policy: str) -> Reader:
    """How long the clocks were held down for this, since the driver was loaded; misses nothing between samples."""
    return lambda nvml, gpu: (nvml.nvmlDeviceGetViolationStatus(gpu, getattr(nvml, policy)).violationTime,)


# (columns, reader)
Questions = Sequence[tuple[tuple[str, ...], Reader]]
FAST: Questions = (
    (("gpu_util", "mem_util"), lambda nvml, gpu: _pair(nvml.nvmlDeviceGetUtilizationRates(gpu), "gpu", "memory")),
    (
        ("mem_used_bytes", "mem_total_bytes"),
        lambda nvml, gpu: _pair(nvml.nvmlDeviceGetMemoryInfo(gpu), "used", "total"),
    ),
    (("power_w",), lambda nvml, gpu: (nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,)),
    (("temp_c",), lambda nvml, gpu: (nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),)),
    (("sm_mhz",), lambda nvml, gpu: (nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),)),
    (("mem_mhz",), lambda nvml, gpu: (nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),)),
    (("throttle_reasons",), _reasons),
)
SLOW: Questions = (
    (("pcie_gen",), lambda nvml, gpu: (nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),)),
    (("pcie_width",), lambda nvml, gpu: (nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),)),
    (("ecc_uncorrected",), _ecc("NVML_MEMORY_ERROR_TYPE_UNCORRECTED")),
    (("ecc_corrected",), _ecc("NVML_MEMORY_ERROR_TYPE_CORRECTED")),
    (("power_limit_w",), lambda nvml, gpu: (nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,)),
    (("power_violation_ns",), _violation("NVML_PERF_POLICY_POWER")),
    (("thermal_violation_ns",), _violation("NVML_PERF_POLICY_THERMAL")),
)
BLOCKING: Questions = (
    # In KB a second; asked only where GPM does not tell.
    (
        ("pcie_tx_bytes_per_s",),
        lambda nvml, gpu: (nvml.nvmlDeviceGetPcieThroughput(gpu, nvml.NVML_PCIE_UTIL_TX_BYTES) * 1000,),
    ),
    (
        ("pcie_rx_bytes_per_s",),
        lambda nvml, gpu: (nvml.nvmlDeviceGetPcieThroughput(gpu, nvml.NVML_PCIE_UTIL_RX_BYTES) * 1000,),
    ),
)
OTHERS = ("other_processes", "other_mem_bytes")
COLUMNS = ("t_ns", "gpu", *(name for names, _ in (*FAST, *SLOW) for name in names), *OTHERS, *GPM)


class DeviceTelemetry:
    """Lines of device.csv; `devices.json` beside it says which GPU is which."""

    def __init__(self, folder: Path) -> None:
        """Open NVML. Raises NotFoundError where it shows no GPU, and whatever pynvml does where there is no driver."""
        nvml = import_module("pynvml")
        nvml.nvmlInit()
        self._gpus = [_Gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        if not self._gpus:
            raise NotFoundError("NVML shows no GPU")
        write_text_atomic(folder / "devices.json", json.dumps([gpu.identity() for gpu in self._gpus]) + "\n")
        self._file = (folder / "device.csv").open("a", encoding="ascii")
        if self._file.tell() == 0:
            self._file.write(",".join(COLUMNS) + "\n")
        self._turn = 0

    def sample(self, ranks: Iterable[tuple[int, int]]) -> None:
        """One line a GPU, whichever ranks use it."""
        slow = self._turn % SLOW_EVERY == 0
        rounds, rest = divmod(self._turn, BLOCKING_EVERY)
        blocking = rounds % len(self._gpus) if rest == BLOCKING_EVERY // 2 else None
        others = self._others([pid for _, pid in ranks]) if slow else {}
        self._turn += 1
        rows = (
            gpu.row(slow=slow, blocking=place == blocking, others=others.get(place))
            for place, gpu in enumerate(self._gpus)
        )
        self._file.write("".join(rows))
        self._file.flush()

    def close(self) -> None:
        """Close the file. NVML stays open: this process may use it elsewhere."""
        self._file.close()

    def _others(self, pids: Sequence[int]) -> dict[int, Values]:
        """By place the processes beside this run and their memory; empty where it cannot be known."""
        listed = {place: found for place, gpu in enumerate(self._gpus) if (found := gpu.processes()) is not None}
        own = family(pids)
        seen = any(process.pid in own for processes in listed.values() for process in processes)
        known = {place: others_on(processes, own, ours_seen=seen) for place, processes in listed.items()}
        return {place: found for place, found in known.items() if found is not None}


class _Gpu:
    """One GPU, and which questions it refuses."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._index = index
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._refusals: dict[str, int] = {}
        self._gpm = Gpm.of(nvml, self._handle)

    def identity(self) -> dict[str, Any]:
        """What tells this GPU from others under any CUDA_VISIBLE_DEVICES; None where refused."""
        nvml, gpu = self._nvml, self._handle
        return {
            "gpu": self._index,
            "uuid": text(lambda: nvml.nvmlDeviceGetUUID(gpu)),
            "pci_bus_id": text(lambda: nvml.nvmlDeviceGetPciInfo(gpu).busId),
            "name": text(lambda: nvml.nvmlDeviceGetName(gpu)),
        }

    def processes(self) -> Sequence[Any] | None:
        """Compute processes on it, each with `pid` and `usedGpuMemory`; None when it refuses."""
        return answer(lambda: list(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)))

    def row(self, *, slow: bool, blocking: bool, others: Values | None) -> str:
        """One line of device.csv."""
        cells = {"t_ns": str(time.time_ns()), "gpu": str(self._index)}
        for names, read in (*FAST, *SLOW) if slow else FAST:
            cells.update(self._ask(names, read))
        if others is not None:
            cells.update(zip(OTHERS, map(_cell, others), strict=True))
        if self._gpm is not None:
            try:
                cells.update(self._gpm.read())
            except Exception:
                self._gpm = None
        elif blocking:
            for names, read in BLOCKING:
                cells.update(self._ask(names, read))
        return ",".join(cells.get(column, "") for column in COLUMNS) + "\n"

    def _ask(self, names: tuple[str, ...], read: Reader) -> dict[str, str]:
        refused = self._refusals.get(names[0], 0)
        if refused >= GIVE_UP_AFTER:
            return {}
        try:
            values = read(self._nvml, self._handle)
        except Exception:
            self._refusals[names[0]] = refused + 1
            return {}
        self._refusals[names[0]] = 0
        return dict(zip(names, map(_cell, values), strict=True))


def _cell(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(int(value))
