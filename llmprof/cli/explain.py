"""How does `llmprof explain` tell what a rule looks for?"""

from __future__ import annotations

from typing import Annotated

import typer

from llmprof.cli.completing import rule_ids
from llmprof.cli.console import answer

__all__ = ["explain"]


def explain(
    rule: Annotated[
        str,
        typer.Argument(metavar="RULE", help="The id of a rule, as `llmprof rules` lists it.", autocompletion=rule_ids),
    ],
) -> None:
    """Tell what a rule looks for, why it costs time, how it is measured, and what to do about it."""
    from llmprof.analyzers.rules.registry import document_of

    answer(document_of(rule))
