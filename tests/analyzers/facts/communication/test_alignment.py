from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from llmprof.analyzers.facts.communication.alignment import match_collectives, match_messages, waits_of
from llmprof.analyzers.facts.communication.clocks import Matched, clocks_of
from llmprof.analyzers.facts.communication.rank_calls import RankCalls, rank_calls
from llmprof.analyzers.facts.measure import measure
from llmprof.timeline.environment import Environment
from llmprof.timeline.events import CollectiveCall
from llmprof.timeline.intervals import EMPTY, Intervals
from llmprof.timeline.timeline import RankTimeline, Timeline
from tests.scenarios.builder import ORIGIN_NS, TraceBuilder

ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL"
MS = 1_000_000


def a_rank(
    number: int, spans: Sequence[tuple[int, int]], *, shift_ns: int = 0, host: str | None = None
) -> RankTimeline:
    """All-reduces at these (start, end) of its own clock, which runs `shift_ns` ahead; nothing else."""
    b = TraceBuilder()
    for start, end in spans:
        b.kernel(ALL_REDUCE, start, end - start, launch_ns=start - 10_000)
    return b.rank(number, origin_ns=ORIGIN_NS + shift_ns, environment=Environment(host=host))


def calls_of(*ranks: RankTimeline) -> list[RankCalls]:
    return [calls for rank in ranks if (calls := rank_calls(rank)) is not None]


def matches_of(*ranks: RankTimeline) -> tuple[Matched, ...]:
    return match_collectives(calls_of(*ranks))


def skew_of(*ranks: RankTimeline) -> dict[int, Intervals]:
    """When each rank waited, on its own clock."""
    calls = calls_of(*ranks)
    matches = match_collectives(calls)
    waits = waits_of(calls, matches, clocks_of(calls, matches))
    found = {number: Intervals.of(one.start_ns, one.end_ns) for number, one in waits.items()}
    return {rank.rank: found.get(rank.rank, EMPTY) for rank in ranks}


EARLY, LATE = [(1 * MS, 6 * MS), (11 * MS, 16 * MS)], [(5 * MS, 6 * MS), (15 * MS, 16 * MS)]


def test_a_rank_waits_from_its_start_to_the_start_of_the_last_one() -> None:
    skew = skew_of(a_rank(0, EARLY), a_rank(1, LATE))
    assert skew[0] == Intervals.of([1 * MS, 11 * MS], [5 * MS, 15 * MS])
    assert skew[1].length == 0


def test_files_with_different_origins_are_compared_in_unix_time() -> None:
    late = [(start - 3 * MS, end - 3 * MS) for start, end in LATE]
    skew = skew_of(a_rank(0, EARLY, host="a"), a_rank(1, late, shift_ns=3 * MS, host="a"))
    assert skew[0] == Intervals.of([1 * MS, 11 * MS], [5 * MS, 15 * MS])


def test_clocks_of_different_hosts_are_aligned_on_the_ends() -> None:
    ranks = (a_rank(0, EARLY, host="a"), a_rank(1, LATE, shift_ns=700 * MS, host="b"))
    assert skew_of(*ranks)[0] == Intervals.of([1 * MS, 11 * MS], [5 * MS, 15 * MS])


def test_recordings_that_begin_at_different_calls_are_paired_from_the_end() -> None:
    first = a_rank(0, [(100_000, 200_000), *EARLY])
    match = matches_of(first, a_rank(1, LATE))
    assert [m.calls.shape for m in match] == [(2, 2)]
    assert skew_of(first, a_rank(1, LATE))[0] == Intervals.of([1 * MS, 11 * MS], [5 * MS, 15 * MS])


def test_only_steps_that_all_ranks_traced_are_paired() -> None:
    ranks = []
    for number, steps in ((0, (7, 8, 9)), (1, (8, 9))):
        b = TraceBuilder()
        for step in steps:
            b.step(step, step * 10 * MS, (step + 1) * 10 * MS)
            b.kernel(ALL_REDUCE, step * 10 * MS + 5 * MS, MS, launch_ns=step * 10 * MS + MS)
        ranks.append(b.rank(number))
    (match,) = matches_of(*ranks)
    starts = [calls.start_ns[rows] for calls, rows in zip(calls_of(*ranks), match.calls, strict=True)]
    assert np.array_equal(starts[0], starts[1])
    assert match.calls.shape == (2, 2)


