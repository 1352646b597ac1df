"""How is the diagnosis written as JSON? The document itself, llmprof.analysis/1."""

from __future__ import annotations

from llmprof.analyzers.diagnosis import Diagnosis

__all__ = ["render_json"]


def render_json(diagnosis: Diagnosis) -> str:
    """The document analysis.json as indented text with a final newline."""
    return diagnosis.to_json()
