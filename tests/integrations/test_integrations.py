"""Scripts that record themselves through their framework: exact counts, and nothing where nothing records.

Each script prints, as its last line, the updates of its trainings; every run directory lies under runs/.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmprof.timeline import rundir
from tests.collectors.live.conftest import read

pytest.importorskip("torch")

SCRIPTS = Path(__file__).parent / "scripts"
ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path: Path, script: Path) -> str:
    """What the script has printed."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    environment["IPYTHONDIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def counted(tmp_path: Path, script: str) -> Any:
    """What the script has printed last."""
    return json.loads(run(tmp_path, SCRIPTS / script).splitlines()[-1])


def steps(tmp_path: Path, name: str) -> int:
    return len(read(tmp_path / "runs" / name).steps)


def test_huggingface(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `frameworks`")
    pytest.importorskip("accelerate", reason="needs the extra `frameworks`")
    assert counted(tmp_path, "with_huggingface.py") == [12, 12, 12]
    assert sorted(os.listdir(tmp_path / "runs")) == ["block", "callback"]
    assert [steps(tmp_path, name) for name in ("callback", "block")] == [12, 12]
    assert rundir.read_json(tmp_path / "runs/callback" / rundir.RUN)["exit_code"] == 0


def test_lightning(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="needs the extra `frameworks`")
    assert counted(tmp_path, "with_lightning.py") == [12, 12, 12, 2]
    assert sorted(os.listdir(tmp_path / "runs")) == ["block", "callback", "failed"]
    assert [steps(tmp_path, name) for name in ("callback", "block", "failed")] == [12, 12, 2]
    failed = read(tmp_path / "runs/failed").rank
    assert (failed["ended"], failed["reason"]) == ("exception", "ValueError: out of data")


def test_accelerate(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra `frameworks`")
    assert counted(tmp_path, "with_accelerate.py") == [12, 12, 12]
    assert sorted(os.listdir(tmp_path / "runs")) == ["block", "prepared"]
    assert [steps(tmp_path, name) for name in ("prepared", "block")] == [12, 12]


def test_cells_of_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("IPython", reason="needs IPython")
    assert counted(tmp_path, "notebook.py") == 1  # the cell that fails
    assert [steps(tmp_path, name) for name in ("cells", "block", "decorated")] == [12, 5, 4]
    rank = read(tmp_path / "runs/cells").rank
    assert (rank["ended"], rank["reason"]) == ("exit", None)  # the failed cell did not end the recording


PAGE = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^## (.+?)\n.*?^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(("title", "code"), SNIPPETS, ids=[title for title, _ in SNIPPETS])
def test_the_snippets_of_the_page_run_as_they_are(
    title: str, code: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "slow" not in request.config.getoption("markexpr"):
        pytest.skip("takes a minute: pytest -m slow tests/integrations")
    for package in ("transformers", "lightning", "accelerate"):
        if package in code:
            pytest.importorskip(package, reason="needs the extra `frameworks`")
    (tmp_path / "snippet.py").write_text(code)
    run(tmp_path, tmp_path / "snippet.py")
    (name,) = os.listdir(tmp_path / "runs")
    assert steps(tmp_path, name) == (50 if name == "accelerate" else 100)
