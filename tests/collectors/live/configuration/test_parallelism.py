"""Parallelism as real wrappers, meshes and stages prove it, in one process: gloo for one rank, `fake` for several."""

from __future__ import annotations

import types
import warnings

import pytest

from llmprof.collectors.live.configuration.parallelism import distribution, parallel_settings
from llmprof.collectors.live.configuration.probing import Probes
from llmprof.collectors.live.configuration.sharding import deepspeed_settings

torch = pytest.importorskip("torch")
pytest.importorskip("torch.distributed.fsdp")


def layers(count: int = 4) -> torch.nn.Sequential:
    blocks = [torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.ReLU()) for _ in range(count)]
    return torch.nn.Sequential(*blocks)


def settings(model: torch.nn.Module, world_size: int) -> dict:
    probes = Probes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = parallel_settings([model], list(model.parameters()), world_size, probes)
    assert probes.unread == {}
    return found


def mesh_of(shape: tuple[int, ...], names: tuple[str, ...]):
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh("cpu", shape, mesh_dim_names=names)


def fully_sharded(model: torch.nn.Sequential, **options) -> torch.nn.Sequential:
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    if not hasattr(fsdp, "fully_shard"):
        pytest.skip("this PyTorch keeps fully_shard elsewhere")
    for block in model:
        fsdp.fully_shard(block, **options)
    return fsdp.fully_shard(model, **{**options, "reshard_after_forward": True})


def test_settings_of_ddp(world):
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

    world(1)
    model = torch.nn.parallel.DistributedDataParallel(
        layers(), bucket_cap_mb=7, gradient_as_bucket_view=True, find_unused_parameters=True
    )
    model.register_comm_hook(None, fp16_compress_hook)
    found = settings(model, 1)
    expected = {
        "bucket_cap_bytes": 7 << 20,
        "bucket_cap_is_default": False,
        "gradient_as_bucket_view": True,
        "find_unused_parameters": True,
        "static_graph": False,
        "broadcast_buffers": True,
        "communication_hook": "fp16_compress_hook",
        "group_size": 1,
        "backend": "gloo",
    }
    assert {name: found["ddp"][name] for name in expected} == expected
    assert found["parallelism"] == {"dp": 1}


def test_ddp_inside_a_compiled_model_is_found_and_has_the_default_buckets(world):
    world(1)
    ddp = torch.nn.parallel.DistributedDataParallel(layers())
    found = settings(torch.compile(ddp, backend="eager"), 1)["ddp"]
    assert (found["bucket_cap_bytes"], found["communication_hook"]) == (25 << 20, "")


def test_settings_of_the_first_fsdp(world):
    from torch.distributed.fsdp import BackwardPrefetch, FullyShardedDataParallel, MixedPrecision, ShardingStrategy

    world(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = FullyShardedDataParallel(
            layers(),
            device_id=torch.device("cpu"),
            sharding_strategy=ShardingStrategy.NO_SHARD,
            mixed_precision=MixedPrecision(param_dtype=torch.bfloat16, reduce_dtype=torch.float32),
            backward_prefetch=BackwardPrefetch.BACKWARD_POST,
            forward_prefetch=True,
            limit_all_gathers=False,
            use_orig_params=True,
        )
    found = settings(model, 1)
    expected = {
        "version": 1,
        "units": 1,
        "strategy": "NO_SHARD",
        "parameter_dtype": "bfloat16",
        "reduce_dtype": "float32",
        "forward_prefetch": True,
        "backward_prefetch": "BACKWARD_POST",
        "limit_all_gathers": False,
        "use_orig_params": True,
        "cpu_offload": False,
        "shard_size": 1,
    }
    assert {name: found["fsdp"][name] for name in expected} == expected
    assert found["parallelism"] == {"fsdp": 1}


@pytest.mark.parametrize(("reshard", "told"), [(True, "yes"), (False, "no"), (2, "2")])
def test_settings_of_the_second_fsdp_and_its_resharding(world, reshard, told):
    from torch.distributed.fsdp import MixedPrecisionPolicy

    world(8)
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    mesh = mesh_of((8,), ("dp",))
    found = settings(fully_sharded(layers(), mesh=mesh, mp_policy=policy, reshard_after_forward=reshard), 8)
    assert (found["fsdp"]["version"], found["fsdp"]["units"]) == (2, 4)  # the root has no parameters of its own
    assert (found["fsdp"]["parameter_dtype"], found["fsdp"]["reduce_dtype"]) == ("bfloat16", "float32")
    assert found["fsdp"]["reshard_after_forward"] == told
    assert found["parallelism"] == {"fsdp": 8}  # although the dimension is named dp


def test_hybrid_sharding_has_two_degrees(world):
    world(8)
    found = settings(fully_sharded(layers(), mesh=mesh_of((2, 4), ("dp_replicate", "dp_shard"))), 8)
    assert found["parallelism"] == {"fsdp": 4, "dp": 2}
    assert found["meshes"] == [{"names": ["dp_replicate", "dp_shard"], "sizes": [2, 4], "device_type": "cpu"}]
    assert (found["fsdp"]["shard_size"], found["fsdp"]["replicate_size"]) == (4, 2)


def test_tensor_parallel_layers_tell_their_placements(world):
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    world(8)
    model = layers(2)
    mesh = mesh_of((4, 2), ("dp", "tp"))
    for block, style in zip(model, (ColwiseParallel(), RowwiseParallel()), strict=True):
        parallelize_module(block, mesh["tp"], {"0": style})
    found = settings(model, 8)
    assert found["parallelism"]["tp"] == 2
    assert found["tensor_placements"] == {"tp:Shard(0)": 2, "tp:Shard(1)": 1, "tp:Replicate": 1}


def test_a_pipeline_is_found_in_the_variables_of_the_script(world):
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B

    world(8)
    model = layers()
    stage = PipelineStage(model, 3, 8, torch.device("cpu"))
    schedule = Schedule1F1B(stage, n_microbatches=16, loss_fn=lambda output, target: output.sum())
    found = settings(model, 8)
    assert schedule is not None
    assert found["pipeline"] == {"schedule": "Schedule1F1B", "microbatches": 16, "stages": 8, "local_stages": [3]}
    assert found["parallelism"] == {"pp": 8}


def test_process_groups_tell_their_ranks_backend_and_timeout(world):
    world(1)
    (group,) = settings(layers(), 1)["process_groups"]
    assert (group["size"], group["ranks"], group["timeout_s"]) == (1, [0], 77.0)
    assert "gloo" in group["backend"]


def test_without_a_process_group_the_launcher_tells_the_world():
    assert distribution(torch, 4) == {"world_size": 4, "backend": None}
    assert settings(layers(), 1)["process_groups"] == []


def test_an_engine_of_deepspeed_is_asked():
    """With the methods and values of deepspeed.DeepSpeedEngine 0.19."""
    engine = types.SimpleNamespace(
        zero_optimization_stage=lambda: 3,
        zero_offload_optimizer=lambda: types.SimpleNamespace(device=types.SimpleNamespace(value="cpu")),
        zero_offload_param=lambda: None,
        fp16_enabled=lambda: False,
        bfloat16_enabled=lambda: True,
        gradient_accumulation_steps=lambda: 4,
        zero_overlap_comm=lambda: True,
    )
    assert deepspeed_settings(engine) == {
        "zero_stage": 3,
        "optimizer_offload": "cpu",
        "parameter_offload": "none",
        "dtype": "bfloat16",
        "gradient_accumulation": 4,
        "overlap_communication": True,
        "reduce_bucket_elements": None,
    }
