"""Does the benchmark of the loader model record, foretell and measure what it says?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.loader_model import PERIOD, Samples, given_ms
from benchmarks.loader_settings import Setting, plans
from benchmarks.loader_table import Compared, show

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_one_recording_foretells_the_other_settings_which_are_measured_too(tmp_path: Path) -> None:
    """With a loader that sets the pace the step foretold is the measured one, roughly: this machine has other work."""
    out = tmp_path / "loader.jsonl"
    command = [
        sys.executable,
        "benchmarks/loader_model.py",
        "--tiny",
        "--kinds",
        "io",
        "--rounds",
        "1",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["workers"] for line in lines] == [2, 3, 6]
    assert [len(line["rounds"]) for line in lines] == [1, 1, 1]
    assert lines[0]["loads"]["count"] == len(lines[0]["loads_ms"]) >= 16
    # 16 samples wait 2 ms each, and are decoded after that.
    assert lines[0]["loads"]["mean_ms"] > 32
    predicted = [line["predicted_ms"] for line in lines]
    assert predicted[0] > predicted[1] > predicted[2]
    assert "io " in done.stdout and "target 3%" in done.stdout


def test_all_settings_see_the_same_samples_again_and_again() -> None:
    setting = Setting(kind="tail", workers=1, work=1.0, batch=2)
    short, long = Samples(setting, PERIOD), Samples(setting, 2 * PERIOD)
    assert (len(short), len(long)) == (2 * PERIOD, 4 * PERIOD)
    assert torch.equal(long[3][1], short[3][1])
    assert torch.equal(long[2 * PERIOD + 3][1], short[3][1])
    assert not torch.equal(short[3][1], short[4][1])


def test_what_a_batch_took_is_noted_by_whoever_makes_it() -> None:
    """Two samples that each wait 4 to 6 ms, and the time to put them together."""
    samples = Samples(Setting(kind="io", workers=1, work=1.0, wait_ms=5.0, batch=2), 3)
    assert samples.collate([samples[2], samples[3]]).shape[0] == 2
    assert samples.done_ms[1] - samples.begun_ms[1] >= 8
    assert samples.done_ms[[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize("cores", [2, 4, 16, 64])
def test_settings_go_beyond_many_cores_and_none_is_measured_twice(cores: int) -> None:
    chosen = plans(cores, tiny=False)
    decoding = [setting for kind in ("cpu", "tail") for setting in chosen[kind]]
    if cores < 8:  # a worker beside the training thread
        assert set(chosen) == {"cpu", "io", "store", "tail"}
        assert {setting.workers for setting in decoding} == {1}
    else:
        assert set(chosen) == {"cpu", "io", "store", "tail", "launch"}
        assert max(setting.workers for setting in decoding) > cores
    for settings in chosen.values():
        assert len(set(settings)) == len(settings) > 4


def test_what_is_given_of_a_run_gives_its_steps_back() -> None:
    """Two workers start 30 ms apart and take 0.4 ms to begin another batch; one of 20 ms arrives 3 ms after it is made.

    The consumer takes 5 ms and receives a batch in 0.2: the workers set the pace, 20.4 ms for two batches.
    """
    setting = Setting(kind="store", workers=2, consumer_ms=5.0)
    begun, done, asked, received = (np.zeros(60) for _ in range(4))
    for batch in range(60):
        begun[batch] = 1000.0 + 30.0 * batch if batch < 2 else done[batch - 2] + 0.4
        done[batch] = begun[batch] + 20.0
        asked[batch] = received[batch - 1] + 5.0 if batch else 1000.0
        received[batch] = max(done[batch] + 3.0, asked[batch]) + 0.2
    found = given_ms(setting, begun, done, asked, received)
    assert (found - found[0])[8:] == pytest.approx((received - received[0])[8:], abs=1.0)
    assert found[-1] - found[8] == pytest.approx(received[-1] - received[8], rel=0.005)


def measured_as(*steps_ms: float, predicted_ms: float = 10.0, **more: object) -> dict[str, object]:
    """A setting as it is written."""
    rounds = [{"ms": ms, "given_ms": ms, "rest_ms": ms, "load_ms": 40.0} for ms in steps_ms]
    line = {"kind": "cpu", "name": "", "recorded": False, "predicted_ms": predicted_ms, "textbook_ms": 5.0}
    return {**line, "rounds": rounds, **more}


def test_a_setting_that_does_not_repeat_decides_nothing_and_is_shown_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [measured_as(10.0, 10.2, name="steady"), measured_as(10.0, 13.0, 16.0, name="torn")]
    assert [Compared.of(line).decides for line in lines] == [True, False]
    assert not Compared.of(measured_as(10.0)).decides
    show(lines)
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if "decides nothing" in line and "torn" in line]
    every, deciding = (line.split() for line in shown[-2:])
    assert (every[:2], deciding[:2]) == (["cpu", "2"], ["cpu", "1"])
    assert deciding[-2:] == ["deciding", "met"]
