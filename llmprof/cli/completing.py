"""What can be completed on the command line? Names of rules, fixes and run directories, read without the analysis.

A shell waits for the answer at every press of the key, so that nothing is imported that takes time: the ids are read
out of the sources. Rules of other packages are not among them.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

__all__ = ["fix_ids", "rule_ids", "run_directories"]

_RULE = re.compile(r"^\s+id=\"([a-z0-9-]+)\",$", re.MULTILINE)
_FIX = re.compile(r"^    _fix\(\"([a-z0-9-]+)\"", re.MULTILINE)
RUNS = "llmprof-runs"
MOST = 40


def rule_ids(incomplete: str) -> list[str]:
    """Ids of rules that begin like this."""
    folder = resources.files("llmprof") / "analyzers" / "rules"
    found = []
    for file in folder.iterdir():
        name = file.name.removesuffix(".py").replace("_", "-")
        # A rule is called as its file; other files of the folder make no rule.
        if file.name.endswith(".py") and name.startswith(incomplete) and name in _RULE.findall(file.read_text("utf-8")):
            found.append(name)
    return sorted(found)


def fix_ids(incomplete: str) -> list[str]:
    """Ids of fixes that begin like this."""
    source = (resources.files("llmprof") / "analyzers" / "rules" / "fixes.py").read_text("utf-8")
    return [name for name in _FIX.findall(source) if name.startswith(incomplete)]


def run_directories(incomplete: str) -> list[str]:
    """Run directories where `llmprof run` puts them, the newest first; for any other path the shell completes files."""
    try:
        runs = [path for path in Path(RUNS).iterdir() if (path / "run.json").is_file()]
    except OSError:
        return []
    names = (f"{RUNS}/{path.name}" for path in sorted(runs, key=lambda path: path.name, reverse=True))
    return [name for name in names if name.startswith(incomplete)][:MOST]
