"""A pynvml of H200-like GPUs: the functions and error classes of nvidia-ml-py, answering from plain tables."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import pynvml


class Node:
    """What the fake driver knows; a function whose name is in `refused` raises NOT_SUPPORTED."""

    def __init__(self, gpus: int = 2, *, links: str = "switch", refused: frozenset[str] = frozenset()) -> None:
        self.gpus, self.links, self.refused = gpus, links, refused
        self.processes: dict[int, list[tuple[int, int | None]]] = {}
        self.calls: list[str] = []

    def bus(self, gpu: int) -> str:
        return f"00000000:{0x19 + gpu:02X}:00.0"


def library(node: Node) -> types.ModuleType:
    """A module to put into sys.modules as pynvml."""
    fake = types.ModuleType("pynvml")
    constants = {name: value for name, value in vars(pynvml).items() if name.startswith(("NVML_", "nvmlClocks"))}
    vars(fake).update(constants)
    fake.NVMLError = pynvml.NVMLError  # type: ignore[attr-defined]
    fake.c_nvmlGpmMetricsGet_t = pynvml.c_nvmlGpmMetricsGet_t  # type: ignore[attr-defined]
    for name, function in {**_answers(node), **_links(node), **_gpm()}.items():
        setattr(fake, name, _guarded(node, name, function))
    return fake


def _guarded(node: Node, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        node.calls.append(name)
        if name in node.refused:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return function(*args)

    return call


def _answers(node: Node) -> Mapping[str, Callable[..., Any]]:
    record = types.SimpleNamespace
    return {
        "nvmlInit": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "570.86.15",
        "nvmlSystemGetCudaDriverVersion": lambda: 12080,
        "nvmlDeviceGetCount": lambda: node.gpus,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda gpu: "NVIDIA H200",
        "nvmlDeviceGetUUID": lambda gpu: f"GPU-{gpu:08d}",
        "nvmlDeviceGetPciInfo": lambda gpu: record(busId=node.bus(gpu)),
        "nvmlDeviceGetMemoryInfo": lambda gpu: record(used=5 << 30, total=141 << 30),
        "nvmlDeviceGetUtilizationRates": lambda gpu: record(gpu=90, memory=40),
        "nvmlDeviceGetPowerUsage": lambda gpu: 650_500,
        "nvmlDeviceGetTemperature": lambda gpu, kind: 61,
        "nvmlDeviceGetClockInfo": lambda gpu, kind: {1: 1755, 2: 3201}[kind],
        "nvmlDeviceGetMaxClockInfo": lambda gpu, kind: {1: 1980, 2: 3201}[kind],
        "nvmlDeviceGetCurrentClocksEventReasons": lambda gpu: 0x24,
        "nvmlDeviceGetCurrPcieLinkGeneration": lambda gpu: 5,
        "nvmlDeviceGetCurrPcieLinkWidth": lambda gpu: 8,
        "nvmlDeviceGetMaxPcieLinkGeneration": lambda gpu: 5,
        "nvmlDeviceGetMaxPcieLinkWidth": lambda gpu: 16,
        "nvmlDeviceGetTotalEccErrors": lambda gpu, kind, counter: {0: 3, 1: 0}[kind],
        "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 700_000,
        "nvmlDeviceGetPowerManagementDefaultLimit": lambda gpu: 700_000,
        "nvmlDeviceGetViolationStatus": lambda gpu, policy: record(violationTime=1000 * (policy + 1)),
        "nvmlDeviceGetPcieThroughput": lambda gpu, direction: 1000 * (direction + 1),
        "nvmlDeviceGetCpuAffinity": lambda gpu, words: [0b1111 << 4 * gpu] + [0] * (words - 1),
        "nvmlDeviceGetMigMode": lambda gpu: [0, 0],
        "nvmlDeviceGetEccMode": lambda gpu: [1, 1],
        "nvmlDeviceGetPersistenceMode": lambda gpu: 1,
        "nvmlDeviceGetTopologyCommonAncestor": lambda a, b: 30 if abs(a - b) == 1 else 50,
        "nvmlDeviceGetP2PStatus": lambda a, b, index: 0 if node.links else 5,
        "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [
            record(pid=pid, usedGpuMemory=held) for pid, held in node.processes.get(gpu, [])
        ],
    }


def _links(node: Node) -> Mapping[str, Callable[..., Any]]:
    """18 links a GPU, to a switch or, with `direct`, half of them to each neighbour in a ring; one of all is down."""

    def state(gpu: int, link: int) -> int:
        if not node.links or link >= 18:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return 0 if link == 17 else 1

    def other_end(gpu: int, link: int) -> Any:
        other = (gpu + (1 if link < 9 else -1)) % node.gpus
        return types.SimpleNamespace(busId=node.bus(other))

    return {
        "nvmlDeviceGetNvLinkState": state,
        "nvmlDeviceGetNvLinkRemoteDeviceType": lambda gpu, link: 2 if node.links == "switch" else 0,
        "nvmlDeviceGetNvLinkRemotePciInfo": other_end,
    }


def _gpm() -> Mapping[str, Callable[..., Any]]:
    def metrics(request: Any) -> None:
        for place in range(request.numMetrics):
            metric = request.metrics[place]
            metric.value, metric.nvmlReturn = float(metric.metricId), 0

    return {
        "nvmlGpmQueryDeviceSupport": lambda gpu: types.SimpleNamespace(isSupportedDevice=1),
        "nvmlGpmSampleAlloc": lambda: None,
        "nvmlGpmSampleGet": lambda gpu, sample: None,
        "nvmlGpmMetricsGet": metrics,
    }
