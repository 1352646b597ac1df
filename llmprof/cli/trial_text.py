"""How is a trial told on a terminal? A pure function of its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmprof.units import format_ms, format_ms_range, format_percent

__all__ = ["OUTCOMES", "trial_text"]

OUTCOMES = {
    "kept": "the promise came true",
    "more": "it saved more than was promised",
    "less": "it saved less than was promised",
    "undecided": "the runs differ too much to tell",
    "unpromised": "nothing was promised for this",
}


def trial_text(document: Mapping[str, Any], path: str) -> str:
    """The lines of a trial; each begins with its name."""
    return "\n".join(f"{name:<10} {text}".rstrip() for name, text in _lines(document, path))


def _lines(document: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for fix in document["fixes"]:
        name = fix["id"] if fix["value"] is None else f"{fix['id']}={fix['value']}"
        what = "; ".join(fix["what"])
        mark = " (changes the numbers)" if fix["numerics"] else ""
        status = "never applied" if fix["status"] == "never" else fix["status"] or "not known"
        yield "fix", f"{name}{mark}: {status}{f', {what}' if what else ''}"
        for reason in fix["reasons"]:
            yield "", f"left alone: {reason}" if fix["status"] == "applied" else reason
    result = document["comparison"]
    if result is not None:
        yield from _measured(result, "record longer runs" if document["against"] else "add --pairs and --steps")
    losses = document["losses"]
    if losses is not None:
        yield "losses", _losses(losses)
    elif result is not None and document["against"] is not None:
        yield (
            "losses",
            "not compared: a usual recording holds none; compare what the script prints, or record both with "
            "`LLMPROF_FIXES= llmprof run -- COMMAND`, which keeps them",
        )
    elif result is not None and any(fix["numerics"] for fix in document["fixes"]):
        yield "losses", "not seen: no backward of a single value; compare them in the output of the script"
    for warning in document["warnings"]:
        yield "warning", warning
    yield "written", path


def _measured(result: Mapping[str, Any], more: str) -> Iterator[tuple[str, str]]:
    for side in ("plain", "fixed"):
        one = result[side]
        runs = ", ".join(format_ms(value) for value in one["runs_ms"])
        yield (
            side,
            f"{format_ms(one['mean_ms'])} a step ({format_ms_range(one['low_ms'], one['high_ms'])}); "
            f"{one['steps']} steps, by run: {runs}",
        )
    saved = f"{format_ms(result['saved_low_ms'])} to {format_ms(result['saved_high_ms'])}"
    share = format_percent(result["saved_ms"] / result["plain"]["mean_ms"])
    yield "saved", f"{format_ms(result['saved_ms'])} a step ({saved}), {share} of it"
    if result["predicted_ms"] is not None:
        expected, low, high = result["predicted_ms"]
        between = format_ms_range(low, high)
        share = "" if expected is None else f", {format_percent(1 - expected / result['plain']['mean_ms'])} saved"
        told = between if expected is None else f"{format_ms(expected)} a step ({between})"
        yield "predicted", told + share
    outcome = OUTCOMES[result["outcome"]]
    if result["outcome"] == "kept" and result["saved_low_ms"] <= 0:
        outcome = f"within what was promised, as no gain would be too; {more}"
    if result["outcome"] == "undecided":
        outcome += f"; {more}"
    if result["saved_high_ms"] < 0:
        outcome += ": the step has become longer"
    yield "outcome", outcome


def _losses(losses: Mapping[str, Any]) -> str:
    means = [f"{value:.4g}" if value is not None else "not a number" for value in (losses["plain"], losses["fixed"])]
    told = f"plain {means[0]}, fixed {means[1]} at the end of {losses['count']} backwards"
    apart, among = losses["difference"], losses["plain_difference"]
    if apart is None:
        return f"{told}: the fix breaks the numbers" if losses["plain"] is not None else told
    return f"{told}; they differ by {format_percent(apart)} in the mean" + (
        f", two plain runs by {format_percent(among)}" if among is not None else ""
    )
