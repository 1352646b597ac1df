"""What would a GPU have recorded of this step? A real step of PyTorch on the CPU, given a kernel for each operator.

The operators, their nesting and their shapes are PyTorch's own, recorded with shapes; only the device is invented: each
outermost operator whose work can be counted launches one kernel of a length that the test chooses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmprof.analyzers.facts.operators.op_bytes import countable
from llmprof.collectors.files.kineto import read_kineto
from llmprof.collectors.files.kineto_arguments import shapes
from llmprof.timeline.timeline import RankTimeline

KERNELS = {
    "mm": "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_NTN",
    "addmm": "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_bias_TNT",
    "bmm": "nvjet_sm90_tst_64x64_64x4_1x1_v_bz_TNT",
    "_softmax": "cunn_SoftMaxForward",
    "_softmax_backward_data": "cunn_SoftMaxBackward",
    "_log_softmax": "cunn_SoftMaxForward<LogSoftMaxForwardEpilogue>",
    "_log_softmax_backward_data": "cunn_SoftMaxBackward<LogSoftMaxBackwardEpilogue>",
    "copy_": "at::native::direct_copy_kernel_cuda",
    "native_layer_norm": "vectorized_layer_norm_kernel",
    "convolution": "sm90_xmma_fprop_implicit_gemm_bf16bf16",
    "convolution_backward": "sm90_xmma_dgrad_implicit_gemm_bf16bf16",
    "embedding": "vectorized_gather_kernel",
}
"""Kernel names by operator; what is not here is elementwise."""

Length = Callable[[str, str], float]
"""µs of the kernel of an operator with these shapes."""


def launched(step: Callable[[], None], folder: Path, length: Length, *, steps: int = 1) -> RankTimeline:
    """Record `step` on the CPU and give each operator a kernel."""
    import torch

    step()
    marks = []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profiler:
        for number in range(steps):
            with torch.profiler.record_function(f"ProfilerStep#{number}"):
                step()
            marks.append(number)
    path = folder / "cpu.json"
    profiler.export_chrome_trace(str(path))
    trace = json.loads(path.read_text())
    trace["traceEvents"] += _kernels([one for one in trace["traceEvents"] if one.get("cat") == "cpu_op"], length)
    trace["deviceProperties"] = [
        {"id": 0, "name": "NVIDIA H200", "totalGlobalMem": 150109880320, "computeMajor": 9, "computeMinor": 0,
         "numSms": 132}
    ]  # fmt: skip
    path = folder / "trace.json"
    path.write_text(json.dumps(trace))
    return read_kineto(path)


def _kernels(operators: list[dict[str, Any]], length: Length) -> list[dict[str, Any]]:
    """A launch in each outermost countable operator and its kernel; the device takes them one after the other."""
    chosen = [one for one in operators if countable(one["name"]) and shapes(one["args"])]
    chosen.sort(key=lambda one: (one["ts"], -one["dur"]))
    outer: list[dict[str, Any]] = []
    until: dict[Any, float] = {}
    for one in chosen:
        if float(one["ts"]) >= until.get(one["tid"], 0.0):
            outer.append(one)
            until[one["tid"]] = float(one["ts"]) + float(one["dur"])
    result: list[dict[str, Any]] = []
    free = 0.0
    for number, one in enumerate(outer, 1):
        at = float(one["ts"])
        name = one["name"].removeprefix("aten::")
        lasts = length(one["name"], shapes(one["args"]) or "")
        free = max(free, at + 1.0)
        result.append(
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": one["pid"], "tid": one["tid"],
             "ts": at, "dur": 0.001, "args": {"correlation": number}}
        )  # fmt: skip
        result.append(
            {"ph": "X", "cat": "kernel", "name": KERNELS.get(name, "vectorized_elementwise_kernel"), "pid": 0, "tid": 7,
             "ts": free, "dur": lasts, "args": {"correlation": number, "stream": 7, "device": 0}}
        )  # fmt: skip
        free += lasts
    return result
