from __future__ import annotations

import pytest

from llmprof.analyzers.facts.device.devices import find_device

KNOWN = [
    ("NVIDIA H200", 132, "H200 SXM"),
    ("NVIDIA H100 80GB HBM3", 132, "H100 SXM"),
    ("NVIDIA H100 PCIe", 114, "H100 PCIe"),
    ("NVIDIA H100 NVL", 132, "H100 NVL"),
    ("NVIDIA A100-SXM4-80GB", 108, "A100 SXM 80 GB"),
    ("NVIDIA A100 80GB PCIe", 108, "A100 PCIe 80 GB"),
    ("NVIDIA A10", 72, "A10"),
    ("NVIDIA A10G", 80, "A10G"),
    ("NVIDIA L4", 58, "L4"),
    ("NVIDIA L40S", 142, "L40S"),
    ("Tesla V100-SXM2-16GB", 80, "V100 SXM2"),
    ("NVIDIA GeForce RTX 4090", 128, "RTX 4090"),
    ("NVIDIA B200", 148, "B200"),
    ("NVIDIA GB200", 152, "GB200"),
    ("AMD Instinct MI300X", 304, "MI300X"),
]


@pytest.mark.parametrize(("name", "sm_count", "expected"), KNOWN)
def test_devices_by_the_name_that_torch_gives(name: str, sm_count: int, expected: str) -> None:
    found = find_device(name, sm_count)
    assert found is not None
    assert found.name == expected
    assert find_device(name, None) == found


@pytest.mark.parametrize(
    ("name", "sm_count"),
    [
        (None, 132),
        ("", 0),
        ("NVIDIA Z900", 132),
        ("NVIDIA H100", 132),  # PCIe, SXM or NVL: the name does not say
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 16),
        ("NVIDIA H200", 16),  # a slice
        ("NVIDIA GeForce RTX 3090 Ti", 84),
        ("NVIDIA A100-PG509-200", 108),
    ],
)
def test_an_unknown_device_is_not_guessed(name: str | None, sm_count: int) -> None:
    assert find_device(name, sm_count) is None


def test_figures_of_the_h200() -> None:
    peaks = find_device("NVIDIA H200", 132)
    assert peaks is not None
    assert (peaks.flops["bf16"], peaks.flops["tf32"], peaks.flops["fp32"]) == (989e12, 494.5e12, 67e12)
    assert (peaks.memory_bytes_per_s, peaks.link_bytes_per_s) == (4.8e12, 450e9)


def test_a_format_without_matrix_units_is_absent() -> None:
    peaks = find_device("Tesla V100-SXM2-16GB", 80)
    assert peaks is not None
    assert set(peaks.flops) == {"fp16", "fp32"}


def test_the_device_of_a_real_recording(recorded) -> None:
    device = recorded("h200/compute_fp32.rank0").environment.device
    peaks = find_device(device.name, device.sm_count)
    assert peaks is not None
    assert peaks.name == "H200 SXM"
