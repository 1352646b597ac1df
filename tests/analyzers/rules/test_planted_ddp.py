"""Is a useless search for unused parameters named in a real run of two ranks that `llmprof run` records on the CPU?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.analyzers.facts.measure import measure
from llmprof.analyzers.rules import ddp_misuse
from llmprof.collectors.files import load
from tests.analyzers.rules.facts_builder import fix

pytest.importorskip("torch", reason="records a training")

SCRIPT = Path(__file__).with_name("planted_ddp.py")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_for_nothing_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    command = [sys.executable, "-m", "llmprof", "run", "--no-report", "-o", str(run), "--", *launched]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    facts = measure(load([str(run)]))
    found = ddp_misuse.evaluate(facts)
    assert found.finding.status == "fired", found.finding.summary
    assert "find_unused_parameters" in fix(found, "static-graph").action
