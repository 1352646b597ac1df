"""Does a kernel of sends and receives have the messages that the host noted for it, and no others?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmprof.analyzers.facts.communication.messages import is_sent, messages_of
from llmprof.timeline.events import CollectiveCall, Kind
from tests.scenarios.builder import TraceBuilder

KERNEL = "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)"


def call(name: str, peer: int | None = 1) -> CollectiveCall:
    return CollectiveCall(name=name, in_elements=64, dtype="Float", group_size=2, ranks=(0, 1), peer=peer)


def noted(b: TraceBuilder, names: Sequence[str], at: int, *, tid: int = 1) -> None:
    """The host's rows of these calls, 100 ns each."""
    for place, name in enumerate(names):
        b.op("record_param_comms", at + 100 * place, 80, tid, collective=call(name))


def found(b: TraceBuilder) -> list[list[str | None]]:
    """The names of the messages of each kernel, in order of start."""
    events = b.rank().events
    assert events is not None
    kernels = events.rows(Kind.KERNEL)
    messages = messages_of(events, kernels)
    return [[one.name for one in messages.get(row, ())] for row in kernels.tolist()]


def test_a_kernel_has_what_its_thread_noted_since_the_launch_before() -> None:
    b = TraceBuilder()
    for at, names in ((0, ["send"]), (10_000, ["recv", "send", "send"])):
        noted(b, names, at)
        b.kernel(KERNEL, at + 5_000, 500, launch_ns=at + 500, launch_dur_ns=100)
        noted(b, ["wait"], at + 700)
    assert found(b) == [["send"], ["send", "send", "recv"]]


def test_a_message_of_its_own_stands_in_its_row() -> None:
    b = TraceBuilder()
    b.op("record_param_comms", 0, 800, collective=call("recv", 5))
    b.kernel(KERNEL, 5_000, 500, launch_ns=500, launch_dur_ns=100, collective=call("recv", 5))
    noted(b, ["send"], 1_000)
    b.kernel(KERNEL, 6_000, 500, launch_ns=1_500, launch_dur_ns=100)
    assert found(b) == [["recv"], ["send"]]


def test_without_rows_of_the_host_nothing_is_known() -> None:
    b = TraceBuilder()
    b.kernel(KERNEL, 5_000, 500, launch_ns=500)
    assert found(b) == [[]]


def test_the_messages_of_another_thread_are_none_of_its() -> None:
    b = TraceBuilder()
    noted(b, ["send"], 0, tid=2)
    b.kernel(KERNEL, 5_000, 500, launch_ns=500, tid=1)
    assert found(b) == [[]]


def test_what_was_noted_before_another_operation_is_not_of_the_group() -> None:
    b = TraceBuilder()
    noted(b, ["send", "allreduce", "recv"], 0)
    b.kernel(KERNEL, 5_000, 500, launch_ns=500)
    assert found(b) == [["recv"]]


def test_kernels_of_one_launch_do_not_tell_which_carries_what() -> None:
    b = TraceBuilder()
    noted(b, ["send", "recv"], 0)
    launch = b.runtime("cudaGraphLaunch", 500, 100)
    for at in (5_000, 6_000):
        b.kernel(KERNEL, at, 500, launch_ns=None, correlation=launch)
    assert found(b) == [[], []]


def test_the_direction_is_that_of_the_name() -> None:
    assert is_sent(call("isend")) is True
    assert is_sent(call("recv")) is False
    assert is_sent(call("coalesced")) is None
    assert is_sent(None) is None


def test_no_rows_have_no_messages() -> None:
    events = TraceBuilder().rank().events
    assert events is not None
    assert messages_of(events, np.empty(0, np.intp)) == {}
