"""Does the installer find out what is missing, without a network and without touching what is there?"""

from __future__ import annotations

import pytest

pytest.importorskip("pip")
from scripts import install


def test_an_extra_that_names_another_one_brings_its_requirements() -> None:
    project = {
        "dependencies": ["a"],
        "optional-dependencies": {"torch": ["torch>=2.4"], "dev": ["llmprof[torch]", "b>1"]},
    }
    assert install.requirements(project, []) == ["a"]
    assert install.requirements(project, ["dev"]) == ["a", "torch>=2.4", "b>1"]


def test_a_requirement_is_met_by_name_and_version() -> None:
    assert install.is_there("pytest>=1.0")
    assert not install.is_there("pytest>=10000")
    assert not install.is_there("no-such-package-anywhere")
    assert install.is_there("no-such-package-anywhere; python_version < '3.0'")


def test_the_projects_own_requirements_can_be_read() -> None:
    found = install.requirements(install.read_project(), ["dev"])
    assert any(text.startswith("torch") for text in found)
    assert any(text.startswith("pytest") for text in found)
    assert not any(text.startswith("llmprof") for text in found)