def test_calls_of_different_sizes_are_not_one_collective() -> None:
    ranks = []
    for number, elements in ((0, 1000), (1, 2000)):
        b = TraceBuilder()
        call = CollectiveCall(name="allreduce", in_elements=elements, out_elements=elements, dtype="Float")
        b.kernel(ALL_REDUCE, MS, MS, launch_ns=1000, collective=call)
        ranks.append(b.rank(number))
    assert matches_of(*ranks) == ()


def exchanging(number: int, elements: Sequence[int], start: int) -> RankTimeline:
    """An all-to-all for each number of elements that this rank gets, from `start` to 6 ms and so on, 10 ms apart."""
    b = TraceBuilder()
    for place, own in enumerate(elements):
        call = CollectiveCall(name="all_to_allv", in_elements=1000, out_elements=own, dtype="BFloat16", ranks=(0, 1))
        begin = place * 10 * MS
        b.kernel("ncclDevKernel_SendRecv", begin + start, 6 * MS - start, launch_ns=begin + 1000, collective=call)
    return b.rank(number)


def test_an_exchange_of_uneven_shares_is_one_collective() -> None:
    """Experts get different numbers of tokens: sizes differ among the ranks, and yet one waits for the other."""
    ranks = exchanging(0, [1600, 1600], 5 * MS), exchanging(1, [400, 400], MS)
    assert [match.calls.shape for match in matches_of(*ranks)] == [(2, 2)]
    assert {number: spans.length for number, spans in skew_of(*ranks).items()} == {0: 0, 1: 8 * MS}


def test_uneven_exchanges_of_which_one_rank_recorded_more_are_not_paired() -> None:
    assert matches_of(exchanging(0, [1600, 1600], MS), exchanging(1, [400], MS)) == ()


def test_groups_are_matched_apart() -> None:
    """Ranks 0 and 1 are one group, 2 and 3 another: nobody waits across."""
    ranks = []
    for number in range(4):
        b = TraceBuilder()
        pair = (0, 1) if number < 2 else (2, 3)
        call = CollectiveCall(name="allreduce", group_name=str(pair[0]), ranks=pair, group_size=2)
        start = (2 + number) * MS
        b.kernel(ALL_REDUCE, start, pair[1] * MS + 4 * MS - start, launch_ns=1000, collective=call)
        ranks.append(b.rank(number))
    assert sorted(match.ranks for match in matches_of(*ranks)) == [(0, 1), (2, 3)]
    assert {number: spans.length for number, spans in skew_of(*ranks).items()} == {0: MS, 1: 0, 2: MS, 3: 0}


def test_kernels_that_never_ran_together_are_no_match() -> None:
    apart = [(start + 30 * MS, end + 30 * MS) for start, end in EARLY]
    skew = skew_of(a_rank(0, EARLY, host="a"), a_rank(1, apart, host="a"))
    assert {number: spans.length for number, spans in skew.items()} == {0: 0, 1: 0}


def test_the_root_of_a_broadcast_does_not_wait() -> None:
    ranks = []
    for number, start in ((0, MS), (1, 5 * MS)):
        b = TraceBuilder()
        b.kernel("ncclDevKernel_Broadcast_RING_LL", start, 6 * MS - start, launch_ns=1000)
        ranks.append(b.rank(number))
    assert matches_of(*ranks) == ()


