"""The settings of a run as the training process sees them; unknown is None, secrets stay out."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
import weakref

import pytest

from llmprof.collectors.live import configuration as module
from llmprof.collectors.live.configuration import Configuration
from llmprof.timeline.environment import Device, Environment, LoaderSettings, OptimizerSettings, Parallelism
from tests.collectors.live.fake_session import FakeSession

torch = pytest.importorskip("torch")


class Numbers(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        return index


@pytest.fixture
def session(tmp_path):
    """A session that has seen one loader and one optimizer over a model of 100 float32 and 10 bfloat16 values."""
    fake = FakeSession(tmp_path)
    fake.model = [torch.nn.Parameter(torch.zeros(100)), torch.nn.Parameter(torch.zeros(10, dtype=torch.bfloat16))]
    fake.optimizer = torch.optim.AdamW(fake.model, lr=0.1)
    fake.loader = torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=2, prefetch_factor=3)
    fake.optimizers = [weakref.ref(fake.optimizer)]
    fake.loaders = [weakref.ref(fake.loader)]
    return fake


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
    assert set(environment(session)) == {field.name for field in dataclasses.fields(Environment)}


def test_loader_settings(session):
    assert environment(session)["loaders"] == [
        {
            "num_workers": 2,
            "batch_size": 4,
            "pin_memory": False,
            "prefetch_factor": 3,
            "persistent_workers": False,
            "multiprocessing_context": None,
            "dataset": "Numbers",
        }
    ]


def test_batch_size_of_a_loader_with_its_own_batch_sampler(session):
    sampler = torch.utils.data.BatchSampler(
        torch.utils.data.SequentialSampler(Numbers()), batch_size=3, drop_last=False
    )
    loader = torch.utils.data.DataLoader(Numbers(), batch_sampler=sampler)
    session.loaders = [loader]
    assert environment(session)["loaders"][0]["batch_size"] == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, (False, False)), ({"fused": True}, (True, False)), ({"foreach": True}, (False, True))],
)
def test_optimizer_settings_say_what_step_does(session, options, expected):
    # told nothing, an optimizer over CPU tensors takes neither of the fast paths
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3, 5))], **options)
    session.optimizers = [optimizer]
    found = environment(session)["optimizers"][0]
    assert (found["fused"], found["foreach"]) == expected
    assert (found["name"], found["parameter_tensors"], found["parameter_count"]) == ("AdamW", 1, 15)


def test_an_optimizer_without_such_settings_has_unknown_ones(session):
    session.optimizers = [torch.optim.LBFGS([torch.nn.Parameter(torch.zeros(3))])]
    found = environment(session)["optimizers"][0]
    assert (found["fused"], found["foreach"]) == (None, None)


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


def test_variables_come_from_the_allow_list_without_secrets(session, monkeypatch):
    for name in (
        "NCCL_DEBUG",
        "NCCL_API_KEY",
        "TORCH_AUTH_TOKEN",
        "WANDB_API_KEY",
        "HOME_SWEET_HOME",
        "OMP_NUM_THREADS",
    ):
        monkeypatch.setenv(name, "1")
    found = environment(session)["variables"]
    assert {"NCCL_DEBUG", "OMP_NUM_THREADS"} <= set(found)
    assert not {"NCCL_API_KEY", "TORCH_AUTH_TOKEN", "WANDB_API_KEY", "HOME_SWEET_HOME"} & set(found)


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


def test_cores_are_those_of_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setattr(module, "_quota_v2", lambda path: None)
    monkeypatch.setattr(module, "_quota_v1", lambda path: None)
    assert module.usable_cores() == 3


def test_a_cpu_quota_cuts_the_cores(monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert module._quota_v2(tmp_path / "cpu.max") == 1.5
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(module, "_quota_v2", lambda path: 2.5)
    assert module.usable_cores() == 2


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
