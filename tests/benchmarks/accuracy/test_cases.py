"""Does every planted case train, as planted and with every fix applied?"""

from __future__ import annotations

import functools
import importlib
import math
import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

torch = pytest.importorskip("torch", reason="the cases train with torch")

from case import Case, filled, words_of  # noqa: E402
from case import case as case_of  # noqa: E402
from fresh import NEVER_RUN  # noqa: E402
from lanes import Lane, split  # noqa: E402
from measuring import Sides  # noqa: E402
from table import CASES, EVERY, FRESH, HELD_OUT, SEVENTH, SIXTH  # noqa: E402

from llmprof.analyzers.facts.loading.loader_queue import received_ns  # noqa: E402
from llmprof.analyzers.rules.fixes import FIXES  # noqa: E402
from llmprof.analyzers.rules.registry import all_rules  # noqa: E402

SIDES = [(case, side) for case in EVERY.values() for side in ("planted", *case.sides)]
ALONE = [pair for pair in SIDES if pair[0].ranks == 1]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ACCURACY_TINY", "1")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def name_of(value: object) -> str:
    return value.id if isinstance(value, Case) else str(value)


def same_losses(side: str) -> bool:
    """Whether a fix leaves losses as they are on a CPU: no other data, lengths or number formats."""
    other = {"offline-preprocessing", "pad-vocabulary", "bf16-autocast", "compress-gradients", "reduce-in-bf16"}
    return not other & set(side.split("+"))


def test_the_table_holds_what_it_has_to() -> None:
    planted = [case.bounds[0] for case in CASES.values()]
    assert len(CASES) >= 28
    assert sum(case.ranks == 2 for case in CASES.values()) >= 6
    assert sum(name.startswith("healthy") for name in CASES) >= 4
    assert all(planted.count(bound) >= 2 for bound in ("data", "host", "compute", "memory", "communication"))
    assert any("imbalance" in case.bounds for case in CASES.values())


def test_the_held_out_cases_are_enough_and_other_ones() -> None:
    others = {(case.script, case.args) for name, case in EVERY.items() if name not in HELD_OUT}
    assert not others & {(case.script, case.args) for case in HELD_OUT.values()}
    assert sum(bool(case.first) for case in HELD_OUT.values()) >= 24
    assert sum(bool(case.first) and case.ranks == 2 for case in HELD_OUT.values()) >= 8
    assert sum(name.startswith("healthy") for name in HELD_OUT) >= 3


def test_the_fresh_cases_have_models_of_their_own() -> None:
    others = {case.script for name, case in EVERY.items() if name not in FRESH}
    own = [case for name, case in FRESH.items() if case.script not in others]
    assert len({case.script for case in own}) >= 5
    assert sum(bool(case.first) for case in own) >= 24
    assert sum(bool(case.first) and case.ranks == 2 for case in own) >= 8
    assert sum(case.id.startswith("healthy") for case in own) >= 3
    assert set(NEVER_RUN) <= set(FRESH) & set(HELD_OUT)


def test_the_sixth_cases_are_of_other_families_and_measure_many_fixes() -> None:
    others = {case.script for name, case in EVERY.items() if name not in {*SIXTH, *SEVENTH}}
    planted = [case for case in SIXTH.values() if case.first]
    healthy = [case for case in SIXTH.values() if not case.first]
    bounds = [case.bounds[0] for case in planted]
    assert not others & {case.script for case in SIXTH.values()}
    assert len(planted) >= 30
    assert sum(case.ranks == 2 for case in planted) >= 10
    assert all(case.id.startswith("healthy") and not case.sides for case in healthy)
    assert len(healthy) >= 6
    assert sum(case.ranks == 2 for case in healthy) >= 2
    assert all(bounds.count(bound) >= 3 for bound in ("data", "compute", "memory", "communication", "imbalance"))
    assert 2 <= bounds.count("host") <= 6
    assert sum(len(case.sides) for case in planted) >= 2 * len(planted) - 10
    assert all(case.step_ms and 20 <= case.step_ms <= 120 for case in SIXTH.values())


