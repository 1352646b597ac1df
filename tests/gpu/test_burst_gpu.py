"""The burst on a real device: kernels and marks in the trace, and the run as fast after it as before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from llmprof.collectors.files.kineto import read_kineto
from llmprof.timeline.events import Kind

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]

TRAIN = """
import json, sys, time, torch
from pathlib import Path
from llmprof.collectors.live.torch_trace import TorchTrace
from tests.collectors.live.fake_session import FakeSession

layers = [torch.nn.TransformerEncoderLayer(256, 4, 512, batch_first=True, dropout=0.0) for _ in range(12)]
model = torch.nn.Sequential(*layers).cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
data = torch.randn(4, 64, 256, device="cuda")
graph = None

def eager():
    model(data).pow(2).mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)

def step(n):
    begin = time.perf_counter_ns()
    graph.replay() if graph is not None else eager()
    torch.cuda.synchronize()
    walls[n] = time.perf_counter_ns() - begin

walls = {}
for _ in range(20):
    eager()
if "graph" in sys.argv:
    forward = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(forward):
        model(data)
    graph = forward
session = FakeSession(Path(sys.argv[1]), options={"burst_at": 60})
session.train(TorchTrace(), 130, step)
if "again" in sys.argv:
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as own:
        eager()
        torch.cuda.synchronize()
    own.export_chrome_trace(sys.argv[1] + "/own.json")
print(json.dumps({"walls": walls, "trace": session.rank_json.get("trace"), "disarmed": session.disarmed,
                  "phases": session.phases, "error": session.events}))
"""


def train(run: Path, *how: str) -> dict:
    done = subprocess.run([sys.executable, "-c", TRAIN, str(run), *how], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def typical(result: dict, phase: str, skip: int) -> float:
    """Median wall time of the steps of a phase, without its first ones."""
    walls = [result["walls"][n] for n, name in result["phases"].items() if name == phase]
    return median(walls[skip:])


@pytest.fixture(scope="module")
def eager(tmp_path_factory) -> tuple[Path, dict]:
    run = tmp_path_factory.mktemp("eager")
    return run, train(run, "again")


def test_the_trace_has_kernels_of_every_marked_step(eager):
    run, result = eager
    timeline = read_kineto(run / "ranks" / "r00000" / "trace.json")
    assert timeline.marks.number.tolist() == [60, 61, 62, 63] == result["trace"]["steps"]
    kernels = timeline.events.ts[timeline.events.rows(Kind.KERNEL)]
    per_step = [
        ((kernels >= start) & (kernels < end)).sum()
        for start, end in zip(timeline.marks.start_ns, timeline.marks.end_ns, strict=True)
    ]
    assert min(per_step) > 100


def test_the_trace_has_sync_events_and_linked_kernels(eager):
    run, _ = eager
    quality = read_kineto(run / "ranks" / "r00000" / "trace.json").quality
    assert quality.has_sync_events
    assert quality.unlinked_kernel_share < 0.01


def test_names_and_shapes_are_in_the_second_file(eager):
    run, _ = eager
    assert read_kineto(run / "ranks" / "r00000" / "trace_shapes.json").quality.has_shapes


def test_steps_after_the_burst_are_as_fast_as_before(eager):
    _, result = eager
    assert result["trace"]["cupti_torn_down"] is True
    assert typical(result, "after", 10) < 1.10 * typical(result, "baseline", 10)


def test_the_script_can_profile_its_device_afterwards(eager):
    run, _ = eager
    assert read_kineto(run / "own.json").events.rows(Kind.KERNEL).size > 100


def test_replays_of_a_cuda_graph_survive_the_burst(tmp_path):
    result = train(tmp_path, "graph")
    assert not result["disarmed"]
    timeline = read_kineto(tmp_path / "ranks" / "r00000" / "trace.json")
    assert timeline.events.rows(Kind.KERNEL).size > 50
