"""The modules of benchmarks/accuracy import each other as a script's neighbours do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "accuracy"
sys.path += [str(FOLDER), str(FOLDER / "cases"), str(FOLDER.parent)]


@pytest.fixture(autouse=True)
def number_formats() -> Iterator[None]:
    """A case that trains in this process may allow TF32; tests of other folders do not expect that."""
    torch = pytest.importorskip("torch", reason="the cases train with torch")
    precision, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = cudnn
