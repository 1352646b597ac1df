"""How good were the predictions? Tables in markdown from results.jsonl.

python benchmarks/accuracy/report.py results.jsonl [more.jsonl] [--round 1 2] [--tried tried.jsonl]
python benchmarks/accuracy/report.py results.jsonl --reanalyze a.tar b.tar   # today's code; not frozen
python benchmarks/accuracy/report.py results.jsonl --reanalyze a.tar b.tar --ablate [launches loader ...]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in range(3)]

from scoring import Score, first_is_right, healthy_alarms, scores, skill  # noqa: E402
from table import CASES, EVERY, FRESH, HELD_OUT  # noqa: E402

STEP = "median 5 %, worst 15 %"
SURE = 0.03
"""A measured gain that is known to this share of the step, two standard errors, can judge a promise."""
COLUMNS = ("data", "host", "compute", "memory", "communication", "imbalance", "none", "abstained")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--round", type=int, nargs="+", help="only lines of these rounds")
    parser.add_argument("--reanalyze", type=Path, nargs="+", help="archives of run directories, or a folder of them")
    parser.add_argument(
        "--ablate", nargs="*", help="only what the replay is worth without these kinds of edges, or any"
    )
    parser.add_argument("--tried", type=Path, nargs="+", default=[], help="what tried.py has appended")
    args = parser.parse_args(argv)
    lines = [json.loads(row) for path in args.results for row in path.read_text().splitlines() if row]
    lines = [line for line in lines if args.round is None or line.get("round") in args.round]
    if args.reanalyze:
        from reanalyzing import reanalyzed, runs_of

        with tempfile.TemporaryDirectory() as folder:
            runs = runs_of(lines, args.reanalyze, Path(folder))
            if args.ablate is not None:
                from ablating import KINDS, ablated

                print(ablated(lines, runs, args.ablate or KINDS))
                return
            lines = reanalyzed(lines, runs)
        print("NOT FROZEN: predicted by today's code from the recordings, after the fixes were measured.\n")
    print(report(lines))
    if args.tried:
        print(trials([json.loads(row) for path in args.tried for row in path.read_text().splitlines() if row]))


def report(lines: list[dict[str, Any]]) -> str:
    """All tables."""
    all_scores = [score for line in lines for score in scores(line)]
    parts = [overview(lines), confusion(lines), promises(all_scores), quality(all_scores, lines), failures(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(lines: list[dict[str, Any]]) -> str:
    """Case by case: the verdict and the first recommendation."""
    rows = []
    for line in lines:
        found = line.get("prediction") or {}
        first = (found.get("fixes") or [{"id": "nothing"}])[0]["id"]
        case = EVERY.get(line["case"])
        right = first_is_right(line, case.first) if case else None
        bound = found.get("bound")
        alarms = healthy_alarms(line) if case and not case.first else []
        rule = "" if not case or not case.rules else _mark(any(rule in found.get("fired", ()) for rule in case.rules))
        rows.append(
            [line["case"], str(line["ranks"]), "/".join(line["bounds"]),
             f"{bound or 'abstained'} {found.get('detail') or ''}", _mark(bound in line["bounds"]), rule,
             first if right is not None or alarms else f"({first})",
             _mark(right) if right is not None else (f"alarms: {', '.join(alarms)}" if alarms else "no alarm")]
        )  # fmt: skip
    head = ["case", "ranks", "planted", "found", "bound", "rule fired", "first fix", "right"]
    return "## Verdicts\n\n" + table(head, rows)


def confusion(lines: list[dict[str, Any]]) -> str:
    """Planted bound by found bound; a bound that the case accepts beside the planted one counts as right."""
    counts: Counter[tuple[str, str]] = Counter()
    right = hits = planted_fixes = healthy = alarmed = 0
    for line in lines:
        found = (line.get("prediction") or {}).get("bound") or "abstained"
        counts[line["bounds"][0], found] += 1
        right += found in line["bounds"]
        case = EVERY.get(line["case"])
        if case is None:
            continue
        hit = first_is_right(line, case.first)
        planted_fixes, hits = planted_fixes + (hit is not None), hits + bool(hit)
        healthy, alarmed = healthy + (not case.first), alarmed + (not case.first and bool(healthy_alarms(line)))
    rows = [
        [planted, *(str(counts[planted, found] or "") for found in COLUMNS)]
        for planted in COLUMNS
        if any(key[0] == planted for key in counts)
    ]
    said = [
        f"Bound right: {right} of {len(lines)}. First recommendation right: {hits} of {planted_fixes}. "
        f"False alarms where nothing is to be gained: {alarmed} of {healthy}."
    ]
    return "## Planted and found\n\n" + table(["planted \\ found", *COLUMNS], rows) + "\n\n" + "\n".join(said)


def promises(all_scores: list[Score]) -> str:
    """Fix by fix: predicted against measured."""
    rows = [
        [one.case, one.fix, f"{one.recorded_ms:.2f}", f"{one.before_ms:.2f}", f"{one.predicted_ms:.2f}",
         f"{one.after_ms:.2f}", _percent(one.step_error), _percent(one.paired_error),
         f"{_percent(one.low)} to {_percent(one.high)}",
         _percent(one.expected), f"{_percent(one.measured)} ± {_percent(one.noise)}", _mark(one.covered),
         _percent(one.headroom), _percent(one.ceiling), one.basis]
        for one in all_scores
    ]  # fmt: skip
    head = ["case", "fix", "recorded ms", "before ms", "predicted ms", "after ms", "error", "paired", "promised",
            "expected", "measured", "covered", "share × headroom", "ceiling", "basis"]  # fmt: skip
    return "## Promised and measured\n\n" + table(head, rows) if rows else ""


def quality(all_scores: list[Score], lines: list[dict[str, Any]]) -> str:
    """The figures over all cases, beside their targets."""
    if not all_scores:
        return ""
    offered = [one for one in all_scores if one.recommended]
    sure = [one for one in offered if one.noise <= SURE]
    replays = [
        abs(value) for line in lines if (value := (line.get("prediction") or {}).get("replay_error")) is not None
    ]
    baselines = [
        abs(one.recorded_ms / one.before_ms - 1) for one in {score.case: score for score in all_scores}.values()
    ]
    rows = [
        _spread("recorded step against the unrecorded one", baselines, ""),
        _spread("replay of the traced step against the unprofiled one", replays, "median 3 %, 90th percentile 5 %"),
        _spread("step after the fix, off the recorded step, all fixes", [one.step_error for one in all_scores], STEP),
        _spread("the same, recommended fixes", [one.step_error for one in offered], STEP),
        _spread("step after the fix, off the measured step, all fixes", [one.paired_error for one in all_scores], STEP),
        _spread("the same, recommended fixes", [one.paired_error for one in offered], STEP),
        _spread("the same, gains measured to 3 points", [one.paired_error for one in sure], STEP),
        _spread("gain, in shares of the step", [one.gain_error for one in all_scores], ""),
    ]
    text = "## Errors\n\n" + table(["what", "n", "median", "90th percentile", "worst", "target"], rows)
    wrong = [f"{one.case} {one.fix}" for one in all_scores if one.sign_wrong]
    covered = sum(one.covered for one in offered)
    beside = [
        ("llmprof, all fixes", [(one.expected, one.measured) for one in all_scores]),
        ("llmprof, recommended fixes", [(one.expected, one.measured) for one in offered]),
        ("the same, gains measured to 3 points", [(one.expected, one.measured) for one in sure]),
        ("share × headroom", [(one.headroom, one.measured) for one in all_scores if one.headroom is not None]),
        ("ceiling T/(T−R)", [(one.ceiling, one.measured) for one in all_scores if one.ceiling is not None]),
    ]
    skills = [
        [name, str(len(pairs)), "" if (value := skill(pairs)) is None else f"{value:.2f}"] for name, pairs in beside
    ]
    return (
        f"{text}\n\nMeasured gain inside the promised interval: {covered} of {len(offered)} recommended fixes. "
        f"Slower although more than 5 % was promised: {', '.join(wrong) or 'none'}.\n\n"
        "Skill against \"no change\" (1 perfect, 0 as good as none; target 0.8):\n\n"
        + table(["by", "n", "skill"], skills)
    )  # fmt: skip


def trials(lines: list[dict[str, Any]]) -> str:
    """What `llmprof try` measured, fix by fix, in ms a step."""
    rows = []
    for line in lines:
        if line.get("came_true") is None:
            rows.append([line["case"], line["fix"], *[""] * 5, f"not measured: {line['error']}", ""])
            continue
        losses = line["losses"] or {}
        rows.append(
            [line["case"], line["fix"], f"{line['plain_ms']:.2f}", _ms(line["predicted_ms"]),
             " to ".join(filter(None, map(_ms, line["interval_ms"]))), f"{line['measured_ms']:.2f}",
             " to ".join(map(_ms, line["measured_interval_ms"])), line["came_true"],
             " / ".join(filter(None, map(_percent, (losses.get("difference"), losses.get("plain_difference")))))]
        )  # fmt: skip
    told = [line for line in lines if line.get("predicted_ms") is not None]
    errors = [abs(line["predicted_ms"] / line["measured_ms"] - 1) for line in told]
    said = "Error of the step after the fix, off the plain step of the trial: "
    head = ["case", "fix", "plain ms", "predicted ms", "interval", "measured ms", "interval", "outcome",
            "losses differ by / two plain runs"]  # fmt: skip
    text = "## Tried with `llmprof try`\n\n" + table(head, rows)
    return text + (
        f"\n\n{said}median {_percent(statistics.median(errors))}, worst {_percent(max(errors))} of {len(errors)}.\n"
        if errors
        else "\n"
    )


def failures(lines: list[dict[str, Any]]) -> str:
    """What did not work, and rules that broke."""
    said = [f"- {line['case']}: {line['error']}" for line in lines if line.get("error")]
    run = {line["case"] for line in lines}
    groups = (CASES, [name for name in HELD_OUT if name not in FRESH], FRESH)
    missing = [name for group in groups if run & set(group) for name in group if name not in run]
    said += [f"- not run yet: {', '.join(missing)}"] if missing else []
    for line in lines:
        said += [
            f"- {line['case']}, {side}: {what['error']}"
            for side, what in (line.get("sides") or {}).items()
            if what["error"]
        ]
        said += [
            f"- {line['case']}, rule {rule} broke: {why}"
            for rule, why in ((line.get("prediction") or {}).get("broken") or {}).items()
        ]
    return "## Failures\n\n" + "\n".join(said) if said else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spread(name: str, values: list[float], target: str) -> list[str]:
    def shown(pick: Callable[[list[float]], float]) -> str:
        return _percent(pick(values)) if values else ""

    ninth: Callable[[list[float]], float] = lambda found: sorted(found)[min(len(found) - 1, int(0.9 * len(found)))]  # noqa: E731
    return [name, str(len(values)), shown(statistics.median), shown(ninth), shown(max), target]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _mark(good: bool | None) -> str:
    return "" if good is None else "yes" if good else "NO"


if __name__ == "__main__":
    main()
