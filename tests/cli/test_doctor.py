"""Does `llmprof doctor` tell what can be recorded here, on any machine?"""

from __future__ import annotations

import json
import sys

import pytest

from llmprof.cli import doctor
from tests.cli.conftest import InProcess, Llmprof


def test_every_capability_is_reported_for_people_and_as_json(llmprof: Llmprof, in_process: InProcess) -> None:
    document = json.loads(llmprof("doctor", "--json").stdout)
    names = [check["name"] for check in document["checks"]]
    assert {"Python", "PyTorch", "CUDA in PyTorch", "NVML", "GPM", "Nsight Systems"} <= set(names)
    done = in_process("doctor")
    assert done.returncode == 0
    assert all(name in done.stdout for name in names)


def test_a_capability_that_breaks_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("the planted fault")

    monkeypatch.setattr(doctor, "_nvml", broken)
    found = {check.name: check for check in doctor.checks()}
    assert found["NVML"].status == "unknown"
    assert "the planted fault" in found["NVML"].detail
    assert found["Python"].status == "ok"


def test_what_is_missing_comes_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    nsight = next(check for check in doctor.checks() if check.name == "Nsight Systems")
    assert nsight.status == "missing"
    assert nsight.remedy is not None


def test_the_host_tells_its_cores() -> None:
    found = {check.name: check for check in doctor.checks()}
    assert found["Host"].status == "ok"
    assert "cores usable" in found["Host"].detail


def test_the_topology_of_gpus_names_their_links_and_what_the_driver_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pynvml")
    from tests.collectors.telemetry.fake_nvml import Node, library

    node = Node(2, refused=frozenset({"nvmlDeviceGetMigMode"}))
    monkeypatch.setitem(sys.modules, "pynvml", library(node))
    found = {check.name: check for check in doctor.checks()}["Topology"]
    assert found.status == "ok"
    assert "2 GPU(s), 17 NVLinks between any two" in found.detail
    assert "refused: " in found.detail and "mig" in found.detail
