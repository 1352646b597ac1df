"""Which calls does the process time, and what does it answer? A plan on standard input, lines of JSON in a file.

    python -c ... FILE < {"device": "cuda", "name": "NVIDIA H200", "seconds": 8, "calls": [...]}

The first line is {"device", "torch"} or {"refused"}, each further one {"call": place, "ns"} or {"call": place,
"failed"}: whoever ends this process has all that was written until then.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from llmprof.collectors.timing.clock import time_ns, warm_up
from llmprof.collectors.timing.operands import bytes_of, prepared
from llmprof.timeline.kernel_times import KernelCall, call_of_json

__all__ = ["answers", "main"]

LEAST_FREE = 0.9
"""Share of the device's memory that is free when nobody uses it: contexts and the driver take some."""
MOST_MEMORY = 0.4
MOST_SETS = 8
USUAL_CACHE = 64 << 20
REASON_SIGNS = 160
MOST_KEPT = 16 << 30


def main() -> None:
    """Answer the plan on standard input into the file that the last argument names."""
    plan = json.loads(sys.stdin.read())
    warnings.simplefilter("ignore")
    with open(sys.argv[-1], "w", encoding="utf-8") as file:
        for line in answers(plan):
            file.write(json.dumps(line) + "\n")
            file.flush()


def answers(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of the answer, each as soon as it is known."""
    import torch

    device = str(plan["device"])
    end = time.monotonic() + float(plan["seconds"])
    reason = _why_not(device, plan.get("name"))
    if reason is not None:
        yield {"refused": reason}
        return
    torch.backends.cudnn.benchmark = bool(plan.get("cudnn_benchmark"))
    yield {"device": _name_of(device), "torch": torch.__version__}
    torch.manual_seed(0)
    warm_up(device)
    for place, value in enumerate(plan["calls"]):
        call = call_of_json(value)
        if time.monotonic() > end:
            yield {"call": place, "failed": "there was no time left"}
        elif call is not None:
            yield {"call": place, **_answer(call, device)}


def _answer(call: KernelCall, device: str) -> dict[str, Any]:
    import torch

    try:
        return {"ns": _timed(call, device)}
    except Exception as error:
        return {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:REASON_SIGNS]}
    finally:
        if device.startswith("cuda") and torch.cuda.memory_reserved() > MOST_KEPT:
            torch.cuda.empty_cache()


def _timed(call: KernelCall, device: str) -> float:
    import torch

    size, sets = bytes_of(call), 1
    if device.startswith("cuda"):
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        if size > MOST_MEMORY * free:
            raise MemoryError(f"it needs about {size >> 20} MiB")
        cache = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0) or USUAL_CACHE
        sets = max(1, min(MOST_SETS, math.ceil(2 * cache / max(size, 1))))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = call.number_format == "tf32"
    with torch.set_grad_enabled(call.kind.startswith("attention")):
        return time_ns([prepared(call, device) for _ in range(sets)], device)


def _why_not(device: str, name: object) -> str | None:
    """Why nothing is timed here; None when all is well."""
    import torch

    if not device.startswith("cuda"):
        return None
    if not torch.cuda.is_available():
        return "there is no GPU"
    found = torch.cuda.get_device_name(device)
    if name is not None and found != name:
        return f"the GPU here is {found}"
    free, total = torch.cuda.mem_get_info()
    return None if free >= LEAST_FREE * total else "the memory of the GPU is in use"


def _name_of(device: str) -> str:
    import torch

    return str(torch.cuda.get_device_name(device)) if device.startswith("cuda") else "cpu"
