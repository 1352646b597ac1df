"""What do the units of a GPU do without a profiler? GPU performance monitoring (GPM) of Hopper and newer, by NVML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["COLUMNS", "Gpm"]

MIB = 1 << 20
COLUMNS: Mapping[str, tuple[str, int]] = {
    "sm_active": ("NVML_GPM_METRIC_SM_UTIL", 1),
    "sm_occupancy": ("NVML_GPM_METRIC_SM_OCCUPANCY", 1),
    "tensor_active": ("NVML_GPM_METRIC_ANY_TENSOR_UTIL", 1),
    "dram_active": ("NVML_GPM_METRIC_DRAM_BW_UTIL", 1),
    "fp16_active": ("NVML_GPM_METRIC_FP16_UTIL", 1),
    "fp32_active": ("NVML_GPM_METRIC_FP32_UTIL", 1),
    "fp64_active": ("NVML_GPM_METRIC_FP64_UTIL", 1),
    "pcie_tx_bytes_per_s": ("NVML_GPM_METRIC_PCIE_TX_PER_SEC", MIB),
    "pcie_rx_bytes_per_s": ("NVML_GPM_METRIC_PCIE_RX_PER_SEC", MIB),
    "nvlink_tx_bytes_per_s": ("NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC", MIB),
    "nvlink_rx_bytes_per_s": ("NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC", MIB),
}
"""By column the metric and what one unit of it is; activity is in percent, traffic in MiB a second (nvml.h)."""


class Gpm:
    """One GPU: means between two samples."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._old, self._new = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
        nvml.nvmlGpmSampleGet(handle, self._new)
        self._metrics = {
            column: (int(metric), unit)
            for column, (constant, unit) in COLUMNS.items()
            if (metric := getattr(nvml, constant, None)) is not None
        }

    @classmethod
    def of(cls, nvml: Any, handle: Any) -> Gpm | None:
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
        for place, (metric, _) in enumerate(self._metrics.values()):
            request.metrics[place].metricId = metric
        self._nvml.nvmlGpmMetricsGet(request)
        cells = {}
        for place, (column, (_, unit)) in enumerate(self._metrics.items()):
            got = request.metrics[place]
            known = got.nvmlReturn == 0 and got.value == got.value  # NaN: no reading in this interval
            cells[column] = f"{got.value * unit:.6g}" if known else ""
        return cells
