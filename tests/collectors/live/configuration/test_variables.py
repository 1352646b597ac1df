"""Environment variables: the allow-list, and what is kept back of their values."""

from __future__ import annotations

import os

import pytest

from llmprof.collectors.live.configuration.variables import variables


def test_only_names_from_the_list_are_recorded():
    given = dict.fromkeys(
        ["NCCL_DEBUG", "OMP_NUM_THREADS", "UCX_TLS", "SLURM_NTASKS", "TOKENIZERS_PARALLELISM", "PYTORCH_ALLOC_CONF"],
        "1",
    )
    other = dict.fromkeys(["HOME_SWEET_HOME", "SLURM_JOB_USER", "WANDB_API_KEY", "HF_TOKEN", "AWS_ACCESS_KEY_ID"], "1")
    assert variables({**given, **other}) == given


@pytest.mark.parametrize("name", ["NCCL_API_KEY", "TORCH_AUTH_TOKEN", "OMPI_MCA_SECRET", "PYTORCH_PASSWORD"])
def test_a_secret_that_a_prefix_would_catch_stays_out(name):
    assert variables({name: "hunter2"}) == {}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/ada/lib.so:/opt/lib.so", "~/lib.so:/opt/lib.so"),
        ("/home/adalbert/lib.so", "/home/adalbert/lib.so"),
        ("tcp://ada:hunter2@10.0.0.1:29500", "tcp://10.0.0.1:29500"),
    ],
)
def test_values_lose_the_home_directory_and_logins(value, shown):
    assert variables({"HOME": "/home/ada", "LD_PRELOAD": value}) == {"LD_PRELOAD": shown}


def test_a_long_value_is_cut():
    found = variables({"NCCL_TOPO_DUMP": "x" * 10_000})
    assert found["NCCL_TOPO_DUMP"] == "x" * 400 + "..."


def test_those_of_this_process_are_the_default(monkeypatch):
    monkeypatch.setitem(os.environ, "NCCL_DEBUG", "INFO")
    assert variables()["NCCL_DEBUG"] == "INFO"
