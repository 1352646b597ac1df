"""Telemetry files become series of the right rank, and damage costs only the rows it is in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llmprof.collectors.files.run_telemetry import NodeTelemetry
from llmprof.timeline.telemetry import Series

T0 = 1_790_000_000_000_000_000
HEADER = "t_ns,gpu,power_w,mem_used_bytes,sm_active"


def device(folder: Path, *rows: str) -> None:
    (folder / "device.csv").write_text("\n".join([HEADER, *rows, ""]))


def named(series: tuple[Series, ...]) -> dict[str, Series]:
    return {one.name: one for one in series}


def read(folder: Path, rank: int = 0, **identity: object) -> dict[str, Series]:
    return named(NodeTelemetry.read(folder, []).of_rank(rank, identity))


def test_samples_in_order_of_time_with_their_unit(tmp_path):
    device(tmp_path, f"{T0 + 1},0,300,5,", f"{T0},0,200,6,")
    power = read(tmp_path)["power_w"]
    assert (power.t_ns.tolist(), power.value.tolist()) == ([T0, T0 + 1], [200, 300])
    assert (power.unit, power.device) == ("W", 0)


def test_columns_in_bytes_have_that_unit(tmp_path):
    device(tmp_path, f"{T0},0,200,6,")
    assert read(tmp_path)["mem_used_bytes"].unit == "B"


def test_an_empty_cell_is_unknown_and_not_zero(tmp_path):
    device(tmp_path, f"{T0},0,200,6,", f"{T0 + 1},0,,6,")
    assert np.isnan(read(tmp_path)["power_w"].value[1])


def test_a_column_that_was_always_refused_is_no_series(tmp_path):
    device(tmp_path, f"{T0},0,200,6,")
    assert "sm_active" not in read(tmp_path)


def test_a_rank_gets_its_own_gpu_by_uuid(tmp_path):
    device(tmp_path, f"{T0},0,100,5,", f"{T0},1,200,6,")
    (tmp_path / "devices.json").write_text(json.dumps([{"gpu": 0, "uuid": "GPU-a"}, {"gpu": 1, "uuid": "GPU-b"}]))
    assert read(tmp_path, uuid="GPU-b")["power_w"].value.tolist() == [200]


def test_a_rank_gets_its_own_gpu_by_bus_without_a_uuid(tmp_path):
    device(tmp_path, f"{T0},0,100,5,", f"{T0},1,200,6,")
    buses = [{"gpu": 0, "pci_bus_id": "00000000:18:00.0"}, {"gpu": 1, "pci_bus_id": "00000000:19:00.0"}]
    (tmp_path / "devices.json").write_text(json.dumps(buses))
    assert read(tmp_path, uuid=None, pci_bus=0x19)["power_w"].device == 1


def test_where_nothing_tells_which_gpu_all_of_the_node_are_given(tmp_path):
    device(tmp_path, f"{T0},0,100,5,", f"{T0},1,200,6,")
    series = NodeTelemetry.read(tmp_path, []).of_rank(0, {})
    assert {one.device for one in series} == {0, 1}


def test_host_lines_go_to_their_rank_also_before_the_header(tmp_path):
    lines = [f"{T0 + 1},1,50", "t_ns,rank,cpu_percent", f"{T0},0,99", f"{T0 + 2},0,101", f"{T0 + 3},0,1"]
    (tmp_path / "host.csv").write_text("\n".join(lines))  # the last line was cut
    assert read(tmp_path, 0)["cpu_percent"].value.tolist() == [99, 101]
    assert read(tmp_path, 1)["cpu_percent"].value.tolist() == [50]


@pytest.mark.parametrize(
    "content", ["", "\n", "a,b\n1,2\n", "t_ns,gpu\nx,y\n1,2,3\n", "\x00\x00\n", f"{HEADER}\n{'9' * 19},0,1,1,1\n"]
)
def test_damage_leaves_no_series(tmp_path, content):
    (tmp_path / "device.csv").write_text(content)
    assert read(tmp_path) == {}


def test_a_damaged_cell_costs_only_itself(tmp_path):
    device(tmp_path, f"{T0},0,abc,6,", f"{T0 + 1},0,200,6,")
    power = read(tmp_path)["power_w"]
    assert np.isnan(power.value[0])
    assert power.value[1] == 200


class TestTheNode:
    """topology.json and the rank's place in it."""

    @pytest.fixture
    def folder(self, tmp_path):
        gpus = [{"index": 0, "numa_node": 0}, {"index": 1, "numa_node": 1, "sm_mhz_max": 1980}]
        (tmp_path / "topology.json").write_text(json.dumps({"schema": 1, "gpus": gpus, "cpu_count": 64}))
        (tmp_path / "devices.json").write_text(json.dumps([{"gpu": 0, "uuid": "GPU-a"}, {"gpu": 1, "uuid": "GPU-b"}]))
        return tmp_path

    def test_the_environment_of_a_rank_knows_its_gpu(self, folder):
        header = {"device": {"uuid": "GPU-b"}, "environment": {"host": "node0"}}
        found = NodeTelemetry.read(folder, []).environment_of(header)
        assert (found.host, found.gpu_index, found.node.cpu_count) == ("node0", 1, 64)
        assert found.node.gpu(found.gpu_index).sm_mhz_max == 1980

    def test_a_gpu_that_nothing_tells_is_unknown(self, folder):
        found = NodeTelemetry.read(folder, []).environment_of({})
        assert found.gpu_index is None
        assert found.node is not None

    def test_a_run_without_the_file_has_no_node(self, tmp_path):
        assert NodeTelemetry.read(tmp_path, []).environment_of({}).node is None

    def test_a_damaged_file_costs_the_topology_and_leaves_a_warning(self, folder):
        (folder / "topology.json").write_text('{"gpus": [')
        warnings: list[str] = []
        assert NodeTelemetry.read(folder, warnings).environment_of({}).node is None
        assert warnings == [f"{folder / 'topology.json'} cannot be read; the topology of this node is unknown."]


def test_traffic_and_counters_have_their_units(tmp_path):
    (tmp_path / "device.csv").write_text(f"t_ns,gpu,pcie_tx_bytes_per_s,power_violation_ns\n{T0},0,5,6\n")
    found = read(tmp_path)
    assert (found["pcie_tx_bytes_per_s"].unit, found["power_violation_ns"].unit) == ("B/s", "ns")


def test_every_column_that_is_sampled_is_read_back(tmp_path):
    from llmprof.collectors.telemetry.device import COLUMNS

    (tmp_path / "device.csv").write_text(f"{','.join(COLUMNS)}\n{T0},0{',1' * (len(COLUMNS) - 2)}\n")
    assert set(read(tmp_path)) == set(COLUMNS) - {"t_ns", "gpu"}
