"""What do kernels take with a fix, as timed on the GPU of the run? In place of the ratio of its peak rates.

An operator was timed alone, as it is and as the fix would have it. Its recorded time goes with the ratio of the two.
Where the call as it is takes another time alone than in the step, something about it was taken wrongly (or the clocks
were others), and its time is not believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from llmprof.analyzers.facts.faster.misaligned_products import is_vocabulary, odd_products, odd_size
from llmprof.analyzers.facts.faster.timed_calls import Layouts, calls_of, layouts_of, written_call
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.operators import OperatorWork
from llmprof.analyzers.facts.operators.saving import Saving
from llmprof.analyzers.facts.operators.written_attention import WrittenAttention
from llmprof.timeline.kernel_times import KernelCall, KernelTimes
from llmprof.units import format_percent

__all__ = ["BELIEVED", "DOUBT", "FIXES", "Timed", "questions", "timed_note", "timed_of", "with_times"]

DOUBT = 0.10
"""What timing alone can miss of a kernel's time (an assumption): in the step its neighbours leave other caches, and the
power that they draw other clocks. Of the ratio of two times most of both cancels."""
BELIEVED = 1.5
"""A time alone that is off the recorded one by more is of another algorithm, or of other clocks."""
COVERAGE = 0.95
MOST_CALLS = 120
MULTIPLE = 64
"""To which odd dimensions are padded."""

_FORMATS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bf16-autocast": ("bf16", ("fp32", "tf32")),
    "tf32": ("tf32", ("fp32",)),
}
_ALIGNED = ("pad-vocabulary", "align-dimensions")
FIXES = (*_FORMATS, *_ALIGNED, "sdpa-attention", "fused-attention-backend", "channels-last")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Operators that are timed as one call; ns and calls per step."""

    work: tuple[OperatorWork, ...]
    ns: float
    calls: float
    pairs: tuple[tuple[KernelCall, KernelCall], ...]
    """The call as it is and as it would be; several where the shapes leave open which it is."""
    worst: KernelCall | None = None
    """What the fix may come to instead; the middle between the two is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Operators of which a fix leaves `left` of their time."""

    work: tuple[OperatorWork, ...]
    ns: float
    left: float
    more: float = 0.0
    """What comes on top at worst, a share of the time."""

    def left_at(self, doubt: float) -> float:
        """The share that is left when the timing missed so much, -1 to 1."""
        return self.left * (1 + doubt * DOUBT) + self.more * (1 + doubt) / 2


def questions(fixes: Iterable[str], operators: OperatorFacts, *, channels_last: bool) -> tuple[KernelCall, ...]:
    """The calls to time for these fixes, the pairs with most time in the step first; those of others are left out."""
    found: list[_Question] = []
    for fix in fixes:
        asked = sorted(_questions(fix, operators, channels_last), key=lambda one: -one.ns)
        total, covered = sum(one.ns for one in asked), 0.0
        for one in asked:
            if covered < COVERAGE * total:
                found.append(one)
            covered += one.ns
    order = sorted(found, key=lambda one: -one.ns)
    calls = dict.fromkeys(
        call for one in order for pair in one.pairs for call in (*pair, one.worst) if call is not None
    )
    return tuple(calls)[:MOST_CALLS]


def timed_of(fix: str, operators: OperatorFacts | None, *, channels_last: bool) -> tuple[Timed, ...]:
    """The operators whose times under a fix are known and believed."""
    times = None if operators is None else operators.timed
    if operators is None or times is None:
        return ()
    some = [(one, _left(one, times)) for one in _questions(fix, operators, channels_last)]
    return tuple(
        Timed(work=one.work, ns=one.ns, left=left, more=_more(one, left, times))
        for one, left in some
        if left is not None
    )


def with_times(
    fix: str, savings: tuple[Saving, ...], operators: OperatorFacts, *, channels_last: bool
) -> tuple[Saving, ...]:
    """The savings with what was timed in place of what the rates of the device let expect; ns per step.

    A saving of several operators comes apart where only some were timed.
    """
    timed = timed_of(fix, operators, channels_last=channels_last)
    found: list[Saving] = []
    taken: set[int] = set()
    for saving in savings:
        keys = {work.key for work in saving.work}
        mine = [(place, one) for place, one in enumerate(timed) if keys >= {work.key for work in one.work}]
        if not mine:
            found.append(saving)
            continue
        whole = len(mine) == 1 and len(mine[0][1].work) > 1
        found += [_saving(one, saving, whole=whole) for _, one in mine]
        taken |= {place for place, _ in mine}
        known = {work.key for _, one in mine for work in one.work}
        rest = () if whole else tuple(work for work in saving.work if work.key not in known)
        if rest:
            share = sum(work.ns for work in rest) / saving.ns if saving.ns > 0 else 0.0
            found.append(_scaled(saving, rest, share))
    if fix == "channels-last":  # convolutions, whose conversions are told by name, are in no saving
        found += [_saving(one, None, whole=False) for place, one in enumerate(timed) if place not in taken]
    return tuple(found)


def timed_note(fix: str, operators: OperatorFacts | None, *, channels_last: bool) -> str:
    """A sentence about what was timed for a fix; empty where nothing was."""
    times = None if operators is None else operators.timed
    if fix not in FIXES or operators is None or times is None:
        return ""
    asked = _questions(fix, operators, channels_last)
    total = sum(one.ns for one in asked)
    known = sum(one.ns for one in asked if _left(one, times) is not None)
    off = sum(one.ns for one in asked if _left(one, times) is None and _now(one, times))
    if total <= 0 or known + off <= 0:
        return ""
    told = f"Kernels of {format_percent(known / total)} of the time concerned were timed on this GPU, as they are and "
    told += "as they would be."
    if off > 0:
        told += (
            f" Those of {format_percent(off / total)} took another time alone than in the step (by more than a factor "
            f"of {BELIEVED:g}), so that the rates of the GPU stand for them."
        )
    return told


