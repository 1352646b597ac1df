"""The terminal verdict: its size, its words, and that nothing in a trace can steer a terminal."""

from __future__ import annotations

import dataclasses
import re

import pytest
from rich.cells import cell_len

from llmprof.analyzers.diagnosis import Gain, Tried
from llmprof.reports.terminal import render_plain, render_terminal
from tests.reports.samples import SAMPLES, host_bound, input_starved, no_verdict, nothing_limits

PATH = "/home/ada/nanogpt/llmprof-runs/2026-03-02T14-11-08/report.html"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("name", SAMPLES)
def test_it_fits_the_terminal(name: str, width: int) -> None:
    lines = render_plain(SAMPLES[name](), width=width, report_path=PATH).splitlines()
    assert len(lines) <= 25
    assert max(cell_len(line) for line in lines if PATH not in line and not line.startswith("next ")) <= width


def test_the_path_of_the_report_is_never_cut_in_two() -> None:
    assert f"report  {PATH}" in render_plain(input_starved(), width=40, report_path=PATH).splitlines()


@pytest.mark.parametrize("name", SAMPLES)
def test_colour_changes_no_character(name: str) -> None:
    plain = render_terminal(SAMPLES[name](), width=100, color=False, report_path=PATH)
    coloured = render_terminal(SAMPLES[name](), width=100, color=True, report_path=PATH)
    assert "\x1b[" in coloured
    assert COLOUR.sub("", coloured) == plain


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "hostile"])
def test_an_ascii_only_stdout_can_take_it(name: str) -> None:
    assert render_plain(dataclasses.replace(SAMPLES[name](), findings=()), report_path=PATH).isascii()


def test_micro_seconds_in_evidence_are_ascii() -> None:
    assert "mean kernel 2.8 us" in render_plain(host_bound())


def test_no_escape_sequence_of_a_name_reaches_the_terminal() -> None:
    text = render_plain(SAMPLES["hostile"](), report_path="/tmp/\x1b]0;pwned\x07.html")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)


