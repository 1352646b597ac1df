"""What every test may ask for: the folder of recordings, a GPU, a browser; and what happens when one is not there."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How quickly inputs are made says how busy the machine is.
settings.register_profile("busy machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-browser",
        action="store_true",
        help="fail the browser tests, instead of skipping them, without Chromium",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") is not None and find_chromium() is None:
        reason = "no Chromium: install it (apt-get install chromium) or name it in the variable CHROMIUM"
        (pytest.fail if item.config.getoption("--require-browser") else pytest.skip)(reason)
    if item.get_closest_marker("gpu") is not None and not has_gpu():
        pytest.skip("no CUDA device")


def find_chromium() -> str | None:
    """The program that the browser tests start: the variable CHROMIUM, else the first of the usual names on PATH."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of large recordings beside the checkout; they are not part of the project."""
    folder = ROOT.parent / "shared" / "traces"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    return folder
