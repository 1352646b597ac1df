"""Which packages does this environment lack for llmprof, and how do they get in without touching what is there?

    .venv/bin/python scripts/install.py [EXTRA ...]

Nothing is downloaded when nothing is missing: an environment that sees the packages of its base Python
(`make demo VENV_ARGS=--system-site-packages`) is set up without a network. A torch that is there is never replaced.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

# The interpreter of a venv has pip, and pip brings these two along (tomllib is in the standard library from 3.11 on).
from pip._vendor.packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints" / "dev.txt"
COMMAND = Path(sysconfig.get_path("scripts"), "llmprof")


def main(extras: list[str]) -> int:
    project = read_project()
    missing = [text for text in requirements(project, extras) if not is_there(text)]
    if missing:
        say("installs: " + ", ".join(missing))
        if pip("install", "--constraint", str(CONSTRAINTS), *missing):
            say("could not install them: check the network, or start from a Python that has them already and use")
            say("`make VENV_ARGS=--system-site-packages ...` (remove .venv first).")
            return 1
    else:
        say("every package that is needed is there already")
    if not is_installed_here():
        # Older ones cannot read our pyproject.toml (PEP 639), and fetching a newer one would need a network.
        editable = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        if not is_there("setuptools>=77") or pip(*editable) != 0:
            say("there is no setuptools 77 or newer for an editable install; links the folder instead")
            link()
    say(f"llmprof is installed from {ROOT}")
    return 0


def read_project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        from pip._vendor import tomli as tomllib
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """The requirements of the project and of these extras; an extra that names another one of ours is followed."""
    found = list(project["dependencies"])
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            inner = re.fullmatch(r"llmprof\[([\w,-]+)\]", text)
            found += requirements({**project, "dependencies": []}, inner[1].split(",")) if inner else [text]
    return found


def is_there(text: str) -> bool:
    """Whether a requirement is met by what this interpreter can import."""
    wanted = Requirement(text)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        # A torch built by hand may come without metadata.
        return wanted.name == "torch" and importlib.util.find_spec("torch") is not None
    return wanted.specifier.contains(version, prereleases=True)


def is_installed_here() -> bool:
    """Whether `import llmprof` in this environment, away from the checkout, gives the checkout."""
    code = "import llmprof, sys; sys.stdout.write(llmprof.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False).stdout
    return bool(found) and Path(found).is_relative_to(ROOT) and COMMAND.exists()


def link() -> None:
    """Make the checkout importable and put the command beside the interpreter, as an editable install would."""
    Path(sysconfig.get_path("purelib"), "llmprof.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    COMMAND.write_text(f"#!{sys.executable}\nfrom llmprof.cli.app import main\n\nmain()\n", encoding="utf-8")
    COMMAND.chmod(0o755)


def pip(*arguments: str) -> int:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False).returncode


def say(text: str) -> None:
    print(f"install: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
