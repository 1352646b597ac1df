"""Which rules are there, and what do all of them say about a run?

A rule is found because its module lies in this package, or because another package names it in the entry-point group
`llmprof.rules`. Rules run in the order (category, id); one that fails never stops the rest.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from types import ModuleType

from llmprof.analyzers import rules as _package
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules.base import Evaluate, Judgement, Rule
from llmprof.analyzers.rules.fixes import FIXES
from llmprof.errors import InputError, LlmprofError

__all__ = [
    "HEADINGS",
    "RegisteredRule",
    "RuleDoc",
    "all_rules",
    "collect",
    "describe",
    "document_of",
    "evaluate_all",
    "registered",
]

GROUP = "llmprof.rules"
HEADINGS = ("Detects", "Why it costs time", "How it is measured", "Does not apply when", "Fix", "Verify")
"""The headings of a rule's docstring, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredRule:
    """A rule with its function and where it comes from."""

    rule: Rule
    evaluate: Evaluate
    module: str
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDoc:
    """What a rule's docstring says: its question, and its sections by heading in the order of the docstring."""

    rule: Rule
    question: str
    sections: Mapping[str, str] = field(default_factory=dict)


def all_rules() -> tuple[Rule, ...]:
    """Every rule in the order (category, id). Raises LlmprofError when two rules have the same id."""
    return tuple(one.rule for one in registered())


@lru_cache(maxsize=1)
def registered() -> tuple[RegisteredRule, ...]:
    """Every rule with its function, in the order (category, id). Raises LlmprofError for two with the same id."""
    names = (f"{_package.__name__}.{info.name}" for info in pkgutil.iter_modules(_package.__path__))
    own = [found for found in map(_from_module, map(importlib.import_module, names)) if found is not None]
    return collect([*own, *(_from_entry_point(point) for point in metadata.entry_points(group=GROUP))])


def collect(found: Iterable[RegisteredRule]) -> tuple[RegisteredRule, ...]:
    """Put rules in order. Raises LlmprofError when two have the same id."""
    by_id: dict[str, RegisteredRule] = {}
    for one in found:
        other = by_id.setdefault(one.rule.id, one)
        if other is not one:
            raise LlmprofError(
                f"two rules are called {one.rule.id}: {other.module} and {one.module}; rename or uninstall one of them."
            )
    return tuple(sorted(by_id.values(), key=lambda one: (one.rule.category, one.rule.id)))


def evaluate_all(facts: Facts, rules: Iterable[RegisteredRule] | None = None) -> tuple[Judgement, ...]:
    """What every rule says about these facts, in the order of the rules."""
    return tuple(_evaluate(one, facts) for one in (registered() if rules is None else rules))


def describe(rule_id: str) -> RuleDoc:
    """What a rule looks for, from its docstring. Raises InputError, naming the nearest ids, for an unknown one."""
    rules = {one.rule.id: one for one in registered()}
    if rule_id not in rules:
        near = difflib.get_close_matches(rule_id, rules, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`llmprof rules` lists them all."
        raise InputError(f"there is no rule called {rule_id}; {hint}")
    question, sections = _parse(rules[rule_id].doc)
    return RuleDoc(rule=rules[rule_id].rule, question=question, sections=sections)


def document_of(rule_id: str) -> str:
    """The same as text for a terminal, with the fixes the rule may give. Raises InputError for an unknown id."""
    found = describe(rule_id)
    blocks = [f"{rule_id} ({found.rule.category})", found.question]
    blocks += [f"{heading}\n{_indented(text)}" for heading, text in found.sections.items()]
    known = [FIXES[fix] for fix in found.rule.fixes if fix in FIXES]
    if known:
        width = max(len(fix.id) for fix in known)
        blocks.append("Fix ids\n" + _indented("\n".join(f"{fix.id:{width}}  {fix.does}" for fix in known)))
    return "\n\n".join(blocks)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))


def _evaluate(one: RegisteredRule, facts: Facts) -> Judgement:
    try:
        return one.evaluate(facts)
    except Exception as error:  # a rule from anywhere: the others must still be heard
        kind = type(error).__name__
        text = " ".join(str(error).split())
        return one.rule.error(f"This rule failed with {kind}{f' ({text})' if text else ''}; please report it.")


def _from_module(module: ModuleType) -> RegisteredRule | None:
    rule = getattr(module, "RULE", None)
    if not isinstance(rule, Rule):
        return None
    doc = inspect.cleandoc(module.__doc__ or "")
    return RegisteredRule(rule=rule, evaluate=module.evaluate, module=module.__name__, doc=doc)


def _from_entry_point(point: metadata.EntryPoint) -> RegisteredRule:
    """A rule of another package; one that cannot be loaded answers with an error instead of stopping the rest."""
    try:
        found = _from_module(point.load())
        if found is None:
            raise TypeError(f"{point.value} has no RULE")
        return found
    except Exception as error:
        failure = error  # the name `error` ends with this block
        rule = Rule(id=point.name, category="other", title=point.value, failed_title=point.value, fixes=())

        def fail(facts: Facts) -> Judgement:
            raise failure

        return RegisteredRule(rule=rule, evaluate=fail, module=point.value)


_HEADING = re.compile(r"^([A-Z][^\n:]*):\n(?=[ ]{4})", re.MULTILINE)


def _parse(doc: str) -> tuple[str, Mapping[str, str]]:
    """Split a docstring into its first line and its sections: a heading with a colon, then indented text."""
    pieces = _HEADING.split(doc)
    texts = [inspect.cleandoc(piece) for piece in pieces[2::2]]
    return pieces[0].strip().split("\n")[0], dict(zip(pieces[1::2], texts, strict=True))
