"""Number formats: the old flags and the new settings, which exclude each other, lead to one answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.collectors.live.configuration.precision import precision, tf32_allowed
from llmprof.collectors.live.configuration.probing import Probes
from llmprof.collectors.live.configuration.regions import Regions

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[4]

# One process a setting: a process that has used one interface may not use the other.
ASK = """
import json, sys, warnings
import torch
warnings.simplefilter("ignore")
exec(sys.argv[1])
from llmprof.collectors.live.configuration.precision import precision, tf32_allowed
from llmprof.collectors.live.configuration.probing import Probes
from llmprof.collectors.live.configuration.regions import Regions
found = precision(torch, Probes(), Regions())
print(json.dumps([tf32_allowed(torch), found["cudnn_tf32"], found["fp32_precision"]]))
"""


def ask(setting: str) -> tuple[bool | None, bool | None, dict[str, str]]:
    done = subprocess.run([sys.executable, "-c", ASK, setting], cwd=ROOT, capture_output=True, text=True, check=True)
    matmul, cudnn, settings = json.loads(done.stdout)
    return matmul, cudnn, settings


@pytest.fixture
def old_flags():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("level", "expected"), [("highest", False), ("high", True), ("medium", True)])
def test_the_old_setting_of_matrix_products(old_flags, level, expected):
    torch.set_float32_matmul_precision(level)
    assert tf32_allowed(torch) is expected


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="this PyTorch has only the old flags")
@pytest.mark.parametrize(
    ("setting", "matmul", "cudnn"),
    [
        ("torch.backends.cuda.matmul.fp32_precision = 'tf32'", True, True),
        ("torch.backends.fp32_precision = 'ieee'", False, False),
    ],
)
def test_the_new_settings_count_where_the_old_flags_raise(setting, matmul, cudnn):
    found = ask(setting)
    assert found[:2] == (matmul, cudnn)
    assert found[2]["cuda.matmul"] == ("tf32" if matmul else "ieee")


def test_the_variable_that_forbids_tf32_counts_most(old_flags, monkeypatch):
    torch.set_float32_matmul_precision("high")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert tf32_allowed(torch) is False


def test_flags_of_cudnn_determinism_and_attention(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        found = precision(torch, Probes(), Regions())
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cuda.enable_flash_sdp(True)
    assert (found["cudnn_benchmark"], found["deterministic_algorithms"]) == (True, True)
    assert "flash" not in found["sdpa_backends"]
    assert "math" in found["sdpa_backends"]


def test_an_empty_list_of_autocast_regions_means_something_only_after_whole_steps():
    regions = Regions()
    before = precision(torch, Probes(), regions)
    regions.whole_steps = 3
    after = precision(torch, Probes(), regions)
    assert (before["autocast_watched"], before["grad_scaler"]) == (False, None)
    assert (after["autocast_watched"], after["grad_scaler"]) == (True, False)


def test_a_flag_that_this_torch_does_not_have_is_unknown_and_says_so(monkeypatch):
    def missing() -> bool:
        raise AttributeError("no such flag")

    probes = Probes()
    monkeypatch.setattr(torch, "is_anomaly_enabled", missing)
    assert precision(torch, probes, Regions())["detect_anomaly"] is None
    assert probes.unread == {"precision.detect_anomaly": "AttributeError: no such flag"}