def test_the_environment_of_the_process_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = render_terminal(input_starved(), width=100, color=True)
    for name, value in {"NO_COLOR": "1", "COLUMNS": "31", "FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert render_terminal(input_starved(), width=100, color=True) == expected


def test_the_verdict_of_a_starved_run_reads_like_this() -> None:
    assert render_plain(input_starved(), width=100, report_path="runs/a/report.html") == (
        " INPUT-STARVED   85.5 ms/step   24 % MFU   1 x NVIDIA H200   96 steps\n"
        "  Input-starved: the GPU waits 38.4 ms of every 85.5 ms step (45 %) for the next batch.\n"
        "  matmul 24.1 | attention 6.80 | norm 2.30 | loss 3.40 | optimizer 3.00 | elementwise 3.60 |\n"
        "  input wait 38.4 | host launch 1.90 | other 2.02   ms\n"
        " 1. Raise DataLoader num_workers from 0 to 4\n"
        "    saves 37.6 ms (34.1-38.4), 44 % of the step   one setting   high confidence\n"
        "    dataloader-workers: DataLoader(dataset, batch_size=16, num_workers=4, persistent_workers=True,\n"
        "      pin_memory=True)\n"
        " 2. Compile the model with torch.compile\n"
        "    saves 3.90 ms (2.20-5.60), 4.6 % of the step   few lines   medium confidence\n"
        "    torch-compile: model = torch.compile(model)\n"
        " 3. Pin the batches and copy them asynchronously\n"
        "    saves 0.50 ms (0.30-0.60), 0.6 % of the step   few lines   high confidence\n"
        "    pin-memory: DataLoader(..., pin_memory=True); x = x.to(device, non_blocking=True)\n"
        "    1, 2 and 3 together: 85.5 ms -> 43.5 ms (42.0-46.2)\n"
        "why: input wait 45 % (threshold 5.0 %), num_workers 0, time to make one batch 39.2 ms, usable CPU\n"
        "  cores 16\n"
        "note: replay within 1.2 %\n"
        "next    llmprof try --fix dataloader-workers /home/ada/nanogpt/llmprof-runs/2026-03-02T14-11-08\n"
        "report  runs/a/report.html\n"
    )


def test_fixes_stand_in_one_aligned_line_each_where_there_is_room() -> None:
    lines = render_plain(input_starved(), width=140).splitlines()
    fixes = [line for line in lines if re.match(r" \d\. ", line)]
    assert len({line.index("saves") for line in fixes}) == 1
    assert all("confidence" in line for line in fixes)


def test_a_fix_that_needs_another_says_so() -> None:
    fixes = host_bound().recommendations
    needing = next(fix for fix in fixes if fix.requires)
    lines = render_plain(host_bound()).splitlines()
    place = next(number for number, line in enumerate(lines) if needing.action in line)
    assert any("with remove-sync, which it needs" in line for line in lines[place + 1 : place + 4])


@pytest.mark.parametrize("width", [40, 78, 79, 80, 100])
def test_the_next_command_is_never_cut_in_two(width: int) -> None:
    base, first = input_starved(), input_starved().recommendations[0]
    trial = Tried(trial=1, fixes=(first.id,), outcome="kept", plain_ms=85.0, step_ms=48.0, low_ms=47.0, high_ms=49.0)
    tried = dataclasses.replace(first, tried=trial)
    source = dataclasses.replace(base.source, paths=("runs/a",))
    for fix, command in ((first, f"llmprof try --fix {first.id} runs/a"), (tried, f"llmprof explain {first.rule}")):
        told = dataclasses.replace(base, recommendations=(fix,), source=source)
        lines = render_plain(told, width=width, report_path="r.html").splitlines()
        assert any(line.endswith(f" {command}") for line in lines)


def test_fixes_that_find_no_room_are_named_with_their_numbers() -> None:
    base = input_starved()
    fourth = dataclasses.replace(base.recommendations[0], id="tf32")
    text = render_plain(dataclasses.replace(base, recommendations=(*base.recommendations[:3], fourth)))
    assert "    also: 4. tf32 saves 37.6 ms (34.1-38.4)\n" in text
    assert "also:" not in render_plain(dataclasses.replace(base, recommendations=base.recommendations[:3]))


def test_a_fix_that_would_not_help_says_why() -> None:
    first = input_starved().recommendations[0]
    nothing = Gain(expected_ms=0.0, low_ms=0.0, high_ms=8.55)
    useless = dataclasses.replace(first, gain=nothing, why="No gain: the step still waits for copies.")
    text = render_plain(dataclasses.replace(input_starved(), recommendations=(useless,), combined=None))
    assert "no gain expected, at most 10 % of the step" in text
    assert "    dataloader-workers: No gain: the step still waits for copies.\n" in text
    assert "DataLoader(" not in text and "llmprof try" not in text


def test_a_run_without_a_gpu_does_not_call_it_unknown() -> None:
    base = input_starved()
    verdict = dataclasses.replace(base.verdict, flags=("cpu-only",))
    environment = {**base.environment, "gpu": None}
    assert "1 rank, no GPU" in render_plain(dataclasses.replace(base, verdict=verdict, environment=environment))
    assert "1 rank, GPU unknown" in render_plain(dataclasses.replace(base, environment=environment))


def test_unknown_numbers_are_not_shown_as_zero() -> None:
    text = render_plain(no_verdict())
    assert "step time unknown" in text and "MFU" not in text
    assert not re.search(r"\b0(\.0+)? (ms|%)", text)


def test_a_run_that_nothing_limits_says_so() -> None:
    assert "No fix above the noise of the step was found." in render_plain(nothing_limits())


def test_weak_recordings_are_noted() -> None:
    assert "note: 4 steps measured (2 excluded); step time taken under the profiler" in render_plain(host_bound())


def test_a_path_is_never_cut() -> None:
    path = "/very/long" * 30 + "/report.html"
    assert path in render_plain(input_starved(), report_path=path).replace("\n  ", "")
