"""Device telemetry: what a GPU refuses stays empty, and nothing is sampled twice on a node."""

from __future__ import annotations

import csv
import json
import sys
import time
import types
from pathlib import Path

import pytest

from llmprof.collectors.live import nvml as module
from llmprof.collectors.live.nvml import COLUMNS, DeviceTelemetry
from tests.collectors.live.fake_session import FakeSession


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


def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: types.ModuleType, **session: int) -> FakeSession:
    """Sample until three rounds are written."""
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(module, "INTERVAL_S", 0.001)
    fake = FakeSession(tmp_path, **session)
    collector = DeviceTelemetry()
    collector.start(fake)
    deadline = time.monotonic() + 5
    while len(rows(fake)) < 8 and collector._thread is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    collector.stop()
    return fake


def rows(session: FakeSession) -> list[dict[str, str]]:
    path = session.node_dir / "device.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def test_what_the_device_answers_is_written_also_when_it_is_zero(tmp_path, monkeypatch):
    row = rows(record(tmp_path, monkeypatch, stub()))[0]
    assert (row["gpu"], row["power_w"], row["temp_c"]) == ("0", "123.5", "0")
    assert (row["mem_used_bytes"], row["mem_total_bytes"]) == (str(5 << 30), str(80 << 30))


def test_what_the_device_refuses_stays_empty(tmp_path, monkeypatch):
    refused = set(COLUMNS) - {"t_ns", "gpu", "power_w", "temp_c", "mem_used_bytes", "mem_total_bytes"}
    for row in rows(record(tmp_path, monkeypatch, stub())):
        assert {row[column] for column in refused} == {""}


def test_a_field_refused_again_and_again_is_not_asked_for_any_more(tmp_path, monkeypatch):
    library, asked = stub(), []

    def refuse(gpu: int) -> None:
        asked.append(gpu)
        raise NVMLError("Not Supported")

    library.nvmlDeviceGetCurrentClocksThrottleReasons = refuse
    session = record(tmp_path, monkeypatch, library)
    assert len(rows(session)) >= 8
    assert len(asked) == 3


def test_gpm_metrics_are_percent_and_one_refused_metric_is_empty(tmp_path, monkeypatch):
    row = rows(record(tmp_path, monkeypatch, stub(gpm=True)))[0]
    assert (row["sm_active"], row["sm_occupancy"], row["tensor_active"], row["dram_active"]) == ("20", "30", "", "100")


def test_every_gpu_that_nvml_shows_is_sampled_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    session = record(tmp_path, monkeypatch, stub(gpus=2))
    assert {row["gpu"] for row in rows(session)} == {"0", "1"}
    known = json.loads((session.node_dir / "devices.json").read_text())
    assert [(entry["gpu"], entry["uuid"], entry["name"]) for entry in known] == [(0, "GPU-0", None), (1, "GPU-1", None)]


def test_only_local_rank_0_samples(tmp_path, monkeypatch):
    session = record(tmp_path, monkeypatch, stub(), rank=1, local_rank=1, world_size=2)
    assert rows(session) == []
    assert session.statuses == {}


def test_without_a_driver_the_collector_is_absent_and_says_why(tmp_path, monkeypatch):
    library = stub()

    def fail() -> None:
        raise NVMLError("Driver Not Loaded")

    library.nvmlInit = fail
    session = record(tmp_path, monkeypatch, library)
    assert session.statuses["nvml"] == ("absent", "no device telemetry: NVMLError: Driver Not Loaded")


def test_the_real_library_has_every_name_that_is_used():
    nvml = pytest.importorskip("pynvml")
    used = {*module.GPM.values(), "nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetTotalEccErrors"}
    used |= {"nvmlGpmQueryDeviceSupport", "nvmlGpmMetricsGet", "c_nvmlGpmMetricsGet_t", "NVML_GPM_METRICS_GET_VERSION"}
    used |= {"nvmlDeviceGetCurrPcieLinkGeneration", "nvmlDeviceGetCurrPcieLinkWidth", "nvmlDeviceGetPciInfo"}
    assert {name for name in used if not hasattr(nvml, name)} == set()
