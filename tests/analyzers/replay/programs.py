"""Small training loops whose timing is known: simulated by the rules of CUDA, and written down as a recording."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.replay.model import Model, model_of
from llmprof.analyzers.replay.what_if import WhatIf
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.builder import TraceBuilder

__all__ = ["GAP", "LAG", "Call", "asked", "record", "simulate", "what_if_of"]

LAG = 3_000
"""From the end of a launch to the begin of its kernel on a free stream."""
GAP = 1_000
"""Between two kernels on one stream."""
WAKE = 2_000
"""From the end of the last kernel to the return of a sync."""


@dataclass(frozen=True)
class Call:
    """The host works, then calls: `launch` (a kernel), `sync` (the device), `copy` (a kernel that blocks the host)."""

    work: int
    what: str
    kernel: int = 0
    stream: int = 7
    call: int = 5_000
    name: str = "ampere_sgemm_128x64_tn"


def simulate(program: list[Call], steps: int, builder: TraceBuilder | None = None) -> float:
    """Run the program `steps` times; the mean distance of the ends of the device's steps. Queues are unbounded."""
    now, free, ends = 100_000, {}, []
    events = 0
    for step in range(steps):
        begin = now
        for call in program:
            now += call.work
            start = now
            if call.what == "launch":
                now += call.call
                kernel = max(now + LAG, free.get(call.stream, -GAP) + GAP)
                free[call.stream] = kernel + call.kernel
                if builder is not None:
                    builder.kernel(
                        call.name,
                        kernel,
                        call.kernel,
                        launch_ns=start,
                        launch_dur_ns=call.call,
                        stream=call.stream,
                    )
            else:
                now = max(now + call.call, max(free.values(), default=0) + WAKE)
                if builder is not None:
                    builder.runtime("cudaDeviceSynchronize", start, now - start)
            events += 1
        ends.append(max(max(free.values(), default=now), 0))
        if builder is not None:
            builder.step(step, begin, now)
    return (ends[-1] - ends[len(ends) // 2]) / (len(ends) - 1 - len(ends) // 2)


def record(program: list[Call], steps: int = 4, **fields: object) -> RankTimeline:
    """The recording of the program."""
    builder = TraceBuilder()
    simulate(program, steps, builder)
    return builder.rank(**fields)


def asked(*ranks: RankTimeline) -> WhatIf:
    """What can be asked of a recording of these ranks, which has to be one that can be replayed."""
    timeline = Timeline(ranks=ranks, kind="kineto", paths=("here",), world_size=len(ranks))
    facts = measure(timeline)
    model = model_of(timeline, facts)
    assert isinstance(model, Model), model
    return WhatIf.of(model, facts)


def what_if_of(builder: TraceBuilder, **fields: object) -> WhatIf:
    """The same of what a builder holds of one rank."""
    return asked(builder.rank(**fields))
