"""How long does a thread that pins batches hold Python's lock, and what of it does the training thread lose?"""

from __future__ import annotations

import pytest

from llmprof.analyzers.facts.loading.copies import CopyFacts, CopyGroup
from llmprof.analyzers.facts.loading.given_back import exposed_ns, locked_ns
from llmprof.timeline.environment import Environment, LoaderSettings
from tests.analyzers.rules.facts_builder import make_rank, make_step


def test_only_a_thread_that_pins_the_batches_of_workers_holds_the_lock() -> None:
    copies = CopyFacts(pinned_to_device=CopyGroup(bytes=10e6))
    for workers, pinned, expected in ((2, True, 2e6), (2, False, 0.0), (0, True, 0.0)):
        loader = LoaderSettings(num_workers=workers, pin_memory=pinned)
        rank = make_rank(None, step=make_step(40), copies=copies, environment=Environment(loaders=(loader,)))
        assert locked_ns(rank) == expected
    assert locked_ns(make_rank(None, step=make_step(40), copies=copies)) == 0


@pytest.mark.parametrize(
    ("python", "backward", "exposed"),
    [
        (100, 0, 8.0),  # all of the host needs the lock
        (0, 100, 0.32),  # only a lock that is taken in the last 8 of 100 shows, half of it in the mean
        (50, 50, 4.32),
        (10, 4, (10 * 8 + 4 * 6) / 14),  # a backward pass shorter than the lock hides none of them whole
        (0, 0, 8.0),
    ],
)
def test_a_backward_pass_does_without_python(python: float, backward: float, exposed: float) -> None:
    assert exposed_ns(8.0, python, backward) == pytest.approx(exposed)
