"""Do `llmprof rules` and `llmprof explain` tell what is looked for, and which fixes there are?"""

from __future__ import annotations

import json

from tests.cli.conftest import InProcess, Llmprof, assert_one_sentence

SEVEN = {
    "input-starvation",
    "pageable-transfers",
    "launch-bound",
    "fp32-matmul",
    "unfused-optimizer",
    "exposed-collectives",
    "memory-near-limit",
}


def test_the_list_names_every_rule(llmprof: Llmprof) -> None:
    done = llmprof("rules")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(rule in done.stdout for rule in SEVEN)


def test_the_json_list_names_rules_and_fixes(in_process: InProcess) -> None:
    document = json.loads(in_process("rules", "--json").stdout)
    assert {rule["id"] for rule in document["rules"]} >= SEVEN
    fixes = {fix["id"] for fix in document["fixes"]}
    assert {"dataloader-workers", "cuda-graphs", "wrap-ddp"} <= fixes
    assert all(fix in fixes for rule in document["rules"] for fix in rule["fixes"])


def test_a_rule_is_explained_under_its_headings(in_process: InProcess) -> None:
    done = in_process("explain", "launch-bound")
    assert (done.returncode, done.stderr) == (0, "")
    for heading in ("Detects", "Why it costs time", "How it is measured", "Does not apply when", "Fix", "Verify"):
        assert heading in done.stdout


def test_an_unknown_rule_is_answered_with_the_nearest(in_process: InProcess) -> None:
    done = in_process("explain", "launch-bond")
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert "launch-bound" in done.stderr
