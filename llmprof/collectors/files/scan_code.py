"""Which machine code scans? Made by LLVM from scanner.ll when it is first needed, in a fifth of a second.

scanner.ll holds the numba functions of scanner*.py, compiled as far as that goes without knowing the machine (see
scripts/build_scanner.py). So a reader needs llvmlite alone: importing numba takes as long as finishing that text, and
compiling the functions from the start takes it 5 to 8 s.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["TEXT", "ScannerCode", "scanner_code"]

TEXT = Path(__file__).with_name("scanner.ll")

_Function = Callable[[int, int, int], int]


class ScannerCode:
    """The compiled functions; calls run without the lock of the interpreter.

    scan(state, start, stop)   see scanner.scan
    rehash(state, table, 0/1)  see scanner_tables.rehash
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine  # owns the memory of the code
        self.scan, self.rehash = self._function("scan"), self._function("rehash")

    def _function(self, name: str) -> _Function:
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
        return kind(self._engine.get_function_address(name))


@cache
def scanner_code() -> ScannerCode:
    """The code for this machine, the same one each time; ImportError where llvmlite cannot make it."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    try:
        target = llvm.Target.from_default_triple()
        features = llvm.get_host_cpu_features().flatten()
        machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True)
        module = llvm.parse_assembly(TEXT.read_text(encoding="ascii"), _context(llvm))
        module.triple = target.triple
        module.data_layout = str(machine.target_data)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        return ScannerCode(engine)
    except (OSError, RuntimeError, AttributeError) as error:
        raise ImportError(f"this llvmlite cannot compile the scanner ({error})") from error


def _context(llvm: Any) -> Any:
    """Where the module lives: llvmlite 0.44 has to be told that pointers have no type."""
    if hasattr(llvm.context, "opaque_pointers_enabled"):
        return llvm.context.ContextRef(llvm.ffi.lib.LLVMPY_ContextCreate(True))
    return llvm.create_context()
