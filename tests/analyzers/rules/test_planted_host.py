"""Do the rules on host and input name what is planted in real trainings that `llmprof run` records on the CPU?"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.collectors.files import load
from tests.analyzers.rules.facts_builder import assert_consistent

pytest.importorskip("torch", reason="records a training")

SCRIPT = Path(__file__).with_name("planted_host.py")

PLANTED = {
    "workers,anomaly,preprocessing": {"worker-count-over-cores", "debug-switches", "main-thread-preprocessing"},
    "gc": {"python-gc"},
    "epochs": {"epoch-boundary-stall"},
    "tail": {"heavy-tailed-batches"},
    "python": {"python-overhead"},
    "recompile": {"recompilation"},
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_named(planted: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "llmprof", "run", "--no-report", "-o", str(run), "--", sys.executable, str(SCRIPT)]
    subprocess.run([*command, planted], check=True, capture_output=True, timeout=280)
    facts = measure(load([str(run)]))
    modules = {name: f"llmprof.analyzers.rules.{name.replace('-', '_')}" for name in PLANTED[planted]}
    judgements = {name: import_module(module).evaluate(facts) for name, module in modules.items()}
    assert {name for name, one in judgements.items() if one.finding.status != "fired"} == set()
    for one in judgements.values():
        for advice in one.recommendations:
            assert_consistent(advice, facts)