@pytest.mark.parametrize(("sent_ms", "waited_ms"), [(5, 4), (1, 0)], ids=["late sender", "sender that left early"])
def test_whoever_waits_for_a_broadcast_waits_for_its_sender(sent_ms: int, waited_ms: int) -> None:
    """Rank 0 sends and is gone after a ms; rank 1 comes after 1 ms, or after 5, when the message is there."""
    ranks = []
    for number, begin, end in ((0, sent_ms, sent_ms + 1), (1, min(6 - sent_ms, 5), 6)):
        b = TraceBuilder()
        for step in range(2):
            at = step * 10 * MS
            b.kernel("ncclDevKernel_Broadcast_RING_LL", at + begin * MS, (end - begin) * MS, launch_ns=at + 10_000)
            b.kernel("gemm", at + end * MS, MS, launch_ns=at + 20_000)
            b.step(step, at, at + 10 * MS)
        ranks.append(b.rank(number, environment=Environment(host="a")))
    facts = measure(Timeline(ranks=tuple(ranks), kind="run", paths=(), world_size=2))
    waited = [rank.collectives.skew_ns or 0 for _, rank in sorted(facts.ranks.items()) if rank.collectives is not None]
    assert waited == pytest.approx([0, waited_ms * MS])


@pytest.mark.parametrize("shift_ns", [0, 5_000, -5_000])
def test_identical_ranks_do_not_wait(shift_ns: int) -> None:
    skew = skew_of(a_rank(0, EARLY), a_rank(1, EARLY, shift_ns=shift_ns))
    assert {number: spans.length for number, spans in skew.items()} == {0: 0, 1: 0}


def test_a_rank_without_events_is_passed_over() -> None:
    untraced = RankTimeline(rank=1, events=None)
    assert skew_of(a_rank(0, EARLY), untraced)[1].length == 0


def test_a_wait_within_the_doubt_about_the_clocks_is_not_believed() -> None:
    """The ends of the two hosts scatter by 20 µs around their offset: 15 µs late says nothing, 4 ms does."""
    early, late = [], []
    for call in range(40):
        start, scatter = call * 10 * MS, 20_000 * (-1) ** call
        lateness = 4 * MS if call % 10 == 0 else 15_000
        early.append((start, start + 6 * MS))
        late.append((start + lateness, start + 6 * MS + scatter))
    two_hosts = skew_of(a_rank(0, early, host="a"), a_rank(1, late, host="b", shift_ns=3 * MS))
    assert two_hosts[0].length == pytest.approx(4 * 4 * MS, rel=0.02)
    one_host = skew_of(a_rank(0, early, host="a"), a_rank(1, late, host="a"))
    assert one_host[0].length == 4 * 4 * MS + 36 * 15_000


SEND_RECV = "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)"


def a_talker(number: int, messages: Sequence[tuple[str, int | None, int]], *, ranks: int = 3) -> RankTimeline:
    """Messages by name, other side and elements, one behind the other."""
    b = TraceBuilder()
    for place, (name, peer, elements) in enumerate(messages):
        call = CollectiveCall(
            name=name, peer=peer, in_elements=elements, dtype="Float", group_size=ranks, ranks=tuple(range(ranks))
        )
        b.kernel(SEND_RECV, place * MS, MS // 2, launch_ns=place * MS - 10_000, collective=call)
    return b.rank(number)


def test_the_second_message_to_a_rank_is_the_second_that_it_takes_from_there() -> None:
    first = a_talker(0, [("send", 1, 8), ("send", 2, 4), ("send", 1, 8)])
    found = match_messages(calls_of(first, a_talker(1, [("recv", 0, 8)] * 2), a_talker(2, [("recv", 0, 4)])))
    pairs = {(0, 0): (1, 0), (0, 1): (2, 0), (0, 2): (1, 1)}
    assert found == {one: {other} for pair in pairs.items() for one, other in (pair, pair[::-1])}


def test_of_two_ranks_the_other_side_is_known() -> None:
    found = match_messages(calls_of(a_talker(0, [("send", None, 8)], ranks=2), a_talker(1, [("recv", 0, 8)], ranks=2)))
    assert found == {(0, 0): {(1, 0)}, (1, 0): {(0, 0)}}


@pytest.mark.parametrize(
    "other",
    [[], [("recv", None, 8)], [("recv", 0, 4)], [("recv", 0, 8), ("recv", 0, 8)], [("coalesced", 0, 8)]],
    ids=["nobody", "from somebody", "another size", "one more", "some direction"],
)
def test_messages_that_contradict_each_other_are_not_matched(other: list[tuple[str, int | None, int]]) -> None:
    assert match_messages(calls_of(a_talker(0, [("send", 1, 8)]), a_talker(1, other))) == {}
