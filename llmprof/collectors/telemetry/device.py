"""What do the GPUs of this node report about themselves? NVML and GPM samples of all GPUs that NVML shows.

Every field is asked for on its own: one that the device refuses stays empty in device.csv, which means unknown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from llmprof.errors import NotFoundError
from llmprof.timeline.rundir import write_text_atomic

__all__ = ["COLUMNS", "DeviceTelemetry"]

SLOW_EVERY = 10
"""Fields that hardly change are read every tenth time."""
GIVE_UP_AFTER = 3
"""A field refused this often in a row is not asked for again."""

Reader = Callable[[Any, Any], float | int]
"""(pynvml, device handle) to a number; raises where the device refuses."""

FAST: Mapping[str, Reader] = {
    "gpu_util": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "mem_util": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).memory,
    "mem_used_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "mem_total_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temp_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "mem_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "throttle_reasons": lambda nvml, gpu: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
}
SLOW: Mapping[str, Reader] = {
    "pcie_gen": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),
    "pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
    "ecc_uncorrected": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEccErrors(
        gpu, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    ),
}
GPM: Mapping[str, str] = {
    "sm_active": "NVML_GPM_METRIC_SM_UTIL",
    "sm_occupancy": "NVML_GPM_METRIC_SM_OCCUPANCY",
    "tensor_active": "NVML_GPM_METRIC_ANY_TENSOR_UTIL",
    "dram_active": "NVML_GPM_METRIC_DRAM_BW_UTIL",
}
COLUMNS = ("t_ns", "gpu", *FAST, *SLOW, *GPM)


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
        self._turn += 1
        self._file.write("".join(gpu.row(slow=slow) for gpu in self._gpus))
        self._file.flush()

    def close(self) -> None:
        """Close the file. NVML stays open: this process may use it elsewhere."""
        self._file.close()


class _Gpu:
    """One GPU, and which of its fields it refuses."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._index = index
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._refusals: dict[str, int] = {}
        self._gpm = _Gpm.of(nvml, self._handle)

    def identity(self) -> dict[str, Any]:
        """What tells this GPU from others under any CUDA_VISIBLE_DEVICES; None where refused."""
        nvml, gpu = self._nvml, self._handle
        return {
            "gpu": self._index,
            "uuid": _text(lambda: nvml.nvmlDeviceGetUUID(gpu)),
            "pci_bus_id": _text(lambda: nvml.nvmlDeviceGetPciInfo(gpu).busId),
            "name": _text(lambda: nvml.nvmlDeviceGetName(gpu)),
        }

    def row(self, *, slow: bool) -> str:
        """One line of device.csv."""
        cells = {"t_ns": str(time.time_ns()), "gpu": str(self._index)}
        for column, read in {**FAST, **SLOW}.items() if slow else FAST.items():
            cells[column] = self._ask(column, read)
        if self._gpm is not None:
            try:
                cells.update(self._gpm.read())
            except Exception:
                self._gpm = None
        return ",".join(cells.get(column, "") for column in COLUMNS) + "\n"

    def _ask(self, column: str, read: Reader) -> str:
        refused = self._refusals.get(column, 0)
        if refused >= GIVE_UP_AFTER:
            return ""
        try:
            value = read(self._nvml, self._handle)
        except Exception:
            self._refusals[column] = refused + 1
            return ""
        self._refusals[column] = 0
        return f"{value:g}" if isinstance(value, float) else str(int(value))


class _Gpm:
    """GPU performance monitoring: mean activity between two samples, in percent, without a profiler."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._old, self._new = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
        nvml.nvmlGpmSampleGet(handle, self._new)
        self._metrics = {column: int(getattr(nvml, constant)) for column, constant in GPM.items()}

    @classmethod
    def of(cls, nvml: Any, handle: Any) -> _Gpm | None:
        """None where the device or the library has no GPM (before Hopper, or under MIG)."""
        try:
            supported = nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice
            return cls(nvml, handle) if supported else None
        except Exception:
            return None

    def read(self) -> dict[str, str]:
        """Cells by column since the last call; empty where the metric was refused."""
        self._old, self._new = self._new, self._old
        self._nvml.nvmlGpmSampleGet(self._handle, self._new)
        request = self._nvml.c_nvmlGpmMetricsGet_t()
        request.version = self._nvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(self._metrics)
        request.sample1, request.sample2 = self._old, self._new
        for place, metric in enumerate(self._metrics.values()):
            request.metrics[place].metricId = metric
        self._nvml.nvmlGpmMetricsGet(request)
        answers = [request.metrics[place] for place in range(len(self._metrics))]
        return {
            column: "" if answer.nvmlReturn != 0 or answer.value != answer.value else f"{answer.value:g}"
            for column, answer in zip(self._metrics, answers, strict=True)
        }


def _text(read: Callable[[], Any]) -> str | None:
    try:
        value = read()
    except Exception:
        return None
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
