from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmprof.analyzers.facts.communication.collective_calls import CollectiveKind, bus_factor, describe
from llmprof.timeline.events import CollectiveCall, Kind
from tests.scenarios.builder import TraceBuilder


def kind_of(name: str, call: CollectiveCall | None = None) -> CollectiveKind:
    b = TraceBuilder()
    b.kernel(name, 100, 100, launch_ns=10, collective=call)
    events = b.rank().events
    assert events is not None
    kinds, index = describe(events, events.rows(Kind.KERNEL))
    return kinds[int(index[0])]


@pytest.mark.parametrize(
    ("name", "op", "dtype"),
    [
        ("ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)", "all_reduce", "fp32"),
        ("ncclDevKernel_AllReduce_Sum_bf16_TREE_LL(ncclDevKernelArgsStorage<4096ul>)", "all_reduce", "bf16"),
        ("ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)", "all_reduce", "fp32"),
        ("ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL(...)", "reduce_scatter", "bf16"),
        ("ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)", "all_gather", None),
        # These move bytes: the int8 in the name is not the number format.
        ("ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(ncclWorkElem)", "send_recv", None),
        ("ncclKernel_Broadcast_RING_LL_Sum_int8_t(ncclDevComm*)", "broadcast", None),
        ("ncclDevKernel_Reduce_Sum_f16_RING_LL(...)", "reduce", "fp16"),
        ("multimem_all_reduce_kernel<c10::BFloat16, 16>", "all_reduce", "bf16"),
        ("void vllm::cross_device_reduce_1stage<__nv_bfloat16, 8>", "all_reduce", "bf16"),
        ("ncclDevKernel_Generic(ncclDevKernelArgsStorage<4096ul>)", "other", None),
    ],
)
def test_the_name_tells_operation_and_format(name: str, op: str, dtype: str | None) -> None:
    assert kind_of(name) == CollectiveKind(op=op, dtype=dtype)


@pytest.mark.parametrize(
    ("name", "elements", "dtype", "op", "size"),
    [
        ("allreduce", (1024, 1024), "Float", "all_reduce", 4096),
        ("_allgather_base", (1024, 8192), "BFloat16", "all_gather", 16384),
        ("_reduce_scatter_base", (8192, 1024), "BFloat16", "reduce_scatter", 16384),
        ("all_to_allv", (512, 512), "Half", "all_to_all", 1024),
        ("broadcast", (53, 53), "Long", "broadcast", 424),
        ("allreduce", (100, 100), "Float8_e4m3fn", "all_reduce", 100),
        ("allreduce", (100, 100), "Unheard", "all_reduce", None),
    ],
)
def test_metadata_outranks_the_name(
    name: str, elements: tuple[int, int], dtype: str, op: str, size: int | None
) -> None:
    call = CollectiveCall(
        name=name, in_elements=elements[0], out_elements=elements[1], dtype=dtype, group_name="3", ranks=(0, 4)
    )
    found = kind_of("ncclDevKernel_Generic(...)", call)
    assert (found.op, found.bytes, found.group_size, found.group) == (op, size, 2, ("3", (0, 4)))


@pytest.mark.parametrize(
    ("op", "factor"),
    [
        ("all_reduce", 1.75),
        ("all_gather", 0.875),
        ("reduce_scatter", 0.875),
        ("all_to_all", 0.875),
        ("broadcast", 1),
        ("barrier", None),
    ],
)
def test_bus_factors_of_eight_ranks(op: str, factor: float | None) -> None:
    assert bus_factor(CollectiveKind(op=op, group_size=8)) == factor


def test_the_factor_of_an_unknown_group_is_unknown() -> None:
    assert bus_factor(CollectiveKind(op="all_reduce")) is None


def test_equal_calls_share_one_kind() -> None:
    b = TraceBuilder()
    for n in range(3):
        b.kernel("ncclDevKernel_AllReduce_Sum_f32_RING_LL", 100 + n * 1000, 100, launch_ns=10 + n)
    events = b.rank().events
    assert events is not None
    kinds, index = describe(events, events.rows(Kind.KERNEL))
    assert len(kinds) == 1
    assert np.array_equal(index, [0, 0, 0])


def test_sends_and_receives_that_are_launched_together_are_no_other_operation() -> None:
    kind = kind_of("ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)", CollectiveCall(name="coalesced"))
    assert kind.op == "send_recv"


def test_messages_begun_together_count_the_way_on_which_more_goes() -> None:
    """Two of 256 bytes are sent while one comes in: a link moves both ways at once."""
    b = TraceBuilder()
    group = CollectiveCall(in_elements=64, dtype="Float", group_size=2, group_name="0", ranks=(0, 1), peer=1)
    for at, name in enumerate(("send", "recv", "send")):
        b.op("record_param_comms", 10 * at, 8, collective=replace(group, name=name))
    b.kernel("ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)", 100, 100, launch_ns=50)
    events = b.rank().events
    assert events is not None
    kinds, _ = describe(events, events.rows(Kind.KERNEL))
    assert (kinds[0].op, kinds[0].dtype, kinds[0].bytes, kinds[0].group) == ("send_recv", "fp32", 512, ("0", (0, 1)))
    assert [call.name for call in kinds[0].messages] == ["send", "send", "recv"]
