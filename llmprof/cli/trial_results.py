"""How do the results that lie in a run directory learn of a new trial?"""

from __future__ import annotations

from pathlib import Path

from llmprof.cli.console import note
from llmprof.errors import LlmprofError

__all__ = ["renew_results"]


def renew_results(run: Path) -> list[Path]:
    """Write analysis.json, report.html and verdict.txt again, with all trials, where they are there already.

    What they were made of is not read again. Returns their paths; a failure is one note, and changes nothing else:
    what the trial has measured is written and told already.
    """
    try:
        return _renewed(run.absolute())
    except (LlmprofError, OSError, ValueError, KeyboardInterrupt) as error:
        why = str(error).rstrip(".") or type(error).__name__
        note(f"warning: the results in {run} do not tell of the trial ({why}); `llmprof analyze {run} -o {run}` does.")
        return []


def _renewed(run: Path) -> list[Path]:
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.cli.trials import add_trials
    from llmprof.reports import write_report
    from llmprof.reports.html.renewed import renewed
    from llmprof.reports.terminal import render_plain
    from llmprof.timeline.rundir import write_text_atomic

    analysis, page, verdict = (run / name for name in ("analysis.json", "report.html", "verdict.txt"))
    if not analysis.is_file():
        return []
    text = analysis.read_text(encoding="utf-8", errors="replace")
    diagnosis = add_trials(Diagnosis.from_json(text, where=str(analysis)), [str(run)])
    write_report(diagnosis, analysis)
    written = [analysis]
    if page.is_file():
        new = renewed(page.read_text(encoding="utf-8", errors="replace"), diagnosis, str(page))
        write_text_atomic(page, new.encode("utf-8", "backslashreplace").decode("utf-8"))
        written.append(page)
    if verdict.is_file():
        write_text_atomic(verdict, render_plain(diagnosis, report_path=str(page) if page.is_file() else None))
        written.append(verdict)
    return written
