"""What should be done first, and what does it bring? Recommendations in the words that every report shares."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Diagnosis, Gain, Recommendation, Tried
from llmprof.reports.labels import confidence_word, effort_word, parts_of_fix
from llmprof.reports.text import visible
from llmprof.units import format_bytes, format_ms, format_ms_range, format_ms_within, format_percent

__all__ = ["Fix", "Together", "fixes_of", "others_tried", "together_of", "tried_text"]

TOP = 3
"""Fixes on the first screen and in the terminal."""

_BASES = {
    "replay": "replay of the recorded step with the fix applied",
    "roofline": "distance to what the hardware can do",
    "bound": "the measured time that the fix can remove at most",
    "prior": "rule of thumb, not measured on this run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One recommendation, told: every text is safe to show as text (not as markup)."""

    number: int
    id: str
    rule: str
    action: str
    why: str
    how: str
    gain: str
    """`saves 82.0 ms (71.0-94.0)`, `frees 21.0 GiB`, `no gain expected`."""
    side: str
    """The other effect, on memory or on time: `frees 9.8 GiB`, `costs 50-75 ms`; empty when there is none."""
    gain_share: str
    """`17 % of the step`, or `at most 19 % of the step` where no gain is expected; empty when it says nothing."""
    after: str
    """`486 -> about 400 ms, 1.21x`; empty when unknown."""
    expected_ms: float
    low_ms: float
    high_ms: float
    helps: bool
    basis: str
    effort: str
    confidence: str
    risk: str
    verify: str
    requires: tuple[str, ...]
    parts: tuple[str, ...]
    tried: str = ""
    """What `llmprof try` has measured; empty when it was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What several fixes bring together."""

    who: str
    """`all three together`, `both together`; where only some are meant, their numbers: `1, 2 and 4 together`."""
    of: tuple[str, ...]
    before_ms: float | None
    after_ms: float
    after: str
    """The step time after: `371 ms (352-390)`, or `about 371 ms` without an interval."""

    @property
    def text(self) -> str:
        """`486 ms -> 371 ms (352-390)`."""
        return f"{format_ms(self.before_ms)} -> {self.after}"


def fixes_of(diagnosis: Diagnosis) -> tuple[Fix, ...]:
    """All recommendations, in the order in which a person should try them."""
    return tuple(_fix(number, item, diagnosis) for number, item in enumerate(diagnosis.recommendations, start=1))


def together_of(diagnosis: Diagnosis) -> Together | None:
    """The combined figure; None when there is none or when it stands for one fix only."""
    combined = diagnosis.combined
    if combined is None or combined.step_ms_after is None or len(combined.of) < 2:
        return None
    who = _who(combined.of, tuple(item.id for item in diagnosis.recommendations))
    if combined.low_ms is None or combined.high_ms is None:
        after = f"about {format_ms(combined.step_ms_after)}"
    else:
        after = format_ms_within(combined.step_ms_after, *sorted((combined.low_ms, combined.high_ms)))
    return Together(
        who=f"{who} together",
        of=tuple(visible(name) for name in combined.of),
        before_ms=diagnosis.step.mean_ms,
        after_ms=combined.step_ms_after,
        after=after,
    )


def _who(of: tuple[str, ...], offered: tuple[str, ...]) -> str:
    if not set(of) <= set(offered):
        return f"{len(of)} fixes"
    if len(of) == len(offered):
        return {2: "both", 3: "all three"}.get(len(of), f"all {len(of)}")
    *first, last = (str(number) for number, name in enumerate(offered, start=1) if name in of)
    return f"{', '.join(first)} and {last}"


def _fix(number: int, item: Recommendation, diagnosis: Diagnosis) -> Fix:
    gain = item.gain
    told, side = _gain(gain)
    confidence = next((finding.confidence for finding in diagnosis.findings if finding.rule == item.rule), None)
    return Fix(
        number=number,
        id=visible(item.id),
        rule=visible(item.rule),
        action=visible(item.action),
        why=visible(item.why),
        how=visible(item.how, newlines=True).strip("\n"),
        gain=told,
        side=side,
        tried=tried_text(item.tried),
        gain_share=_gain_share(gain, diagnosis.step.mean_ms),
        after=_after(gain, diagnosis.step.mean_ms),
        expected_ms=gain.expected_ms,
        low_ms=gain.low_ms,
        high_ms=gain.high_ms,
        helps=gain.expected_ms > 0 or (gain.memory_bytes or 0) > 0,
        basis=_BASES.get(gain.basis, visible(gain.basis)),
        effort=effort_word(item.effort),
        confidence=confidence_word(confidence),
        risk=visible(item.risk),
        verify=visible(item.verify),
        requires=tuple(visible(name) for name in item.requires),
        parts=parts_of_fix(item.id),
    )


def _gain(gain: Gain) -> tuple[str, str]:
    """What the fix is for, and what else it does."""
    memory = ""
    if gain.memory_bytes:
        memory = f"{'frees' if gain.memory_bytes > 0 else 'takes'} {format_bytes(abs(gain.memory_bytes))}"
    if gain.expected_ms > 0:
        return f"saves {format_ms_within(gain.expected_ms, gain.low_ms, gain.high_ms)}", memory
    if gain.expected_ms == 0:
        return memory or "no gain expected", ""
    low, high = max(-gain.high_ms, 0.0), max(-gain.low_ms, 0.0)
    cost = f"costs {format_ms_range(low, high)}" if low > 0 else f"costs up to {format_ms(high or -gain.expected_ms)}"
    return (memory, cost) if memory else (cost, "")


def tried_text(tried: Tried | None) -> str:
    """What `llmprof try` has measured: `tried: 172 ms -> 64.1 ms, predicted 62.0 ms`; empty when it was not tried."""
    if tried is None:
        return ""
    others = f" with {len(tried.fixes) - 1} more" if len(tried.fixes) > 1 else ""
    if tried.predicted_ms is not None:
        predicted = f", predicted {format_ms(tried.predicted_ms)}"
    else:
        ends = (tried.predicted_low_ms, tried.predicted_high_ms)
        predicted = "" if None in ends else f", predicted {format_ms_range(*ends)}"
    doubt = " (within the noise)" if tried.outcome == "undecided" else ""
    return f"tried{others}: {format_ms(tried.plain_ms)} -> {format_ms(tried.step_ms)}{doubt}{predicted}"


def others_tried(diagnosis: Diagnosis) -> tuple[str, ...]:
    """What was tried without being recommended: `gc-policy: 105 ms -> 81.9 ms`."""
    return tuple(
        f"{visible(' + '.join(one.fixes))}: {format_ms(one.plain_ms)} -> {format_ms(one.step_ms)}"
        for one in diagnosis.tried
    )


def _gain_share(gain: Gain, mean_ms: float | None) -> str:
    if not mean_ms or gain.expected_ms < 0 or gain.high_ms <= 0:
        return ""
    if gain.expected_ms == 0:
        return f"at most {format_percent(gain.high_ms / mean_ms)} of the step"
    return f"{format_percent(gain.expected_ms / mean_ms)} of the step"


def _after(gain: Gain, mean_ms: float | None) -> str:
    if gain.step_ms_after is None or mean_ms is None or gain.expected_ms <= 0:
        return ""
    speed = f", {gain.speedup:.2f}x as fast" if gain.speedup and gain.speedup >= 1.005 else ""
    return f"{format_ms(mean_ms)} -> about {format_ms(gain.step_ms_after)}{speed}"
