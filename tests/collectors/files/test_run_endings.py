"""Which rank ended first, and what is said about those that did not end well?"""

from __future__ import annotations

from llmprof.collectors.files.run_endings import Death, deaths, seen_from_outside, with_ending


def test_nobody_died() -> None:
    assert deaths([]) == []


def test_one_death_names_rank_signal_and_step() -> None:
    found = deaths([Death(rank=3, how="killed by SIGKILL", step=120, t_ns=None)])
    assert found == ["rank 3 (killed by SIGKILL, after step 120) died; what it had written until then is used."]


def test_the_first_death_comes_first() -> None:
    found = [Death(rank=rank, how="killed by SIGTERM", step=9, t_ns=200 + rank) for rank in range(6)]
    found[4] = Death(rank=4, how="killed by SIGKILL", step=8, t_ns=100)
    [sentence] = deaths(found)
    assert sentence.startswith("6 ranks died: first rank 4 (killed by SIGKILL, after step 8), then rank 0 (")
    assert "and 3 more" in sentence


def test_without_times_nobody_is_called_first() -> None:
    [sentence] = deaths([Death(rank=rank, how="killed", step=None, t_ns=None) for rank in (1, 0)])
    assert sentence == "2 ranks died: rank 0 (killed), rank 1 (killed); what they had written is used."


def test_a_long_reason_is_cut() -> None:
    [sentence] = deaths([Death(rank=0, how="exception: " + "x" * 500, step=None, t_ns=1)])
    assert len(sentence) < 200


def test_only_a_process_that_was_running_is_completed_from_outside() -> None:
    end = {"t": 5, "exit_code": None, "signal": "SIGSEGV"}
    assert with_ending({"ended": "running", "rank": 1}, end) == {"ended": "signal", "reason": "SIGSEGV", "rank": 1}
    assert with_ending({"ended": "exit"}, end) == {"ended": "exit"}
    assert with_ending({"ended": "running"}, {"t": 5, "exit_code": 3, "signal": None}) == {"ended": "running"}


def test_the_end_of_the_command_is_that_of_its_only_process() -> None:
    assert seen_from_outside({"exit_code": 137, "signal": "SIGKILL"}) == {"signal": "SIGKILL"}
    assert seen_from_outside({"exit_code": 139, "signal": None}) == {"signal": "SIGSEGV"}
    assert seen_from_outside({"exit_code": 1, "signal": None}) == {"signal": None}
    assert seen_from_outside({}) == {"signal": None}
