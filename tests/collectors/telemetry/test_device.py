"""Device telemetry: what a GPU answers is written, what it refuses stays empty."""

from __future__ import annotations

import csv
import json
import sys
import types
from pathlib import Path

import pytest

from llmprof.collectors.telemetry import device as module
from llmprof.collectors.telemetry.device import COLUMNS, DeviceTelemetry
from llmprof.errors import NotFoundError


class NVMLError(Exception):
    pass


def stub(*, gpus: int = 1, gpm: bool = False) -> types.ModuleType:
    """A pynvml whose devices answer power, memory and temperature, and refuse the rest."""
    nvml = types.ModuleType("pynvml")

    def refuse(*args: object) -> None:
        raise NVMLError("Not Supported")

    nvml.__getattr__ = lambda name: refuse if name.startswith("nvml") else 0  # type: ignore[method-assign]
    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetCount = lambda: gpus
    nvml.nvmlDeviceGetHandleByIndex = lambda index: index
    nvml.nvmlDeviceGetPowerUsage = lambda gpu: 123_500 + 1000 * gpu
    nvml.nvmlDeviceGetMemoryInfo = lambda gpu: types.SimpleNamespace(used=5 << 30, total=80 << 30)
    nvml.nvmlDeviceGetTemperature = lambda gpu, kind: 0
    nvml.nvmlDeviceGetUUID = lambda gpu: b"GPU-%d" % gpu
    if gpm:
        nvml.nvmlGpmQueryDeviceSupport = lambda gpu: types.SimpleNamespace(isSupportedDevice=1)
        nvml.nvmlGpmSampleAlloc = object
        nvml.nvmlGpmSampleGet = lambda gpu, sample: None
        nvml.NVML_GPM_METRIC_SM_UTIL, nvml.NVML_GPM_METRIC_SM_OCCUPANCY = 2, 3
        nvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL, nvml.NVML_GPM_METRIC_DRAM_BW_UTIL = 5, 10
        nvml.NVML_GPM_METRICS_GET_VERSION = 1

        class Request:
            def __init__(self) -> None:
                self.metrics = [types.SimpleNamespace(metricId=0, value=0.0, nvmlReturn=0) for _ in range(8)]

        def get(request: Request) -> None:
            for metric in request.metrics:
                metric.value, metric.nvmlReturn = metric.metricId * 10.0, 3 if metric.metricId == 5 else 0

        nvml.c_nvmlGpmMetricsGet_t, nvml.nvmlGpmMetricsGet = Request, get
    return nvml


def record(folder: Path, monkeypatch: pytest.MonkeyPatch, library: types.ModuleType) -> list[dict[str, str]]:
    """The lines of eight samples."""
    monkeypatch.setitem(sys.modules, "pynvml", library)
    telemetry = DeviceTelemetry(folder)
    for _ in range(8):
        telemetry.sample([(0, 1)])
    telemetry.close()
    return list(csv.DictReader((folder / "device.csv").read_text().splitlines()))


def test_what_the_device_answers_is_written_also_when_it_is_zero(tmp_path, monkeypatch):
    row = record(tmp_path, monkeypatch, stub())[0]
    assert (row["gpu"], row["power_w"], row["temp_c"]) == ("0", "123.5", "0")
    assert (row["mem_used_bytes"], row["mem_total_bytes"]) == (str(5 << 30), str(80 << 30))


def test_what_the_device_refuses_stays_empty(tmp_path, monkeypatch):
    refused = set(COLUMNS) - {"t_ns", "gpu", "power_w", "temp_c", "mem_used_bytes", "mem_total_bytes"}
    for row in record(tmp_path, monkeypatch, stub()):
        assert {row[column] for column in refused} == {""}


def test_a_field_refused_again_and_again_is_not_asked_for_any_more(tmp_path, monkeypatch):
    library, asked = stub(), []

    def refuse(gpu: int) -> None:
        asked.append(gpu)
        raise NVMLError("Not Supported")

    library.nvmlDeviceGetCurrentClocksThrottleReasons = refuse
    assert len(record(tmp_path, monkeypatch, library)) == 8
    assert len(asked) == 3


def test_gpm_metrics_are_percent_and_one_refused_metric_is_empty(tmp_path, monkeypatch):
    row = record(tmp_path, monkeypatch, stub(gpm=True))[0]
    assert (row["sm_active"], row["sm_occupancy"], row["tensor_active"], row["dram_active"]) == ("20", "30", "", "100")


def test_every_gpu_that_nvml_shows_is_sampled_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [row["gpu"] for row in record(tmp_path, monkeypatch, stub(gpus=2))] == ["0", "1"] * 8
    known = json.loads((tmp_path / "devices.json").read_text())
    assert [(entry["gpu"], entry["uuid"], entry["name"]) for entry in known] == [(0, "GPU-0", None), (1, "GPU-1", None)]


def test_a_second_sampler_appends_to_the_same_table(tmp_path, monkeypatch):
    record(tmp_path, monkeypatch, stub())
    assert len(record(tmp_path, monkeypatch, stub())) == 16


def test_without_a_gpu_there_is_no_file(tmp_path, monkeypatch):
    with pytest.raises(NotFoundError, match="NVML shows no GPU"):
        record(tmp_path, monkeypatch, stub(gpus=0))
    assert list(tmp_path.iterdir()) == []


def test_the_real_library_has_every_name_that_is_used():
    nvml = pytest.importorskip("pynvml")
    used = {*module.GPM.values(), "nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetTotalEccErrors"}
    used |= {"nvmlGpmQueryDeviceSupport", "nvmlGpmMetricsGet", "c_nvmlGpmMetricsGet_t", "NVML_GPM_METRICS_GET_VERSION"}
    used |= {"nvmlDeviceGetCurrPcieLinkGeneration", "nvmlDeviceGetCurrPcieLinkWidth", "nvmlDeviceGetPciInfo"}
    assert {name for name in used if not hasattr(nvml, name)} == set()
