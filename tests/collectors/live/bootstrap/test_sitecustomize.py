"""Any Python that a command starts passes by unharmed, of any version, with or without a sitecustomize of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.collectors.launch import _fill_bootstrap

VERSIONS = ("python2.7", "python3.6", "python3.8", "python3.9", "python3.10", "python3.12", "python3.13", "python3.14")
LOOK = (
    "import sys; sys.stdout.write('%r %r' % ([entry for entry in sys.path if 'bootstrap' in entry], "
    "getattr(sys.modules.get('sitecustomize'), '__file__', None)))"
)


@pytest.fixture
def bootstrap(tmp_path: Path) -> Path:
    folder = tmp_path / "bootstrap"
    folder.mkdir()
    _fill_bootstrap(folder, {"trace_steps": 0})
    return folder


def pythons() -> list[str]:
    """This one, and those on PATH that start."""
    found = [path for name in VERSIONS if (path := shutil.which(name)) is not None]
    return [
        sys.executable,
        *(path for path in found if not subprocess.run([path, "-c", ""], capture_output=True).returncode),
    ]


def start(python: str, *path: Path, code: str = LOOK) -> tuple[str, str]:
    """What a Python says that starts with these folders on PYTHONPATH."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("python", pythons())
def test_a_process_is_as_it_would_be_alone(bootstrap: Path, tmp_path: Path, python: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    assert start(python, bootstrap, own) == start(python, own)
    for line in (
        "import sys; sys.stderr.write('hidden but run')",
        "raise ValueError('of its own')",
        "import not_there",
    ):
        (own / "sitecustomize.py").write_text(line + "\n")
        assert start(python, bootstrap, own) == start(python, own)


def test_the_users_usercustomize_is_run_as_well(bootstrap: Path, tmp_path: Path) -> None:
    """Environments have none; the Python that this one was made from has."""
    python = os.path.realpath(sys.executable)
    base = {**os.environ, "PYTHONUSERBASE": str(tmp_path / "user"), "PYTHONPATH": str(bootstrap)}
    asked = [python, "-c", "import site; print(site.getusersitepackages(), site.ENABLE_USER_SITE)"]
    folder, enabled = subprocess.run(asked, env=base, capture_output=True, text=True, check=True).stdout.split()
    if enabled != "True":
        pytest.skip("this Python has no user site")
    Path(folder).mkdir(parents=True)
    (Path(folder) / "usercustomize.py").write_text("print('usercustomize')\n")
    assert subprocess.run([python, "-c", ""], env=base, capture_output=True, text=True, check=True).stdout == (
        "usercustomize\n"
    )


def test_the_archive_holds_all_that_the_recorder_imports(bootstrap: Path) -> None:
    code = f"""
import pkgutil, sys
sys.path[:] = [{str(bootstrap / "llmprof.zip")!r}, *(entry for entry in sys.path if entry)]
import llmprof
for module in pkgutil.walk_packages(llmprof.__path__, "llmprof."):
    recorder = module.name.startswith(("llmprof.collectors.live", "llmprof.collectors.telemetry"))
    if recorder and ".bootstrap" not in module.name and not module.name.endswith("__main__"):
        __import__(module.name)
print(llmprof.__file__, "torch" in sys.modules, "llmprof.collectors.live.recorder" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    expected = f"{bootstrap / 'llmprof.zip' / 'llmprof' / '__init__.py'} False True\n"
    assert (done.stdout, done.stderr) == (expected, "")


def test_a_folder_that_is_called_llmprof_is_no_package(bootstrap: Path, tmp_path: Path) -> None:
    (tmp_path / "llmprof").mkdir()
    code = "import llmprof_bootstrap; print(llmprof_bootstrap._has_package())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(bootstrap)!r}]; {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
