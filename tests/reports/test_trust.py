"""Is it told how true the replay is and what it knows of work that shares the device, and nothing else?"""

from __future__ import annotations

import dataclasses

import pytest

from llmprof.analyzers.diagnosis import Sharing
from llmprof.reports.html import render_html
from llmprof.reports.markdown import render_markdown
from llmprof.reports.terminal import render_plain
from llmprof.reports.trust import Trust, trust_of
from tests.reports.samples import input_starved

KERNELS = "kernels beside collectives run 1.44 times as long (1,016 pairs)"
COLLECTIVES = "collectives beside kernels run 1.10 times as long (12 pairs)"


@pytest.mark.parametrize(
    ("sharing", "texts"),
    [
        (None, []),
        (Sharing(kernels=1.4428, kernel_pairs=1016), [KERNELS]),
        (Sharing(collectives=1.1, collective_pairs=12), [COLLECTIVES]),
        (Sharing(kernels=1.4428, kernel_pairs=1016, collectives=1.1, collective_pairs=12), [KERNELS, COLLECTIVES]),
    ],
)
def test_what_sharing_costs_is_told_beside_the_replay_and_weakens_nothing(
    sharing: Sharing | None, texts: list[str]
) -> None:
    base = input_starved()
    found = trust_of(dataclasses.replace(base, capture=dataclasses.replace(base.capture, sharing=sharing)))
    assert [one for one in found if "beside" in one.text] == [Trust(text) for text in texts]


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ((0.004, 0.004, 0), Trust("replay within 0.4 % of the traced step, 0.1 % of the unprofiled one", False, True)),
        ((0.04, 0.0, 0.04), Trust("replay within 0.1 % of the traced step, 4.0 % of the unprofiled one", True, True)),
        ((0.031, 0.031, None), Trust("replay within 3.1 % of the traced step", True, True)),
        ((0.01, None, None), Trust("replay within 1.0 %", False, True)),  # written before both were
    ],
)
def test_the_replay_is_held_against_the_traced_and_the_unprofiled_step_in_every_report(
    errors: tuple[float, float | None, float | None], told: Trust
) -> None:
    base = input_starved()
    capture = dataclasses.replace(
        base.capture, replay_error=errors[0], identity_error=errors[1], unprofiled_error=errors[2], warnings=()
    )
    diagnosis = dataclasses.replace(base, capture=capture)
    assert told in trust_of(diagnosis)
    for report in (render_plain(diagnosis, width=200), render_markdown(diagnosis), render_html(diagnosis)):
        assert told.text in " ".join(report.split())


def test_of_a_profiled_run_no_unprofiled_step_is_known() -> None:
    base = input_starved()
    errors = {"replay_error": 0.014, "identity_error": 0.004, "unprofiled_error": 0.014}
    told = trust_of(dataclasses.replace(base, capture=dataclasses.replace(base.capture, basis="profiled", **errors)))
    assert Trust("replay within 0.4 % of the traced step", False, True) in told
