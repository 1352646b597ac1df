"""Settings, topology and telemetry on a real device: plausible where the driver answers, unknown where it refuses."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from llmprof.collectors.files.records import record_of
from llmprof.timeline.cpus import cpu_set
from llmprof.timeline.environment import Environment
from llmprof.timeline.topology import Node

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parents[2]

TRAIN = """
import json, sys, weakref
import torch
from pathlib import Path
from llmprof.collectors.live.configuration import Configuration
from llmprof.collectors.live.models import find_models
from tests.collectors.live.fake_session import FakeSession

torch.backends.cudnn.benchmark = True
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8)).cuda()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
scaler = torch.amp.GradScaler("cuda")
session = FakeSession(Path(sys.argv[1]))
session.optimizers = [weakref.ref(optimizer)]
entered = torch.amp.autocast_mode.autocast.__enter__

def step(n):
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(torch.randn(16, 64, device="cuda")).float().pow(2).mean()
    scaler.scale(loss).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if n == 0:
        session.models = find_models([optimizer])

session.train(Configuration(), 8, step)
print(json.dumps({"rank": session.rank_json, "restored": torch.amp.autocast_mode.autocast.__enter__ is entered}))
"""
BUSY = """
import sys, time, torch
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
print("ready", flush=True)
end = time.time() + float(sys.argv[1])
while time.time() < end:
    for _ in range(20):
        a @ a
    torch.cuda.synchronize()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = str(tmp_path_factory.mktemp("run"))
    done = subprocess.run([sys.executable, "-c", TRAIN, folder], cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    pytest.importorskip("pynvml")
    from llmprof.collectors.telemetry.topology import write_topology

    folder = tmp_path_factory.mktemp("node")
    write_topology(folder)
    found = record_of(Node, json.loads((folder / "topology.json").read_text()))
    if not found.gpus:
        pytest.skip(f"NVML shows no GPU here ({found.unread.get('gpus')})")
    return found


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Lines of the GPU that a child kept busy, which draws the most power, without the first two seconds."""
    pytest.importorskip("pynvml")
    from llmprof.collectors.telemetry.device import DeviceTelemetry

    folder = tmp_path_factory.mktemp("samples")
    child = subprocess.Popen([sys.executable, "-c", BUSY, "9"], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        try:
            telemetry = DeviceTelemetry(folder)
        except Exception as error:
            pytest.skip(f"NVML does not open here ({error})")
        begin = time.monotonic()
        while child.poll() is None and time.monotonic() - begin < 7:
            telemetry.sample([(0, child.pid)])
            time.sleep(0.2)
        telemetry.close()
    finally:
        child.kill()
        child.communicate()
    rows = list(csv.DictReader((folder / "device.csv").read_text().splitlines()))
    busiest = max({row["gpu"] for row in rows}, key=lambda gpu: load([row for row in rows if row["gpu"] == gpu]))
    return [row for row in rows if row["gpu"] == busiest][10:]


def load(rows: list[dict[str, str]]) -> float:
    return sum(known_of(rows, "power_w")) + sum(known_of(rows, "gpu_util"))


def known_of(rows: list[dict[str, str]], column: str) -> list[float]:
    return [float(row[column]) for row in rows if row[column]]


class TestSettings:
    """What the training process tells."""

    def test_what_was_set_is_read(self, trained: dict[str, Any]) -> None:
        found = record_of(Environment, trained["rank"]["environment"])
        assert found.autocast_dtype == "bfloat16"
        assert (found.precision.autocast, found.precision.grad_scaler) == (("cuda bfloat16",), True)
        assert found.precision.cudnn_benchmark is True
        assert (found.optimizers[0].fused, found.optimizers[0].foreach) == (True, False)
        assert found.models[0].name == "Sequential"
        assert trained["restored"]

    def test_versions_and_device(self, trained: dict[str, Any]) -> None:
        import torch

        found = record_of(Environment, trained["rank"]["environment"])
        assert found.device.name == torch.cuda.get_device_properties(0).name
        assert found.device.memory_bytes and found.device.sm_count
        assert found.gpus_per_node == torch.cuda.device_count()
        assert found.gpu_architectures or torch.version.hip
        if found.cudnn_version is not None:
            assert 7 <= int(found.cudnn_version.split(".")[0]) < 30
            assert len(found.cudnn_version.split(".")) == 3

    def test_the_rank_finds_its_gpu_in_the_topology(self, trained: dict[str, Any], node: Node) -> None:
        uuid = trained["rank"]["device"]["uuid"]
        if uuid is None or any(gpu.mig for gpu in node.gpus):
            pytest.skip("this PyTorch does not tell the UUID, or the GPU is divided (MIG)")
        assert uuid in {gpu.uuid for gpu in node.gpus}


class TestTopology:
    """What the node is made of."""

    def test_limits_are_plausible_where_they_are_told(self, node: Node) -> None:
        limits: dict[str, Callable[[Any], bool]] = {
            "memory_bytes": lambda v: 1 << 30 < v < 1 << 42,
            "pcie_gen_max": lambda v: 1 <= v <= 8,
            "pcie_width_max": lambda v: v in (1, 2, 4, 8, 16, 32),
            "sm_mhz_max": lambda v: 300 < v < 5000,
            "mem_mhz_max": lambda v: 300 < v < 30_000,
            "power_limit_w": lambda v: 20 < v < 3000,
            "power_default_w": lambda v: 20 < v < 3000,
            "nvlinks": lambda v: 0 <= v <= 36,
            "numa_node": lambda v: 0 <= v < 256,
            "cpu_affinity": lambda v: len(cpu_set(v)) <= (node.cpu_count or 1 << 16),
        }
        for gpu in node.gpus:
            for name, plausible in limits.items():
                value = getattr(gpu, name)
                assert value is None or plausible(value), (gpu.index, name, value)
            assert gpu.uuid is None or gpu.uuid.startswith(("GPU-", "MIG-"))

    def test_every_pair_is_there_once(self, node: Node) -> None:
        count = min(len(node.gpus), 16)
        assert len({(pair.a, pair.b) for pair in node.pairs}) == len(node.pairs) == count * (count - 1) // 2

    def test_links_between_gpus_are_plausible(self, node: Node) -> None:
        if len(node.gpus) < 2:
            pytest.skip("one GPU has no peer")
        for pair in node.pairs:
            assert pair.ancestor in (None, "board", "switch", "switches", "host-bridge", "numa-node", "system")
            assert pair.nvlinks is None or 0 <= pair.nvlinks <= 36
            assert pair.nvlink in (None, True, False)  # links may be up while peer access is switched off

    def test_what_is_unknown_has_a_reason(self, node: Node) -> None:
        refusable = ("memory_bytes", "pcie_gen_max", "pcie_width_max", "sm_mhz_max", "power_limit_w", "mig", "ecc")
        for name in refusable:
            if any(getattr(gpu, name) is None for gpu in node.gpus):
                assert name in node.unread

    def test_the_driver_tells_its_version(self, node: Node) -> None:
        assert node.driver_version
        assert node.driver_cuda_version is None or float(node.driver_cuda_version) >= 10


class TestTelemetry:
    """What a GPU reports while a matrix product keeps it busy."""

    @pytest.mark.parametrize(
        ("column", "low", "high"),
        [
            ("gpu_util", 20, 100),
            ("power_w", 30, 3000),
            ("temp_c", 10, 120),
            ("sm_mhz", 200, 5000),
            ("mem_mhz", 200, 30_000),
            ("pcie_gen", 1, 8),
            ("pcie_width", 1, 32),
            ("power_limit_w", 20, 3000),
            ("throttle_reasons", 0, 0xFFFF),
            ("ecc_uncorrected", 0, 1e9),
            ("sm_active", 20, 100.5),
            ("sm_occupancy", 0.5, 100.5),
            ("tensor_active", 5, 100.5),
            ("dram_active", 0, 100.5),
            ("fp32_active", 0, 100.5),
            ("pcie_tx_bytes_per_s", 0, 2e11),
            ("pcie_rx_bytes_per_s", 0, 2e11),
            ("nvlink_tx_bytes_per_s", 0, 2e12),
            ("nvlink_rx_bytes_per_s", 0, 2e12),
        ],
    )
    def test_means_are_plausible_where_they_are_told(
        self, samples: list[dict[str, str]], column: str, low: float, high: float
    ) -> None:
        known = known_of(samples, column)
        if not known:
            pytest.skip(f"this device or its driver refuses {column}")
        assert low <= sum(known) / len(known) <= high

    def test_counters_never_fall(self, samples: list[dict[str, str]]) -> None:
        for column in ("power_violation_ns", "thermal_violation_ns", "ecc_corrected", "ecc_uncorrected"):
            known = known_of(samples, column)
            assert known == sorted(known), column

    def test_reasons_have_names(self, samples: list[dict[str, str]]) -> None:
        from llmprof.analyzers.facts.device.hardware import REASONS

        seen = {int(value) for value in known_of(samples, "throttle_reasons")}
        unnamed = {bits for bits in seen if bits & ~sum(REASONS)}
        assert not unnamed

    def test_samples_come_often(self, samples: list[dict[str, str]]) -> None:
        """Asked five times a second, with nothing that blocks on the fast cadence; generous for a busy host."""
        t_ns = [int(row["t_ns"]) for row in samples]
        gaps = sorted(after - before for before, after in pairwise(t_ns))
        assert gaps[len(gaps) // 2] < 600_000_000