def test_the_seventh_cases_are_mostly_of_other_models_and_measure_many_fixes() -> None:
    others = {case.script for name, case in EVERY.items() if name not in SEVENTH}
    planted = [case for case in SEVENTH.values() if case.first]
    healthy = [case for case in SEVENTH.values() if not case.first]
    bounds = [case.bounds[0] for case in planted]
    assert sum(case.script in others for case in SEVENTH.values()) <= len(SEVENTH) / 3
    assert sum(case.ranks == 2 for case in SEVENTH.values()) >= 10
    assert len(planted) >= 29
    assert all(case.id.startswith("healthy") and not case.sides for case in healthy)
    assert [case.ranks for case in healthy].count(1) >= 4
    assert [case.ranks for case in healthy].count(2) >= 1
    assert all(bounds.count(bound) >= 3 for bound in ("data", "compute", "memory", "communication", "imbalance"))
    assert bounds.count("host") <= 5
    assert sum(len(case.sides) for case in planted) >= 2 * len(planted)
    assert all(case.step_ms and 20 <= case.step_ms <= 120 for case in SEVENTH.values())


def test_a_recorded_run_is_long_enough_and_whole_periods() -> None:
    short = case_of("a", "gpt", "", "host", "", step_ms=20.0, period=15)
    assert short.recorded_steps == 255
    assert case_of("b", "gpt", "", "host", "", step_ms=1000.0, steps=60).recorded_steps == 60
    assert case_of("c", "gpt", "", "host", "").recorded_steps == 70


@pytest.mark.parametrize("case", EVERY.values(), ids=name_of)
def test_fixes_and_rules_of_the_table_exist(case: Case) -> None:
    fixes = {*case.first, *(part for side in case.sides for part in side.split("+"))}
    assert fixes <= set(FIXES)
    assert set(case.rules) <= {rule.id for rule in all_rules()}


@pytest.mark.parametrize(("case", "side"), ALONE, ids=name_of)
def test_every_case_with_one_rank_trains_two_steps(case: Case, side: str) -> None:
    losses = losses_of(case.id, side)
    assert len(losses) >= 2
    assert all(math.isfinite(loss) for loss in losses)


@pytest.mark.parametrize(
    ("case", "side"),
    [(case, side) for case, side in ALONE if case.id in {*SIXTH, *SEVENTH} and side != "planted" and same_losses(side)],
    ids=name_of,
)
def test_a_fix_of_the_later_cases_trains_the_same(case: Case, side: str) -> None:
    assert losses_of(case.id, side) == pytest.approx(losses_of(case.id, "planted"), rel=0.01)


@pytest.fixture(scope="module")
def lane() -> Iterator[Lane]:
    os.environ["ACCURACY_TINY"] = "1"  # the warm process has imported the scripts before a test sets it
    (whole,) = split(1, sorted(os.sched_getaffinity(0)))
    yield whole
    whole.close()
    del os.environ["ACCURACY_TINY"]


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in EVERY.values() if case.ranks > 1], ids=name_of)
def test_every_case_with_two_ranks_trains_with_every_fix(case: Case, lane: Lane, tmp_path: Path) -> None:
    sides = Sides(case, lane, tmp_path)
    try:
        for side in ("planted", *case.sides):
            sides.start(side, filled(case.sides.get(side, ""), side, []))
        for side in ("planted", *case.sides):
            sides.warmed(side)
    finally:
        sides.stop()
    assert sides.errors == {}
    assert sides.forked_errors == {}
    if case.id in {*SIXTH, *SEVENTH}:
        losses = {side: found[0]["loss"] for side, found in sides.answers.items() if same_losses(side)}
        expected = dict.fromkeys(losses, pytest.approx(losses["planted"], rel=0.02))
        assert losses == expected or case.bounds[0] == "imbalance"  # ranks that share the work otherwise see other data


@pytest.mark.slow
def test_a_fix_of_the_loader_is_measured_as_one(lane: Lane, tmp_path: Path) -> None:
    """Sleep takes no cores: one worker that waits 4 x 20 ms a batch against four of them."""
    args = "--batch 4 --views 0 --io-ms 20 --workers 1"
    case = Case(id="io", script="convnet", args=args, planted="", bounds=("data",), period=4, rebuild=True)
    sides = Sides(case, lane, tmp_path)
    try:
        for side, more in (("planted", ""), ("dataloader-workers", "--workers 4")):
            sides.start(side, more)
            sides.warmed(side)
        sides.measure(2, 0)
    finally:
        sides.stop()
    found = sides.summary()
    assert found["planted"]["ms"] > 80
    assert found["dataloader-workers"]["ms"] < 0.7 * found["planted"]["ms"]
    assert found["planted"]["losses"][0] != 0


