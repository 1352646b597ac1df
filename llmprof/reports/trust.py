"""How far can the figures be trusted? One short statement each, marked where it weakens the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from llmprof.analyzers.diagnosis import Diagnosis, Recording, Sharing
from llmprof.reports.labels import confidence_word
from llmprof.reports.text import visible
from llmprof.units import format_count, format_ms, format_ns, format_percent

__all__ = ["Trust", "fidelity_text", "sharing_texts", "trust_of"]

FEWEST_STEPS = 20
"""Below this number of steps a spread says little; the capture asks for as many before its burst."""
LARGEST_REPLAY_ERROR = 0.03
"""A replay that misses the measured step by more explains a different step."""
LARGEST_OVERHEAD_PCT = 0.5
"""What the recording promises to cost at most, in percent of the step."""
LARGEST_UNLINKED = 0.05
"""Kernels without a launch cannot be blamed on host or device."""
LARGEST_CLOCK_ERROR = 0.02
"""Rounding that may move more of the step is worth a word."""
LEAST_CONFIDENCE = 0.4


@dataclass(frozen=True, slots=True)
class Trust:
    """One statement about the recording."""

    text: str
    weak: bool = False
    always: bool = False
    """Whether it is told where only what is weak is."""


def trust_of(diagnosis: Diagnosis) -> tuple[Trust, ...]:
    """Statements in reading order: steps, basis, ranks, overhead, replay, links, recording, confidence, warnings."""
    return (
        *_steps(diagnosis),
        _basis(diagnosis),
        _ranks(diagnosis),
        *_quality(diagnosis),
        *_recording(diagnosis),
        *_confidence(diagnosis),
        *_warnings(diagnosis),
    )


def fidelity_text(error: float, identity: float | None, unprofiled: float | None) -> str:
    """How far the replay is from the traced step, and from the unprofiled one where that is known."""
    if identity is None:
        return f"replay within {_within(error)}"
    told = f"replay within {_within(identity)} of the traced step"
    return told if unprofiled is None else f"{told}, {_within(unprofiled)} of the unprofiled one"


def _within(error: float) -> str:
    """Nothing is exact: what is shown with one digit is within 0.1 % at best."""
    return format_percent(max(abs(error), 0.001))


def sharing_texts(found: Sharing) -> list[str]:
    """What sharing the device costs, as the recording tells."""
    known = (
        ("kernels beside collectives", found.kernels, found.kernel_pairs),
        ("collectives beside kernels", found.collectives, found.collective_pairs),
    )
    return [
        f"{what} run {factor:.2f} times as long ({format_count(pairs)} pairs)"
        for what, factor, pairs in known
        if factor is not None
    ]


def _steps(diagnosis: Diagnosis) -> list[Trust]:
    capture = diagnosis.capture
    if capture.steps_measured is None:
        by_hand = capture.basis == "unprofiled" and diagnosis.step.mean_ms is not None
        first = [Trust("mean step given by hand, spread unknown" if by_hand else "measured steps unknown", True)]
    else:
        left_out = "" if capture.steps_excluded is None else f" ({capture.steps_excluded} excluded)"
        plural = "" if capture.steps_measured == 1 else "s"
        text = f"{capture.steps_measured} step{plural} measured{left_out}"
        first = [Trust(text, capture.steps_measured < FEWEST_STEPS)]
    return first if capture.steps_traced is None else [*first, Trust(f"{capture.steps_traced} traced")]


def _basis(diagnosis: Diagnosis) -> Trust:
    capture, mean = diagnosis.capture, diagnosis.step.mean_ms
    if capture.basis == "profiled":
        return Trust("step time taken under the profiler, which slows it", True)
    if capture.traced_step_ms is None or mean is None:
        return Trust("step time without the profiler")
    return Trust(f"{format_ms(mean)} without the profiler, {format_ms(capture.traced_step_ms)} with it")


def _ranks(diagnosis: Diagnosis) -> Trust:
    seen, world = len(diagnosis.source.ranks), diagnosis.source.world_size
    if world is not None and seen < world:
        return Trust(f"{seen} of {world} ranks seen", True)
    return Trust(f"{seen} rank{'' if seen == 1 else 's'}" if seen else "ranks unknown", not seen)


def _quality(diagnosis: Diagnosis) -> list[Trust]:
    capture, items = diagnosis.capture, []
    if capture.overhead_pct is not None:
        text = f"recording overhead {format_percent(capture.overhead_pct / 100)}"
        items.append(Trust(text, capture.overhead_pct > LARGEST_OVERHEAD_PCT))
    if capture.replay_error is not None:
        unprofiled = None if capture.basis == "profiled" else capture.unprofiled_error
        text = fidelity_text(capture.replay_error, capture.identity_error, unprofiled)
        items.append(Trust(text, abs(capture.replay_error) > LARGEST_REPLAY_ERROR, True))
    if capture.sharing is not None:
        items += [Trust(text) for text in sharing_texts(capture.sharing)]
    if capture.unlinked_kernel_share:
        text = f"{format_percent(capture.unlinked_kernel_share)} of kernels without a launch"
        items.append(Trust(text, capture.unlinked_kernel_share > LARGEST_UNLINKED))
    return items


def _recording(diagnosis: Diagnosis) -> list[Trust]:
    """What is damaged, coarse or missing in the recording; that rows overlap or were mended weakens nothing."""
    found = diagnosis.capture.recording
    if found is None:
        return []
    items = []
    if found.lost_events:
        items.append(Trust(f"{format_percent(found.lost_share)} of the events lost", True))
    if found.cut:
        items.append(Trust("recording cut short", found.cut_in_events))
    if found.repaired_events:
        items.append(Trust(f"{format_count(found.repaired_events)} damaged events mended"))
    if found.clock_error_share > LARGEST_CLOCK_ERROR and found.clock_quantum_ns is not None:
        moved = format_percent(found.clock_error_share)
        items.append(Trust(f"times in whole {format_ns(found.clock_quantum_ns)}, which may move {moved}", True))
    if found.overlapping_rows:
        items.append(Trust(f"{format_count(found.overlapping_rows)} overlaps on a stream, kept"))
    if missing := _missing(found):
        items.append(Trust(f"recorded without {', '.join(missing)}", found.marked_steps == 0))
    return items


def _missing(found: Recording) -> list[str]:
    told = found.collective_arguments_share
    absent = {
        "step marks": found.marked_steps == 0,
        "operators": not found.has_operators,
        "shapes": not found.has_shapes,
        "launch flows": found.has_flows is False,
        "collective arguments": told is not None and told < 0.5,
    }
    return [name for name, yes in absent.items() if yes]


def _confidence(diagnosis: Diagnosis) -> list[Trust]:
    verdict = diagnosis.verdict
    if verdict.bound is None or verdict.confidence is None or verdict.confidence >= LEAST_CONFIDENCE:
        return []
    return [Trust(f"confidence {confidence_word(verdict.confidence)}", True)]


def _warnings(diagnosis: Diagnosis) -> list[Trust]:
    return [Trust(visible(text), True) for text in diagnosis.capture.warnings]
