"""Nothing of folders, machines and arguments leaves the house; every figure does."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from llmprof.analyzers.diagnosis import Evidence, Finding
from llmprof.reports.redact import redacted, without_paths
from tests.reports.samples import SAMPLES, input_starved


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/ada/run/train.py(40): step", ".../train.py(40): step"),
        ("in /data/set one", "in .../set one"),
        ("path=/a/b/c.bin, and more", "path=.../c.bin, and more"),
        ("~/secret/x.py", ".../x.py"),
        ("./runs/2026/x", ".../x"),
        ("s3://bucket/customer/run/r0.json.gz", ".../r0.json.gz"),
        (r"C:\Users\ada\x.py", ".../x.py"),
        ("tokens/s and n/a and 3/4", "tokens/s and n/a and 3/4"),
        ("/dev/shm/x", "/dev/shm/x"),
        ("void at::native::kernel<float, (int)4>", "void at::native::kernel<float, (int)4>"),
        ("GPT_0/Block_3/Linear_1", "GPT_0/Block_3/Linear_1"),
        ("", ""),
    ],
)
def test_folders_go_and_names_stay(text: str, clean: str) -> None:
    assert without_paths(text) == clean


def with_secrets() -> Any:
    finding = Finding(
        rule="x",
        status="fired",
        title="t",
        summary="machine gpu-node-17 at 10.1.2.3 read /mnt/customers/acme/data.bin",
        evidence=(Evidence(label="place", value="/home/ada/train.py(3): f"),),
    )
    return dataclasses.replace(
        input_starved(),
        findings=(finding,),
        environment={
            **input_starved().environment,
            "command": ["/usr/bin/python3", "-u", "/home/ada/train.py", "--key", "hunter2"],
            "variables": {"MASTER_ADDR": "gpu-node-17", "TOKEN_DIR": "/home/ada/token"},
        },
        details={"ranks": {"hosts": {"0": "gpu-node-17", "1": "gpu-node-18"}}},
    )


def test_nothing_that_names_a_person_or_a_place_is_left() -> None:
    text = redacted(with_secrets()).to_json()
    for secret in ("ada", "gpu-node", "10.1.2.3", "acme", "hunter2", "--key", 'token"'):
        assert secret not in text, secret
    assert ".../data.bin" in text and ".../train.py(3): f" in text


def test_machines_can_still_be_told_apart() -> None:
    clean = redacted(with_secrets())
    assert clean.details["ranks"]["hosts"] == {"0": "machine 1", "1": "machine 2"}
    assert "machine 1" in clean.findings[0].summary


def test_the_command_keeps_its_program_and_script() -> None:
    assert redacted(with_secrets()).environment["command"] == [".../python3", ".../train.py", "(2 arguments)"]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_figure_stays(name: str) -> None:
    before, after = SAMPLES[name](), redacted(SAMPLES[name]())
    for part in ("step", "partition", "ranks", "compute_classes", "history_ms", "capture"):
        left, right = getattr(before, part), getattr(after, part)
        assert _numbers(left) == _numbers(right), part
    assert [_numbers(one.gain) for one in after.recommendations] == [
        _numbers(one.gain) for one in before.recommendations
    ]


def _numbers(value: Any) -> list[float]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [n for f in dataclasses.fields(value) for n in _numbers(getattr(value, f.name))]
    if isinstance(value, dict):
        return [n for item in value.values() for n in _numbers(item)]
    if isinstance(value, tuple | list):
        return [n for item in value for n in _numbers(item)]
    return [float(value)] if isinstance(value, int | float) else []


def test_redacting_twice_changes_nothing_more() -> None:
    once = redacted(with_secrets())
    assert redacted(once).to_dict()["findings"] == once.to_dict()["findings"]
