"""The HTML report: one file that asks the network for nothing and can be read without scripts."""

from __future__ import annotations

from llmprof.reports.html.page import render_html

__all__ = ["render_html"]
