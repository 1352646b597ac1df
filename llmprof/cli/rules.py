"""How does `llmprof rules` list what is looked for and which fixes there are?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from llmprof.cli.console import answer

__all__ = ["rules"]


def rules(
    as_json: Annotated[bool, typer.Option("--json", help="Print rules and fixes as JSON and nothing else.")] = False,
) -> None:
    """List all rules, and the fixes that they recommend."""
    from llmprof.analyzers.rules import registry
    from llmprof.analyzers.rules.fixes import FIXES

    found = registry.all_rules()
    if as_json:
        document = {
            "schema": "llmprof.rules/1",
            "rules": [
                {"id": rule.id, "category": rule.category, "title": rule.failed_title, "fixes": list(rule.fixes)}
                for rule in found
            ],
            "fixes": [
                {"id": fix.id, "does": fix.does, "effort": fix.effort, "risk": fix.risk} for fix in FIXES.values()
            ],
        }
        answer(json.dumps(document, indent=1, ensure_ascii=False))
        return
    width = max(len(rule.id) for rule in found)
    lines = [f"{rule.id:{width}}  {rule.category:13}  {rule.failed_title}" for rule in found]
    answer("\n".join([*lines, "", "llmprof explain RULE tells more; llmprof rules --json lists the fixes too."]))
