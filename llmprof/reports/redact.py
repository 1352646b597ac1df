"""What must not leave the house with a report? Paths, machines and arguments, replaced in a diagnosis."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from llmprof.analyzers.diagnosis import Diagnosis

__all__ = ["redacted", "without_paths"]

_PATH = re.compile(
    r"(?:(?<![\w./~-])|(?<=[=:,('\"]))"  # where a path can begin
    r"(?:[a-z][a-z0-9+.-]*://|~?/|\.{1,2}/|[A-Za-z]:\\)"  # an address, /, ~/, ./, ../ or C:\
    r"(?:[^\s'\"`,;:)|\\/<>]+[\\/])+"  # folders
)
_KEPT = ("/dev/", "/proc/", "/sys/")
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_HIDDEN = "..."
_NOBODY = ("", "localhost", _HIDDEN)
"""Names that tell nothing of a machine."""


def without_paths(text: str) -> str:
    """The text with the folders of every path left out: `/home/ada/x/train.py` becomes `.../train.py`."""
    return _PATH.sub(lambda found: found[0] if found[0].startswith(_KEPT) else f"{_HIDDEN}/", text)


def redacted(diagnosis: Diagnosis) -> Diagnosis:
    """The same diagnosis without folders, names of machines, addresses and the arguments of the command.

    Names of kernels, modules and files stay, and every figure does. Machines are numbered, so that ranks of one machine
    can still be told; of the environment variables only the names stay.
    """
    hosts = _hosts(diagnosis)
    clean = _cleaner(hosts)
    fields = {f.name: _walk(getattr(diagnosis, f.name), clean) for f in dataclasses.fields(diagnosis)}
    environment = dict(fields["environment"])
    command = environment.get("command")
    if isinstance(command, list | tuple) and command:
        environment["command"] = _command([str(word) for word in command])
    if isinstance(environment.get("variables"), Mapping):
        environment["variables"] = dict.fromkeys(environment["variables"], _HIDDEN)
    fields["environment"] = environment
    paths = tuple(
        path if "/" not in path else f"{_HIDDEN}/{path.rstrip('/').rpartition('/')[2]}"
        for path in diagnosis.source.paths
    )
    fields["source"] = dataclasses.replace(diagnosis.source, paths=tuple(clean(path) for path in paths))
    return Diagnosis(**fields)


def _hosts(diagnosis: Diagnosis) -> Mapping[str, str]:
    """Names of machines that the document knows, each with its number."""
    about = diagnosis.details.get("ranks", {})
    names = about.get("hosts", {}) if isinstance(about, Mapping) else {}
    found = [str(name) for name in (names.values() if isinstance(names, Mapping) else ())]
    variables = diagnosis.environment.get("variables") or {}
    if isinstance(variables, Mapping):
        found += [str(variables[key]) for key in ("HOSTNAME", "MASTER_ADDR", "SLURMD_NODENAME") if variables.get(key)]
    named = [name for name in dict.fromkeys(found) if name not in _NOBODY]
    return {name: f"machine {place + 1}" for place, name in enumerate(named)}


def _cleaner(hosts: Mapping[str, str]) -> Callable[[str], str]:
    known = sorted((name for name in hosts if len(name) > 2), key=len, reverse=True)
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, known)) + r")(?![\w-])") if known else None

    def clean(text: str) -> str:
        text = _IP.sub(_HIDDEN, without_paths(text))
        return pattern.sub(lambda found: hosts[found[0]], text) if pattern is not None else text

    return clean


def _command(words: list[str]) -> list[str]:
    """The program and its script; of what follows only that there is something."""
    for place, word in enumerate(words):
        if word.endswith((".py", ".sh")) or (word == "-m" and place + 1 < len(words)):
            end = place + (2 if word == "-m" else 1)
            break
    else:
        end = 1
    kept = [word for place, word in enumerate(words[:end]) if place in (0, end - 1) or word == "-m"]
    return [without_paths(word) for word in kept] + ([f"({len(words) - end} arguments)"] if len(words) > end else [])


def _walk(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: _walk(getattr(value, f.name), clean) for f in dataclasses.fields(value)}
        )
    if isinstance(value, Mapping):
        return {clean(key) if isinstance(key, str) else key: _walk(item, clean) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_walk(item, clean) for item in value)
    return value
