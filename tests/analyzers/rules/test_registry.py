"""Are all rules found, ordered and heard, whatever one of them does?"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
from pathlib import Path

import pytest

import llmprof.analyzers.rules
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import registry
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import FIXES
from llmprof.analyzers.rules.registry import HEADINGS, RegisteredRule, collect, describe, document_of, registered
from llmprof.errors import InputError, LlmprofError
from tests.analyzers.rules.facts_builder import make_facts


def rule(name: str, module: str = "here", category: str = "host") -> RegisteredRule:
    made = Rule(id=name, category=category, title="fine", failed_title="not fine", fixes=())
    return RegisteredRule(rule=made, evaluate=lambda facts: made.passed("ok"), module=module)


def test_a_module_with_a_rule_is_found_and_named_after_it() -> None:
    folder = Path(llmprof.analyzers.rules.__file__).parent
    named = {path.stem for path in folder.glob("*.py") if "\nRULE = Rule(" in path.read_text()}
    own = {one.rule.id: one.module for one in registered() if one.module.startswith("llmprof.")}
    assert {module.rsplit(".", 1)[1] for module in own.values()} == named
    assert all(module.rsplit(".", 1)[1] == name.replace("-", "_") for name, module in own.items())


def test_rules_stand_by_category_then_id() -> None:
    order = [(one.rule.category, one.rule.id) for one in registered()]
    assert order == sorted(order)


def test_every_rule_documents_itself_under_all_headings() -> None:
    for one in registered():
        doc = describe(one.rule.id)
        assert tuple(doc.sections) == HEADINGS
        assert doc.question.endswith("?") and all(doc.sections.values())
        assert set(one.rule.fixes) <= set(FIXES)  # a rule that only informs has none
        assert one.rule.thresholds


def test_rules_compare_with_named_thresholds_only() -> None:
    """A fraction that decides something stands in thresholds.py with its source."""
    for one in registered():
        tree = ast.parse(Path(importlib.import_module(one.module).__file__ or "").read_text())
        limits = [
            node for compare in ast.walk(tree) if isinstance(compare, ast.Compare) for node in compare.comparators
        ]
        bare = [node.value for node in limits if isinstance(node, ast.Constant) and isinstance(node.value, float)]
        assert all(value == 0.0 for value in bare), f"{one.module} compares with {bare}"


def test_two_rules_of_one_name_are_refused_with_both_places() -> None:
    with pytest.raises(LlmprofError, match=r"pack\.one.*other\.two"):
        collect([rule("same", "pack.one"), rule("same", "other.two")])


def test_a_failing_rule_does_not_stop_the_rest() -> None:
    def fail(facts: Facts) -> Judgement:
        raise ValueError("two\nlines")

    broken = RegisteredRule(rule=rule("broken").rule, evaluate=fail, module="here")
    answers = registry.evaluate_all(make_facts(100), [broken, rule("fine")])
    assert [one.finding.status for one in answers] == ["error", "passed"]
    assert "ValueError (two lines)" in answers[0].finding.summary
    assert "\n" not in answers[0].finding.summary


def test_a_rule_of_another_package_that_cannot_be_loaded_is_an_error_finding() -> None:
    point = importlib.metadata.EntryPoint(name="far-rule", value="no_such_package.rule", group="llmprof.rules")
    found = registry._from_entry_point(point)
    (answer,) = registry.evaluate_all(make_facts(100), [found])
    assert (answer.finding.rule, answer.finding.status) == ("far-rule", "error")


def test_every_rule_answers_when_nothing_is_known() -> None:
    for answer in registry.evaluate_all(make_facts(100, no_partition=True)):
        assert answer.finding.status in ("no_data", "not_applicable"), answer.finding
        assert answer.recommendations == ()


def test_an_unknown_rule_is_answered_with_near_ones() -> None:
    with pytest.raises(InputError, match="launch-bound"):
        describe("launch-bond")


def test_the_text_for_a_terminal_names_the_fixes() -> None:
    text = document_of("launch-bound")
    assert all(heading in text for heading in HEADINGS)
    assert "cuda-graphs" in text
