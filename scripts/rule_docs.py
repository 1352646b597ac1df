"""What does docs/rules/ hold? One page per rule, written from the rule itself, and an index.

    python scripts/rule_docs.py [--check]

`--check` writes nothing and fails when a page is not what the rule says now.
"""

from __future__ import annotations

import sys
from pathlib import Path

from llmprof.analyzers.rules.fixes import FIXES
from llmprof.analyzers.rules.registry import all_rules, describe

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "rules"
KEPT = frozenset({"coverage.md"})
"""Written by hand: on which recordings each rule has fired."""
NOTICE = "<!-- Written by `make docs` from the rule itself; edit the rule, not this page. -->"


def main(arguments: list[str]) -> int:
    pages = {"README.md": index(), **{f"{rule.id}.md": page(rule.id) for rule in all_rules()}}
    if "--check" in arguments:
        old = stale(pages, FOLDER)
        for name in old:
            print(f"docs: {FOLDER / name} is not what the rule says now; run `make docs`", file=sys.stderr)
        return 1 if old else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for left in stale({}, FOLDER):
        (FOLDER / left).unlink()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"docs: wrote {len(pages)} pages to {FOLDER}")
    return 0


def stale(pages: dict[str, str], folder: Path) -> list[str]:
    """Names of the pages in `folder` that are missing, too many or different."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.name not in KEPT}
    return sorted(name for name in {*pages, *there} if pages.get(name) != there.get(name))


def index() -> str:
    """The list of all rules."""
    rows = [
        f"| [{rule.id}]({rule.id}.md) | {rule.category} | {rule.failed_title} | {', '.join(rule.fixes)} |"
        for rule in all_rules()
    ]
    head = ["# Rules", "", NOTICE, "", "| rule | explains | when it fires | fixes |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def page(rule_id: str) -> str:
    """The page of one rule: its question, its sections, its thresholds and its fixes."""
    doc = describe(rule_id)
    fires = f'It fires as "{doc.rule.failed_title}" and explains the bound *{doc.rule.category}*.'
    lines = [f"# {rule_id}", "", NOTICE, "", f"**{doc.question}** {fires}", ""]
    for heading, text in doc.sections.items():
        lines += [f"## {heading}", "", text, ""]
    if doc.rule.thresholds:
        lines += ["## Thresholds", "", "| name | value | unit | why | source |", "|---|---|---|---|---|"]
        lines += [
            f"| {one.name} | {one.value:.4g} | {one.unit} | {one.reason} | {one.source} |"
            for one in doc.rule.thresholds
        ]
        lines.append("")
    if doc.rule.fixes:
        lines += ["## Fixes", "", "| id | effort | does | risk |", "|---|---|---|---|"]
        lines += [
            f"| {fix.id} | {fix.effort} | {fix.does} | {fix.risk} |" for fix in map(FIXES.__getitem__, doc.rule.fixes)
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
