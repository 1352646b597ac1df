"""Does the code keep to the plan of docs/architecture.md? Read from the source, without running it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "llmprof"

# From the ground up; modules in one row may not import each other, and everything only from rows above its own.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("llmprof._version", "llmprof.errors", "llmprof.units"),
    ("llmprof.timeline",),
    ("llmprof.collectors", "llmprof.collectors.telemetry", "llmprof.collectors.live", "llmprof.collectors.files"),
    ("llmprof.collectors.launch", "llmprof.integrations"),
    ("llmprof.collectors.timing",),
    ("llmprof.analyzers.rows", "llmprof.analyzers.notebook", "llmprof.analyzers.document"),
    ("llmprof.analyzers.diagnosis",),
    ("llmprof.analyzers.facts",),
    ("llmprof.analyzers.replay",),
    ("llmprof.analyzers.rules",),
    ("llmprof.analyzers",),
    ("llmprof.analyzers.many_ranks",),
    ("llmprof.reports",),
    ("llmprof.reports.exporters",),
    ("llmprof.cli",),
    ("llmprof", "llmprof.__main__"),
)
FLOOR_OF = {room: number for number, row in enumerate(FLOORS) for room in row}

# What a room may use besides the standard library; the heavy ones only inside functions.
LIBRARIES: dict[str, set[str]] = {
    "llmprof._version": set(),
    "llmprof.errors": set(),
    "llmprof.units": set(),
    "llmprof.timeline": {"numpy", "pandas"},
    "llmprof.collectors": set(),
    "llmprof.collectors.launch": set(),
    "llmprof.collectors.telemetry": {"pynvml"},
    "llmprof.collectors.timing": {"torch", "pynvml"},
    "llmprof.collectors.live": {"torch"},
    "llmprof.integrations": {"transformers"},
    "llmprof.collectors.files": {"numpy", "orjson", "numba", "llvmlite", "pyarrow"},
    "llmprof.analyzers.rows": set(),
    "llmprof.analyzers.notebook": set(),
    "llmprof.analyzers.document": set(),
    "llmprof.analyzers.diagnosis": {"pandas"},
    "llmprof.analyzers.facts": {"numpy"},
    "llmprof.analyzers.replay": {"numpy"},
    "llmprof.analyzers.rules": {"numpy"},
    "llmprof.analyzers": {"numpy"},
    "llmprof.analyzers.many_ranks": {"distributed"},
    "llmprof.reports": {"numpy", "pyarrow", "rich"},
    "llmprof.reports.exporters": {"numpy", "tensorboard", "wandb", "mlflow"},
    "llmprof.cli": {"typer", "rich", "tomli"},
    "llmprof": set(),
    "llmprof.__main__": set(),
}
ONLY_INSIDE_FUNCTIONS = {
    "tensorboard",
    "wandb",
    "mlflow",
    "distributed",
    "torch",
    "pynvml",
    "pandas",
    "plotly",
    "numba",
    "llvmlite",
    "orjson",
    "pyarrow",
}
COMPILED = {f"llmprof.collectors.files.scanner{part}" for part in ("", "_events", "_memory", "_tables", "_values")}
"""Modules of numba functions, which are themselves imported inside functions."""

MODULE_LINES = 400
FUNCTION_LINES = 60
LONG: dict[str, str] = {}
"""What may be longer than the limit, and why: "llmprof.a.b" for a module, "llmprof.a.b:name" for a function."""


@dataclass(frozen=True)
class Import:
    """One import statement: where it stands, what it names, and whether it runs when the module is imported."""

    line: int
    target: str
    at_import: bool


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def room_of(name: str) -> str:
    """The longest room name that is this module or a package above it."""
    parts = name.split(".")
    return next(room for end in range(len(parts), 0, -1) if (room := ".".join(parts[:end])) in FLOOR_OF)


@cache
def imports_of(name: str) -> tuple[Import, ...]:
    """All imports of a module, also those inside functions and under TYPE_CHECKING."""
    return tuple(_imports(name))


def _imports(name: str) -> Iterator[Import]:
    inner = {
        id(node)
        for function in ast.walk(tree_of(name))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for block in ast.walk(tree_of(name))
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree_of(name)):
        at_import = id(node) not in inner and id(node) not in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, at_import)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} imports relatively; write the full name"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield Import(node.lineno, full if full in modules() else str(node.module), at_import)


def test_imports_only_go_down() -> None:
    wrong = []
    for name in modules():
        here = room_of(name)
        for found in imports_of(name):
            if found.target.split(".")[0] != "llmprof":
                continue
            there = room_of(found.target)
            if there != here and FLOOR_OF[there] >= FLOOR_OF[here]:
                wrong.append(f"{name}:{found.line} ({here}) imports {found.target} ({there})")
    assert not wrong, "\n".join(wrong)


def test_no_import_cycle() -> None:
    graph = {
        name: {found.target for found in imports_of(name) if found.target in modules() and found.target != name}
        for name in modules()
    }
    state: dict[str, str] = {}
    cycles = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        state[name] = "open"
        for target in sorted(graph[name]):
            if state.get(target) == "open":
                cycles.append(" -> ".join((*path[path.index(target) :], target)))
            elif target not in state:
                visit(target, (*path, target))
        state[name] = "done"

    for name in graph:
        if name not in state:
            visit(name, (name,))
    assert not cycles, "\n".join(cycles)


def test_each_room_uses_only_its_own_libraries() -> None:
    wrong = []
    for name in modules():
        for found in imports_of(name):
            library = found.target.split(".")[0]
            if library == "llmprof" or library in sys.stdlib_module_names:
                continue
            if library not in LIBRARIES[room_of(name)]:
                wrong.append(f"{name}:{found.line} uses {library}")
            elif found.at_import and library in ONLY_INSIDE_FUNCTIONS and name not in COMPILED:
                wrong.append(f"{name}:{found.line} imports {library} at import time; move it into the function")
    assert not wrong, "\n".join(wrong)


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys\nsys.stderr.write(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_the_package_loads_no_library() -> None:
    heavy = {"torch", "pandas", "plotly", "rich", "numpy", "typer", "pynvml"}
    assert not loaded_by("import llmprof") & heavy


def test_importing_the_package_is_quick() -> None:
    # The promise is 50 ms; the best of five is about 1 ms, so a loaded machine does not fail it.
    code = "import time; t = time.perf_counter(); import llmprof; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(runs) < 0.050


def test_the_command_line_shows_its_help_without_the_analysis() -> None:
    code = """
