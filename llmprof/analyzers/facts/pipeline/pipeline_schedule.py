"""How long is a step of a pipeline whose stages need so long for each pass? Its schedule, played through.

GPipe (Huang et al. 2019) and one forward, one backward (PipeDream-Flush, Narayanan et al. 2021), as
torch.distributed.pipelining launches them: passes in a fixed order on one stream, sends and receives in order on
another. A message begins when sender and receiver are ready for it; a stage computes on when what it has asked for has
come. The host launches in the same order, and no pass ends before it is launched.

A loop written by hand has one of these orders too. Where it waits for what it sends (`dist.send`, or a batch of
`batch_isend_irecv` that it waits for at once), a stage computes on only when that has been taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmprof.errors import InputError

__all__ = ["BY_HAND", "ORDERS", "SCHEDULES", "StagePasses", "by_hand", "exchanges", "schedule_of", "step_ns"]

ORDERS = ("gpipe", "1f1b")
BY_HAND = "by hand"
_AHEAD = "by hand, sending ahead"
"""What follows the order in the name of a schedule that was written by hand."""
SCHEDULES = (*ORDERS, *(f"{order} {how}" for order in ORDERS for how in (BY_HAND, _AHEAD)))
_STEPS = 4
"""Steps that are played: the first fills the pipeline, the last follows one that is like it."""

Message = tuple[str, int, int]
"""Direction (`F` or `B`), micro-batch, and the lower of the two stages that it joins."""
Item = tuple[str, tuple[Message, ...]]
"""`F`, `B` and `O` compute a pass or what is done once; `post` begins messages, `wait` ends those begun last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePasses:
    """What one stage needs, in ns: the device for a micro-batch and once per step, the host to launch the same."""

    forward_ns: float
    backward_ns: float
    once_ns: float = 0.0
    host_forward_ns: float = 0.0
    host_backward_ns: float = 0.0
    host_once_ns: float = 0.0


def schedule_of(name: str | None) -> str | None:
    """The one of SCHEDULES that a recorded name stands for; None for those not played."""
    known = {"ScheduleGPipe": "gpipe", "Schedule1F1B": "1f1b"}
    return known.get(name or "", name if BY_HAND in (name or "") else None)


def by_hand(order: str, *, ahead: bool = False) -> str:
    """The name of a schedule that was written by hand; `ahead`: stages do not wait until what they send is taken."""
    return f"{order} {_AHEAD if ahead else BY_HAND}"


def exchanges(schedule: str, stages: int, stage: int, microbatches: int) -> list[str]:
    """What a stage does in a step, `send` or `receive`, in order; of what begins together, what it sends is first."""
    away = {"F": stage, "B": stage - 1}
    program = _program(schedule, stages, stage, microbatches)
    posted = (messages for what, messages in program if what == "post")
    return ["send" if lower == away[kind] else "receive" for messages in posted for kind, _, lower in messages]


def step_ns(stages: Sequence[StagePasses], microbatches: int, *, schedule: str, message_ns: float = 0.0) -> float:
    """From one step's end to the next one's, when steps follow each other; `stages` are one for each rank, in order.

    Raises InputError for a schedule that is none of SCHEDULES.
    """
    if schedule not in SCHEDULES:
        raise InputError(f"the schedule {schedule} is not played; known are {', '.join(SCHEDULES)}.")
    programs = [list(_program(schedule, len(stages), stage, microbatches)) for stage in range(len(stages))]
    players = [_Player(passes, program) for passes, program in zip(stages, programs, strict=True)]
    for step in range(_STEPS):
        began: dict[Message, list[float]] = {}
        waiting = players
        while waiting:
            left = [player for player in waiting if not player.play(began, message_ns)]
            if len(left) == len(waiting) and not any(player.moved for player in left):
                raise InputError("the stages of the pipeline wait for each other in a circle.")
            waiting = left
        if step == _STEPS - 2:
            before = max(player.compute_ns for player in players)
        for player in players:
            player.place = 0
    return max(player.compute_ns for player in players) - before