@pytest.mark.parametrize(("workers", "prefetch"), [(4, 2), (4, 8), (8, 2)])
def test_a_new_loader_is_timed_once_its_queue_is_as_full_as_it_gets(workers: int, prefetch: int) -> None:
    """Three batches of 21 take 500 ms longer, the training 39 ms: a period once warm, against one far into the run."""
    loads = [531e6 if number % 21 in (5, 13, 15) else 31e6 for number in range(1000)]
    received = received_ns(loads, 39e6, workers, prefetch)
    late = received[21 * 40] - received[21 * 39]
    warm = importlib.import_module("common").warm_batches(Namespace(workers=workers, prefetch=prefetch))
    assert received[warm + 21] - received[warm] == pytest.approx(late, rel=0.001)


def test_batches_that_the_training_process_makes_are_warm_soon() -> None:
    assert importlib.import_module("common").warm_batches(Namespace(workers=0, prefetch=2)) < 6


def test_a_number_is_the_last_that_the_recommendation_names() -> None:
    said = [{"id": "dataloader-workers", "how": "DataLoader(num_workers=3) -> DataLoader(num_workers=7)"}]
    assert filled("--workers {num_workers:12}", "dataloader-workers", said) == "--workers 7"
    assert filled("--workers {num_workers:12}", "dataloader-prefetch", said) == "--workers 12"


def test_words_in_capitals_with_a_value_are_variables() -> None:
    assert words_of("--a 1 NCCL_P2P_DISABLE=1 X=") == ({"NCCL_P2P_DISABLE": "1", "X": None}, ["--a", "1"])


@functools.cache
def losses_of(name: str, side: str) -> tuple[float, ...]:
    """The losses of the first two steps."""
    return tuple(train_here(EVERY[name], side))


def train_here(case: Case, side: str) -> list[float]:
    """The losses of two steps in this process, without workers; variables of the case are for CUDA and left out."""
    _, options = words_of(f"{case.args} {filled(case.sides.get(side, ''), side, [])}")
    script = importlib.import_module(case.script)
    script.TINY = importlib.import_module("common").TINY = True
    train = script.train
    losses: list[float] = []

    def watched(args: Any, at: Any, make_loader: Any, step: Any) -> None:
        def kept(batch: Any) -> Any:
            losses.append(float(loss := step(batch)))
            return loss

        train(args, at, make_loader, kept)

    with mock.patch.object(script, "train", watched):
        script.main([*options, "--steps", "2", "--workers", "0", "--no-persistent"])
    return losses


def test_blocks_are_added_until_every_side_is_exact(tmp_path: Path) -> None:
    case = case_of("a", "gpt", "", "host", "")
    sides = Sides(case, Lane("", [0]), tmp_path)
    noise = {"steady": [10.0] * 20, "noisy": [10.8, 11.2] + [11.0] * 20}
    for side in noise:
        sides._names[side] = side
        sides.answers[side] = [{"ms": 10.0}]

    def answered(side: str, block: int, limit_s: float) -> None:
        sides.answers[side].append({"ms": noise[side][block - 1]})

    with mock.patch.object(sides, "_block", answered):
        sides.measure(2, 60)
    blocks = {len(sides.answers[side]) - 1 for side in noise}
    assert blocks == {4}  # standard error of the noisy side: 1.8 % after two, 1.05 % after three, 0.7 % after four


def test_no_block_is_added_when_the_time_is_over(tmp_path: Path) -> None:
    sides = Sides(case_of("a", "gpt", "", "host", ""), Lane("", [0]), tmp_path)
    sides._names["noisy"], sides.answers["noisy"] = "noisy", [{"ms": 10.0}]

    def answered(side: str, block: int, limit_s: float) -> None:
        sides.answers[side].append({"ms": 10.0 + block})

    with mock.patch.object(sides, "_block", answered):
        sides.measure(3, 0)
    assert len(sides.answers["noisy"]) == 4
