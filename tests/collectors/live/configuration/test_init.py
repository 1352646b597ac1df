"""The settings of a run as the training process sees them; unknown is None, secrets stay out."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
import weakref

import pytest

from llmprof.collectors.files.records import record_of
from llmprof.collectors.live.configuration import Configuration
from llmprof.timeline.environment import Device, Environment, LoaderSettings, OptimizerSettings, Parallelism
from tests.collectors.live.configuration.conftest import Numbers
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")


def environment(session: FakeSession) -> dict:
    Configuration().start(session)
    return json.loads(json.dumps(session.rank_json["environment"]))


@pytest.mark.parametrize(
    ("key", "record"),
    [("device", Device), ("loaders", LoaderSettings), ("optimizers", OptimizerSettings), ("parallelism", Parallelism)],
)
def test_nested_keys_are_fields_of_the_environment(session, key, record):
    entries = environment(session)[key]
    for entry in entries if isinstance(entries, list) else [entries]:
        assert set(entry) <= {field.name for field in dataclasses.fields(record)}


def test_keys_are_exactly_the_fields_of_the_environment(session):
    of_the_node = {"node", "gpu_index"}  # a reader takes these from nodes/HOST
    assert set(environment(session)) | of_the_node == {field.name for field in dataclasses.fields(Environment)}


def test_a_reader_gets_back_what_was_written(session):
    """Every value that the process can tell survives the way through rank.json into the record."""
    written = environment(session)
    assert_kept(written, json.loads(json.dumps(dataclasses.asdict(record_of(Environment, written)))), "environment")


def assert_kept(written, read, where: str) -> None:
    if isinstance(written, dict) and written:
        for name, value in written.items():
            assert_kept(value, read.get(name), f"{where}.{name}")
    elif isinstance(written, list) and written and isinstance(written[0], dict):
        for index, value in enumerate(written):
            assert_kept(value, read[index], f"{where}[{index}]")
    elif written not in (None, {}, []):
        assert read == written, where


def test_a_probe_that_fails_costs_its_own_value_and_says_why(session, monkeypatch):
    def refuse() -> None:
        raise RuntimeError("no threads today")

    monkeypatch.setattr(torch, "get_num_threads", refuse)
    found = environment(session)
    assert found["cpu_threads"] is None
    assert found["unread"] == {"cpu_threads": "RuntimeError: no threads today"}
    assert found["torch_version"] == torch.__version__


def test_loader_settings(session):
    (found,) = environment(session)["loaders"]
    expected = {
        "num_workers": 2,
        "batch_size": 4,
        "pin_memory": False,
        "prefetch_factor": 3,
        "persistent_workers": False,
        "dataset": "Numbers",
    }
    assert {name: found[name] for name in expected} == expected


def test_batch_size_of_a_loader_with_its_own_batch_sampler(session):
    sampler = torch.utils.data.BatchSampler(
        torch.utils.data.SequentialSampler(Numbers()), batch_size=3, drop_last=False
    )
    loader = torch.utils.data.DataLoader(Numbers(), batch_sampler=sampler)
    session.loaders = [loader]
    assert environment(session)["loaders"][0]["batch_size"] == 3


def test_parameter_bytes_by_type_each_parameter_once(session):
    second = torch.optim.SGD(session.model, lr=0.1)  # the same parameters
    session.optimizers = [session.optimizer, second]
    assert environment(session)["parameter_bytes"] == {"float32": 400, "bfloat16": 20}


def test_a_loader_that_is_known_later_is_reported_also_when_the_run_is_killed(session):
    loaders, session.loaders = session.loaders, []
    collector = Configuration()
    collector.start(session)
    session.loaders = loaders
    for n in range(6):
        collector.on_step({"n": n})
    assert len(session.rank_json["environment"]["loaders"]) == 1


def test_what_has_been_collected_is_not_reported(session):
    del session.loader
    assert environment(session)["loaders"] == []


def test_versions_command_and_threads(session):
    found = environment(session)
    assert found["torch_version"] == torch.__version__
    assert found["command"] == sys.orig_argv
    assert found["cpu_threads"] == torch.get_num_threads()
    assert found["host"] == "testhost"


def test_ddp_makes_every_rank_data_parallel(tmp_path):
    class DistributedDataParallel:
        pass

    session = FakeSession(tmp_path, world_size=4)
    wrapped = DistributedDataParallel()
    session.models = [weakref.ref(wrapped)]
    assert environment(session)["parallelism"] == {"dp": 4}


def test_without_a_sign_of_parallelism_the_degrees_are_unknown(session):
    assert environment(session)["parallelism"] == {}


def test_reading_it_warns_about_nothing(session):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        environment(session)


def test_a_loader_that_is_gone_at_the_end_stays_noted(session):
    configuration = Configuration()
    configuration.start(session)
    del session.loader
    configuration.stop()
    assert [found["batch_size"] for found in session.rank_json["environment"]["loaders"]] == [4]


def test_the_iterator_of_a_loader_that_nobody_keeps_tells_its_settings(session):
    iterator = iter(torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=1, prefetch_factor=3))
    session.loaders = [weakref.ref(iterator)]
    Configuration().start(session)
    (found,) = session.rank_json["environment"]["loaders"]
    assert (found["num_workers"], found["batch_size"], found["prefetch_factor"]) == (1, 4, 3)
    assert found["dataset"] == "Numbers"


def test_a_watch_that_failed_leaves_autocast_unknown_with_the_reason(session):
    configuration = Configuration()
    configuration.start(session)
    configuration._regions._give_up(RuntimeError("the planted fault"))
    for n in range(4):
        configuration.on_step({"n": n})
    found = session.rank_json["environment"]
    assert found["precision"]["autocast_watched"] is False
    assert found["unread"]["precision.autocast"] == "RuntimeError: the planted fault"
