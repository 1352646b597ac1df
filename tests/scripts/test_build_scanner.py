"""Is the scanner that is shipped the one that its sources describe?"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from scripts import build_scanner


def test_the_shipped_text_was_made_from_these_sources() -> None:
    assert build_scanner.main(["--check"]) == 0, "run scripts/build_scanner.py"


def test_the_shipped_text_names_no_machine_and_calls_nothing_outside() -> None:
    text = build_scanner.TARGET.read_text(encoding="ascii")
    assert "target triple" not in text
    assert "target datalayout" not in text
    assert set(re.findall(r"^define (?!internal).*?@(\w+)", text, re.MULTILINE)) == {"scan", "rehash"}
    assert all(name.startswith("llvm.") for name in re.findall(r"^declare .*?@([\w.]+)", text, re.MULTILINE))


@pytest.mark.slow
def test_the_shipped_text_is_what_the_sources_compile_to() -> None:
    version = pytest.importorskip("numba").__version__
    shipped = build_scanner.TARGET.read_text(encoding="ascii")
    if f"numba {version}" not in shipped:
        pytest.skip("made with another numba")
    code = "from scripts import build_scanner; print(build_scanner.text_of_scanner(), end='')"
    root = build_scanner.FILES.parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == shipped
