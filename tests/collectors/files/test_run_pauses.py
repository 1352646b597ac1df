"""Do noted collections stand in the trace where they happened, and does everything else stay as it was?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.collectors.files.run_lines import Record
from llmprof.collectors.files.run_pauses import GC, with_collections
from llmprof.timeline.events import NONE, Kind
from llmprof.timeline.steps import NO_STEPS
from llmprof.timeline.timeline import RankTimeline
from tests.scenarios.builder import TraceBuilder

STEP = 50_000_000
PAUSE = 20_000_000


def traced() -> RankTimeline:
    """Two steps of 50 ms, with a kernel at the begin and at the end of each."""
    builder = TraceBuilder()
    for step in range(2):
        begin = step * STEP
        for at in (begin + 1_000_000, begin + 45_000_000):
            builder.op("aten::mm", at - 10_000, 30_000, shapes=([[4, 4], [4, 4]], ["float", "float"]))
            builder.kernel("gemm_bf16", at + 8_000, 20_000, launch_ns=at)
        builder.step(step, begin, begin + STEP)
    return builder.rank()


def note(timeline: RankTimeline, ends: int, ns: int = PAUSE, kind: str = "gc") -> Record:
    return {"kind": kind, "t": timeline.origin_ns + ends, "ns": ns, "generation": 2, "step": 0}


def test_a_collection_stands_on_the_thread_that_trains_up_to_the_moment_at_which_it_was_noted() -> None:
    plain = traced()
    events = with_collections(plain, [note(plain, STEP + 40_000_000), note(plain, 30_000_000)]).events
    assert events is not None
    rows = np.flatnonzero(events.name == events.strings.find(GC))
    assert events.ts[rows].tolist() == [10_000_000, STEP + 20_000_000]
    assert events.dur[rows].tolist() == [PAUSE, PAUSE]
    assert set(events.kind[rows].tolist()) == {Kind.ANNOTATION}
    marks = events.rows(Kind.ANNOTATION)
    assert len(set(events.lane[marks].tolist())) == 1
    assert (np.diff(events.ts) >= 0).all()


def test_launches_and_shapes_stay_with_their_rows() -> None:
    plain = traced()
    before, after = plain.events, with_collections(plain, [note(plain, 30_000_000)]).events
    assert before is not None and after is not None
    assert len(after) == len(before) + 1
    kernels = after.rows(Kind.KERNEL)
    assert [after.ts[after.launch[row]] for row in kernels] == [1_000_000, 45_000_000, 51_000_000, 95_000_000]
    assert [after.ts[row] for row in after.shapes] == [before.ts[row] for row in before.shapes]
    assert (after.launch[after.kind == Kind.ANNOTATION] == NONE).all()


@pytest.mark.parametrize(
    ("ends", "ns", "kind"),
    [
        (3 * STEP, PAUSE, "gc"),
        (10_000_000, PAUSE, "gc"),
        (30_000_000, 0, "gc"),
        (30_000_000, -5, "gc"),
        (30_000_000, PAUSE, "checkpoint"),
    ],
)
def test_what_lies_outside_of_the_steps_or_is_no_collection_is_left_out(ends: int, ns: int, kind: str) -> None:
    plain = traced()
    assert with_collections(plain, [note(plain, ends, ns, kind)]) is plain


def test_a_damaged_note_and_steps_without_marks_change_nothing() -> None:
    plain = traced()
    assert with_collections(plain, [{"kind": "gc", "t": "soon", "ns": None}]) is plain
    unmarked = replace(plain, marks=NO_STEPS)
    assert with_collections(unmarked, [note(plain, 30_000_000)]) is unmarked
