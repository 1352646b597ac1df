"""Compiles the byte scanner to LLVM text, so that nobody who reads a trace has to wait for numba.

    .venv/bin/python scripts/build_scanner.py          # writes llmprof/collectors/files/scanner.ll
    .venv/bin/python scripts/build_scanner.py --check  # 1 when that file was not made from these sources

The text is optimised but not yet for a machine: no layout, no triple, nothing that only newer LLVMs can read. Run this
after a change of scanner*.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parents[1] / "llmprof" / "collectors" / "files"
TARGET = FILES / "scanner.ll"
ENTRIES = ("scan", "rehash")

_NEWER = (
    r" (?:range|captures|memory|initializes|dead_on_unwind|dead_on_return)\((?:[^()]|\([^()]*\))*\)",
    r" (?:noalias|readonly|readnone|writeonly|writable|noundef|nofree|local_unnamed_addr|immarg)\b",
    r" (?:nneg|disjoint|samesign)\b",
    r"(?<=trunc) (?:nuw |nsw )*(?:nuw|nsw)",
    r"(?<=getelementptr) (?:inbounds |nuw |nusw )*(?:inbounds|nuw|nusw)",
    r" #\d+(?=$| )",
    r", ![\w.]+ !\d+",
)
"""Hints for the optimiser, which has run already: code means the same without them, and older LLVMs lack some."""
_HASH = re.compile(r"^; sources: (\w+)$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        return int(_HASH.findall(TARGET.read_text())[:1] != [hash_of_sources()])
    TARGET.write_text(text_of_scanner())
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
    return 0


def hash_of_sources() -> str:
    """Changes with the modules of compiled code and with what they take from others: slots, kinds."""
    found = hashlib.sha256()
    for path in (*sorted(FILES.glob("scanner*.py")), FILES.parents[1] / "timeline" / "events.py"):
        found.update(path.read_bytes())
    return found.hexdigest()


def text_of_scanner() -> str:
    os.environ.update(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")  # the same text on every machine
    import llvmlite.binding as llvm
    import numba as compiler

    from llmprof.collectors.files import scanner, scanner_tables

    numba: Any = compiler
    functions: dict[str, Any] = {"scan": scanner.scan, "rehash": scanner_tables.rehash}
    signature = numba.int64(numba.int64, numba.int64, numba.int64)
    module: Any = None
    entries = ""
    for name in ENTRIES:
        compiled = numba.njit(signature, no_cfunc_wrapper=True)(functions[name].py_func)
        result = compiled.overloads[compiled.signatures[0]]
        entries += _entry(name, result.fndesc.mangled_name)
        part = llvm.parse_assembly(_without_wrapper(result.library.get_llvm_str()))
        if module is None:
            module = part
        else:
            module.link_in(part)
    made = f"; Made by scripts/build_scanner.py (numba {numba.__version__}) from scanner*.py.\n"
    return f"{made}; sources: {hash_of_sources()}\n{_portable(str(module) + entries)}"


def _entry(name: str, mangled: str) -> str:
    """A function that C can call, around one that gives its result and its errors by address."""
    return f"""
define i64 @{name}(i64 %0, i64 %1, i64 %2) {{
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @{mangled}(ptr %result, ptr %error, i64 %0, i64 %1, i64 %2)
  %value = load i64, ptr %result
  ret i64 %value
}}
"""


def _without_wrapper(text: str) -> str:
    """The module without what makes a Python function of it, and without the globals that only that needs."""
    functions = re.split(r"^(?=(?:define|declare|attributes) )", text, flags=re.MULTILINE)
    kept = [
        part for part in functions[1:] if not re.match(r"(?:define [^(]*@_ZN7cpython|declare [^@]*@(?!llvm\.))", part)
    ]
    return "".join(kept)


def _portable(text: str) -> str:
    skipped = re.compile(r"(?:;|target |source_filename|attributes |@|![\w.])")
    lines = (line.partition(" ; preds")[0].rstrip() for line in text.splitlines() if not skipped.match(line))
    text = "\n".join(line for line in lines if ".lifetime." not in line)
    for pattern in _NEWER:
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    text = re.sub(r"(<(\d+) x (i\d+)>.*?)splat \((\3 -?\w+)\)", _splat, text)
    text = re.sub(
        r"^define (?:linkonce_odr |internal )?(?!i64 @(?:scan|rehash)\()", "define internal ", text, flags=re.M
    )
    names: dict[str, str] = {}
    text = re.sub(r"@_ZN[\w.]+", lambda match: _short_name(match[0], names), text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _splat(match: re.Match[str]) -> str:
    """A vector of one value, written out."""
    return f"{match[1]}<{', '.join([match[4]] * int(match[2]))}>"


def _short_name(mangled: str, names: dict[str, str]) -> str:
    """The name of the Python function, with a number, since one may be there for several types."""
    if mangled not in names:
        match = re.search(r"scanner\w*?\d+([a-z]\w*?|_[a-z_]+)B\d*v\d", mangled)
        names[mangled] = f"@{match[1].strip('_') if match else 'part'}.{len(names)}"
    return names[mangled]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
