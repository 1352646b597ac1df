"""A stand-in for the nsys program: `profile` runs the command and leaves a report, `export` turns it into SQLite."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from llmprof.collectors.files.nsys.convert import REPORT_HEADER

PROGRAM = """#!{python}
import json, os, subprocess, sys
from pathlib import Path
mode, arguments = sys.argv[1], sys.argv[2:]
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
output = next(word.partition("=")[2] for word in arguments if word.startswith("--output="))
if mode == "profile":
    command = next(place for place, word in enumerate(arguments) if not word.startswith("-"))
    code = subprocess.call(arguments[command:])
    if {report}:
        Path(output + ".nsys-rep").write_bytes({header!r} + b"2025@3@2@474-x")
    sys.exit(code)
if "--include-blobs=true" in arguments and {old}:
    sys.exit("unrecognised option '--include-blobs'")
if not {export!r}:
    sys.exit("the report was made by a newer version")
Path(output).write_bytes(Path({export!r}).read_bytes())
"""


def install(folder: Path, export: Path | None, *, report: bool = True, old: bool = False) -> Path:
    """Put `nsys` into `folder`; it exports `export`, and refuses to when that is None. Returns the log of its calls.

    report   whether `profile` leaves a report
    old      whether `export` does not know --include-blobs
    """
    folder.mkdir(exist_ok=True)
    log = folder / "calls.jsonl"
    program = folder / "nsys"
    program.write_text(
        PROGRAM.format(
            python=sys.executable, log=str(log), report=report, header=REPORT_HEADER, old=old,
            export="" if export is None else str(export),
        )
    )  # fmt: skip
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return log