from llmprof.cli import app
try:
    app.main(["--help"])
except SystemExit:
    pass
"""
    assert not loaded_by(code) & {"torch", "pandas", "plotly", "numpy", "pynvml"}


def test_modules_are_short() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    long = {name: lines for name, lines in lengths.items() if lines > MODULE_LINES and name not in LONG}
    assert not long


def test_functions_are_short() -> None:
    long = [
        f"{name}:{node.name} has {length} lines"
        for name in modules()
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
        and f"{name}:{node.name}" not in LONG
    ]
    assert not long, "\n".join(long)


def test_a_module_says_in_its_first_line_what_it_answers() -> None:
    firsts = {name: (ast.get_docstring(tree_of(name)) or "").split("\n")[0] for name in modules()}
    assert not {name: first for name, first in firsts.items() if not first.endswith((".", "?"))}


def names_of(name: str) -> tuple[set[str], set[str]]:
    """The public functions and classes that a module defines, and all names that it binds at its top."""
    public, bound = set(), set()
    for node in tree_of(name).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            public.add(node.name)
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound.update(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.If):  # names for type checkers; the module gives them lazily
            bound.update(
                alias.name for inner in node.body if isinstance(inner, ast.ImportFrom) for alias in inner.names
            )
    return {word for word in public if not word.startswith("_")}, bound


def can_be_imported(name: str) -> bool:
    """Whether the framework that an integration is for is installed; everything else can be imported anywhere."""
    framework = name.rpartition(".")[2].replace("huggingface", "transformers")
    return not name.startswith("llmprof.integrations.") or importlib.util.find_spec(framework) is not None


def test_all_lists_the_public_names_of_a_module() -> None:
    wrong = []
    for name in modules():
        public, bound = names_of(name)
        if ".bootstrap." in name or (not public and "__all__" not in bound) or not can_be_imported(name):
            continue  # the bootstrap is run, not imported
        listed = list(importlib.import_module(name).__all__)
        if not public <= set(listed) <= bound or len(set(listed)) < len(listed):
            missing, unknown = sorted(public - set(listed)), sorted(set(listed) - bound)
            wrong.append(f"{name}: public but not listed {missing}, not defined {unknown}, or listed twice")
    assert not wrong, "\n".join(wrong)


def test_one_rule_is_one_file() -> None:
    ids = []
    for name in modules():
        if not name.startswith("llmprof.analyzers.rules."):
            continue
        made = [
            word.value.value
            for node in ast.walk(tree_of(name))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rule"
            for word in node.keywords
            if word.arg == "id" and isinstance(word.value, ast.Constant)
        ]
        if made:
            assert made == [name.rpartition(".")[2].replace("_", "-")], f"{name} makes the rules {made}"
            ids += made
    assert len(set(ids)) == len(ids)
    assert ids, "no rule was found: has the way in which a rule is declared changed?"