def _questions(fix: str, operators: OperatorFacts, channels_last: bool) -> tuple[_Question, ...]:
    layouts = layouts_of(operators, channels_last=channels_last)
    if fix in _FORMATS:
        fast, slow = _FORMATS[fix]
        some = [one for one in operators.work if one.number_format in slow]
        return _asked(some, layouts, lambda call: _in_format(call, fast))
    if fix in _ALIGNED:
        odd = odd_products(operators)
        if not odd or is_vocabulary(odd_size(odd), operators) is not (fix == "pad-vocabulary"):
            return ()
        size = odd_size(odd)
        return _asked(odd, layouts, lambda call: _padded(call, size))
    if fix == "channels-last" and operators.conversion_ns > 0 and not channels_last:
        some = [one for one in operators.work if one.kind == "convolution"]
        return _asked(some, layouts, lambda call: replace(call, way="nhwc") if "convolution" in call.kind else None)
    if fix == "fused-attention-backend" and operators.math_attention_ns <= 0:
        return _asked([one for one in operators.work if one.kind == "attention"], layouts, _newer)
    written = operators.attention
    if written is None or fix not in ("sdpa-attention", "fused-attention-backend"):
        return ()
    return tuple(one for part in written.parts or (written,) if (one := _of_written(part)) is not None)


def _of_written(written: WrittenAttention) -> _Question | None:
    """Attention with scores of one size as one call; of one that has no softmax forward nothing is asked."""
    call = written_call(written)
    if call is None or written.calls <= 0:
        return None
    now = replace(call, way="fused")
    return _Question(
        work=written.work,
        ns=written.ns,
        calls=written.calls,
        pairs=((call, replace(now, stride=())),),
        worst=now if now.stride else None,  # PyTorch writes attention out itself with a bias that is not contiguous
    )


def _asked(
    work: Iterable[OperatorWork], layouts: Layouts, change: Callable[[KernelCall], KernelCall | None]
) -> tuple[_Question, ...]:
    found = []
    for one in work:
        pairs = [(call, then) for call in calls_of(one, layouts) if (then := change(call)) is not None and then != call]
        if pairs:
            found.append(_Question(work=(one,), ns=one.ns, calls=one.calls, pairs=tuple(pairs)))
    return tuple(found)


def _in_format(call: KernelCall, fast: str) -> KernelCall | None:
    """In the faster format; TF32 is none of fused attention."""
    if not call.kind.startswith("attention"):
        return replace(call, number_format=fast)
    return None if fast == "tf32" else replace(call, number_format=fast, way="fused")


def _padded(call: KernelCall, size: int) -> KernelCall:
    padded = math.ceil(size / MULTIPLE) * MULTIPLE
    return replace(call, dims=tuple(tuple(padded if one == size else one for one in dims) for dims in call.dims))


def _newer(call: KernelCall) -> KernelCall | None:
    """Attention in the kernels of cuDNN, causal instead of with a mask that may say just that."""
    if call.number_format not in ("bf16", "fp16"):
        return None
    query, key = call.dims[:2]
    masks = call.dims[3:]
    if masks and masks[0][-2:] == (query[2], key[2]) and query[2] == key[2] and math.prod(masks[0][:-2]) == 1:
        return replace(call, dims=call.dims[:3], way="cudnn", causal=True)
    return replace(call, way="cudnn")


def _left(one: _Question, times: KernelTimes) -> float | None:
    """The share of its time that is left; None where it was not timed, or the time is not believed."""
    known = _now(one, times)
    if not known:
        return None
    off, left = min(known)
    if one.worst is not None and one.worst not in times.ns:
        return None
    return left if off <= math.log(BELIEVED) else None


def _more(one: _Question, left: float, times: KernelTimes) -> float:
    """The share of its time that comes on top at worst."""
    worst = None if one.worst is None else times.ns.get(one.worst)
    before = times.ns.get(one.pairs[0][0])
    return max(0.0, worst / before - left) if worst and before else 0.0


def _now(one: _Question, times: KernelTimes) -> list[tuple[float, float]]:
    """For each pair that was timed: how far the call as it is is off the recorded time (log), and what is left."""
    found = []
    for now, then in one.pairs:
        before, after = times.ns.get(now), times.ns.get(then)
        if before and after and one.ns > 0:
            found.append((abs(math.log(before * one.calls / one.ns)), after / before))
    return found


def _saving(one: Timed, of: Saving | None, *, whole: bool) -> Saving:
    """What goes, or (below 0) comes on top; `of` is the saving that the operators are part of."""
    ns = of.ns if of is not None and whole else one.ns
    return Saving(
        ns=ns,
        low_ns=ns * (1 - one.left_at(1)),
        expected_ns=ns * (1 - one.left_at(0)),
        high_ns=ns * (1 - one.left_at(-1)),
        work=one.work,
        copies=of.copies if of is not None and whole else (),
        launches=1.0 if of is None else of.launches,
    )


def _scaled(saving: Saving, work: Collection[OperatorWork], share: float) -> Saving:
    """The part of a saving that these operators have."""
    return replace(
        saving,
        ns=share * saving.ns,
        low_ns=share * saving.low_ns,
        expected_ns=share * saving.expected_ns,
        high_ns=share * saving.high_ns,
        work=tuple(work),
    )