@dataclass(slots=True, eq=False)
class _Player:
    """One stage, with the times at which its streams and its host are free."""

    passes: StagePasses
    program: list[Item]
    place: int = 0
    compute_ns: float = 0.0
    exchange_ns: float = 0.0
    host_ns: float = 0.0
    moved: bool = False
    posted: tuple[Message, ...] = ()
    posted_ns: float = field(default=0.0)

    def play(self, began: dict[Message, list[float]], message_ns: float) -> bool:
        """Go on as far as the others allow; whether the step is done. `began`: when each side was ready, by message."""
        start = self.place
        while self.place < len(self.program):
            what, messages = self.program[self.place]
            if what in ("post", "wait"):
                if not self._arrived(began, message_ns):
                    break
                if what == "wait":
                    self.compute_ns = max(self.compute_ns, self.exchange_ns)
                else:
                    self.posted, self.posted_ns = messages, max(self.compute_ns, self.exchange_ns)
                    for message in messages:
                        began.setdefault(message, []).append(self.posted_ns)
            else:
                self._compute(what)
            self.place += 1
        self.moved = self.place > start
        return self.place == len(self.program)

    def _arrived(self, began: dict[Message, list[float]], message_ns: float) -> bool:
        """Whether the messages begun last have met their other side; the exchange stream is free then."""
        if any(len(began[message]) < 2 for message in self.posted):
            return False
        if self.posted:
            self.exchange_ns = max(max(began[message]) for message in self.posted) + message_ns
            self.posted = ()
        return True

    def _compute(self, what: str) -> None:
        passes = self.passes
        device, host = {
            "F": (passes.forward_ns, passes.host_forward_ns),
            "B": (passes.backward_ns, passes.host_backward_ns),
            "O": (passes.once_ns, passes.host_once_ns),
        }[what]
        begin = max(self.compute_ns, self.host_ns)
        self.host_ns += host
        self.compute_ns = max(begin + device, self.host_ns)


def _program(schedule: str, stages: int, stage: int, microbatches: int) -> Iterator[Item]:
    """What a stage does in a step, in order."""
    program = _gpipe if schedule.startswith("gpipe") else _one_forward_one_backward
    for item in program(stages, stage, microbatches):
        yield item
        if schedule.endswith(BY_HAND) and item[0] == "post":
            yield "wait", ()
    yield "wait", ()
    yield "O", ()


def _gpipe(stages: int, stage: int, microbatches: int) -> Iterator[Item]:
    for kind, before, after in (("F", stage - 1, stage), ("B", stage, stage - 1)):
        for number in range(microbatches):
            yield from _received(_message(kind, number, before, stages))
            yield kind, ()
            sent = _message(kind, number, after, stages)
            if sent:
                yield "post", sent


def _one_forward_one_backward(stages: int, stage: int, microbatches: int) -> Iterator[Item]:
    """The last forward pass of the warm-up is sent with the first gradient's receive, and so on in turns."""
    warm_up = min(microbatches, stages - stage)
    for number in range(warm_up):
        yield from _received(_message("F", number, stage - 1, stages))
        yield "F", ()
        sent = _message("F", number, stage, stages)
        if sent and number < warm_up - 1:
            yield "wait", ()
            yield "post", sent
    for number in range(microbatches):
        next_forward = number + warm_up
        sent = _message("F", next_forward - 1, stage, stages) if next_forward <= microbatches else ()
        yield from _received(sent + _message("B", number, stage, stages))
        yield "B", ()
        gradient = _message("B", number, stage - 1, stages)
        if next_forward < microbatches:
            yield from _received(gradient + _message("F", next_forward, stage - 1, stages))
            yield "F", ()
        elif gradient:
            yield "wait", ()
            yield "post", gradient


def _message(kind: str, number: int, lower: int, stages: int) -> tuple[Message, ...]:
    """The message over the boundary above stage `lower`; none at the ends of the pipeline."""
    return ((kind, number, lower),) if 0 <= lower < stages - 1 else ()


def _received(messages: tuple[Message, ...]) -> Iterator[Item]:
    if messages:
        yield "post", messages
        yield "wait", ()
