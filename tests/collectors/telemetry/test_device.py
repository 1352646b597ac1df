"""Device telemetry: what a GPU answers is written, what it refuses stays empty."""

from __future__ import annotations

import csv
import json
import os
import re
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
                self.metrics = [types.SimpleNamespace(metricId=0, value=0.0, nvmlReturn=0) for _ in range(16)]

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
    source = "".join(path.read_text() for path in Path(module.__file__).parent.glob("*.py"))
    used = set(re.findall(r"nvml\.(\w{2,})", source)) | set(re.findall(r'"(NVML_\w+|nvml[A-Z]\w+)"', source))
    assert len(used) > 40
    assert {name for name in used if not hasattr(nvml, name)} == set()


class TestOfAnH200:
    """Against a library with the answers of an H200."""

    @pytest.fixture
    def node(self):
        pytest.importorskip("pynvml")
        from tests.collectors.telemetry.fake_nvml import Node

        return Node(2)

    @pytest.fixture
    def rows(self, node, tmp_path, monkeypatch):
        from tests.collectors.telemetry.fake_nvml import library

        def sample(times: int, ranks: list[tuple[int, int]]) -> list[dict[str, str]]:
            monkeypatch.setitem(sys.modules, "pynvml", library(node))
            telemetry = DeviceTelemetry(tmp_path)
            for _ in range(times):
                telemetry.sample(ranks)
            telemetry.close()
            return list(csv.DictReader((tmp_path / "device.csv").read_text().splitlines()))

        return sample

    def test_every_column_is_filled_in_the_first_sample(self, node, rows):
        node.processes = {0: [(os.getpid(), 1 << 30), (1, 2 << 30)]}
        row = rows(1, [(0, os.getpid())])[0]
        assert {column for column, value in row.items() if value == ""} == set()
        expected = {
            "gpu_util": "90",
            "mem_util": "40",
            "power_w": "650.5",
            "sm_mhz": "1755",
            "throttle_reasons": "36",
            "pcie_gen": "5",
            "pcie_width": "8",
            "ecc_corrected": "3",
            "ecc_uncorrected": "0",
            "power_limit_w": "700",
            "power_violation_ns": "1000",
            "thermal_violation_ns": "2000",
            "other_processes": "1",
            "other_mem_bytes": str(2 << 30),
            "sm_active": "2",
            "fp32_active": "12",
        }
        assert {name: row[name] for name in expected} == expected

    def test_traffic_is_in_bytes(self, rows):
        row = rows(1, [(0, 1)])[0]
        assert float(row["pcie_tx_bytes_per_s"]) == pytest.approx(20 * 2**20, rel=1e-5)
        assert float(row["nvlink_rx_bytes_per_s"]) == pytest.approx(60 * 2**20, rel=1e-5)

    def test_what_hardly_changes_is_asked_every_tenth_time(self, node, rows):
        rows(20, [(0, 1)])
        assert node.calls.count("nvmlDeviceGetPowerUsage") == 40
        assert node.calls.count("nvmlDeviceGetCurrPcieLinkWidth") == 4

    def test_one_question_fills_two_columns(self, node, rows):
        rows(1, [(0, 1)])
        assert node.calls.count("nvmlDeviceGetUtilizationRates") == 2  # one a GPU

    def test_with_gpm_nothing_blocks(self, node, rows):
        rows(120, [(0, 1)])
        assert "nvmlDeviceGetPcieThroughput" not in node.calls

    def test_without_gpm_pcie_traffic_is_asked_seldom_and_of_one_gpu_at_a_time(self, node, rows):
        node.refused = frozenset({"nvmlGpmQueryDeviceSupport"})
        found = rows(100, [(0, 1)])
        asked = [row for row in found if row["pcie_tx_bytes_per_s"]]
        assert [row["gpu"] for row in asked] == ["0", "1"]
        assert (asked[0]["pcie_tx_bytes_per_s"], asked[0]["pcie_rx_bytes_per_s"]) == ("1000000", "2000000")

    def test_processes_of_other_containers_are_unknown_not_zero(self, node, rows):
        node.processes = {0: [(999_999_999, 1 << 30)]}
        first, second = rows(1, [(0, os.getpid())])
        assert first["other_processes"] == ""
        assert second["other_processes"] == "0"  # an empty GPU is empty in any container

    def test_the_older_name_of_the_event_reasons(self, node, rows, monkeypatch):
        from tests.collectors.telemetry import fake_nvml

        node.refused = frozenset({"nvmlDeviceGetCurrentClocksEventReasons"})
        answers = fake_nvml._answers(node)
        older = {**answers, "nvmlDeviceGetCurrentClocksThrottleReasons": lambda gpu: 0x8}
        monkeypatch.setattr(fake_nvml, "_answers", lambda node: older)
        assert rows(1, [(0, 1)])[0]["throttle_reasons"] == "8"

    def test_under_mig_only_what_is_refused_is_unknown(self, node, rows):
        node.refused = frozenset({"nvmlDeviceGetUtilizationRates", "nvmlGpmQueryDeviceSupport"})
        row = rows(1, [(0, 1)])[0]
        assert (row["gpu_util"], row["sm_active"], row["power_w"]) == ("", "", "650.5")
