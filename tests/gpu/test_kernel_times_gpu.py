"""Do the times of single kernels lie between the physical bounds of a real device, and only of an idle one?

python -m pytest -m gpu tests/gpu/test_kernel_times_gpu.py
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llmprof.analyzers.facts.device.devices import find_device
from llmprof.collectors.timing.starting import time_kernels
from llmprof.timeline.kernel_times import KernelCall, KernelTimes

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(180)]

FP32 = KernelCall(kind="product", dims=((8192, 4096), (4096, 4096)), number_format="fp32", way="nt")
TF32, BF16 = (replace(FP32, number_format=one) for one in ("tf32", "bf16"))
FLOPS = 2 * 8192 * 4096 * 4096
TINY = replace(BF16, dims=((64, 64), (64, 64)))
IMAGE = ((64, 128, 56, 56), (128, 128, 3, 3), (64, 128, 56, 56))
CONVOLUTIONS = [
    KernelCall(kind=kind, dims=IMAGE, number_format="bf16", way=way, stride=(1, 1), padding=(1, 1))
    for kind in ("convolution", "convolution_backward")
    for way in ("nchw", "nhwc")
]
HEADS = ((4, 16, 2048, 128),) * 3
ATTENTION = [
    KernelCall(kind="attention_both", dims=HEADS, number_format="bf16", way=way, causal=True)
    for way in ("written", "flash", "fused")
]
BUSY = """
import sys, torch
some = torch.empty(int(0.3 * torch.cuda.mem_get_info()[1]), dtype=torch.uint8, device="cuda")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def name() -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return str(torch.cuda.get_device_name())


@pytest.fixture(scope="module")
def times(name: str, tmp_path_factory: pytest.TempPathFactory) -> KernelTimes:
    calls = [FP32, TF32, BF16, TINY, *CONVOLUTIONS, *ATTENTION]
    found = time_kernels(tmp_path_factory.mktemp("run"), calls, name=name, python=sys.executable)
    assert isinstance(found, KernelTimes), found
    assert not found.failed
    return found


@pytest.mark.parametrize("call", [FP32, TF32, BF16], ids=["fp32", "tf32", "bf16"])
def test_no_product_is_faster_than_the_peak_or_slower_than_a_third_of_it(
    name: str, times: KernelTimes, call: KernelCall
) -> None:
    """What a large aligned product reaches on a data-centre GPU is between; a wrong format is outside."""
    peaks = find_device(name, None)
    if peaks is None or call.number_format not in peaks.flops:
        pytest.skip(f"the peak of {name} is not known")
    share = FLOPS / times.ns[call] * 1e9 / peaks.flops[call.number_format]
    assert 0.33 < share < 1.05


def test_a_faster_format_is_faster_by_no_more_than_its_peak(name: str, times: KernelTimes) -> None:
    """Tensor cores beat CUDA cores severalfold, and bf16 beats TF32, but by little more than the peaks' ratio."""
    peaks = find_device(name, None)
    if peaks is None or "bf16" not in peaks.flops:
        pytest.skip(f"the peaks of {name} are not known")
    ratio = peaks.flops["bf16"] / peaks.flops["fp32"]
    assert times.ns[FP32] > times.ns[TF32] > times.ns[BF16]
    assert 0.4 * ratio < times.ns[FP32] / times.ns[BF16] < 1.3 * ratio


def test_the_launch_is_no_part_of_the_time_of_a_small_kernel(times: KernelTimes) -> None:
    """A product of 64 x 64 runs for some microseconds on any GPU; from Python a launch takes as long or longer."""
    assert 500 < times.ns[TINY] < 8_000


def test_bf16_convolutions_read_images_in_channels_last_as_they_lie(times: KernelTimes) -> None:
    for last, first in zip(CONVOLUTIONS[1::2], CONVOLUTIONS[::2], strict=True):
        assert times.ns[last] < 1.05 * times.ns[first]


def test_fused_attention_beats_attention_that_is_written_out(times: KernelTimes) -> None:
    written, flash, fused = (times.ns[call] for call in ATTENTION)
    assert flash < 0.6 * written
    assert fused < 1.2 * flash


def test_the_same_call_takes_the_same_time_again(name: str, times: KernelTimes, tmp_path: Path) -> None:
    again = time_kernels(tmp_path, [BF16, FP32], name=name, python=sys.executable)
    assert isinstance(again, KernelTimes)
    for call in (BF16, FP32):
        assert again.ns[call] == pytest.approx(times.ns[call], rel=0.15)


def test_another_gpu_and_one_in_use_are_refused(name: str, tmp_path: Path) -> None:
    assert "the GPU here is" in str(time_kernels(tmp_path, [BF16], name="GeForce 256", python=sys.executable))
    other = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert time_kernels(tmp_path, [BF16], name=name, python=sys.executable) == "the memory of the GPU is in use"
    finally:
        other.communicate("")
