"""Is each process the rank that it says, or that the order of files and GPUs suggests, and where are its steps?"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmprof.collectors.files import load
from llmprof.errors import InputError
from llmprof.timeline.events import Kind
from llmprof.timeline.steps import StepMarks
from llmprof.timeline.timeline import Timeline
from tests.scenarios.nsys_export import EPOCH, NVTX, Export, thread


def export_of(*pids: int) -> Export:
    export = Export()
    for pid in pids:
        export.launched(f"kernel of {pid}", 100, 500, 900, pid=pid)
    return export


def kernels_by_rank(timeline: Timeline) -> dict[int, str]:
    found = {}
    for rank in timeline.ranks:
        assert rank.events is not None
        found[rank.rank] = rank.events.named(int(rank.events.rows(Kind.KERNEL)[0]))
        assert {lane.rank for lane in rank.lanes} == {rank.rank}
    return found


def test_mpi_ranks_are_believed(tmp_path: Path) -> None:
    export = export_of(100, 200)
    export.add("MPI_RANKS", globalTid=thread(pid=100), rank=1).add("MPI_RANKS", globalTid=thread(pid=200), rank=0)
    found = kernels_by_rank(load(export.write(tmp_path / "r.sqlite")))
    assert found == {0: "kernel of 200", 1: "kernel of 100"}


def test_without_a_hint_the_order_of_the_gpus_counts_and_is_called_a_guess(tmp_path: Path) -> None:
    export = export_of()
    export.launched("on device 1", 100, 500, 900, pid=100).launched("on device 0", 100, 500, 900, pid=200)
    for row, device in zip(export.tables["CUPTI_ACTIVITY_KIND_KERNEL"], (1, 0), strict=True):
        row["deviceId"] = device
    for number in range(2):
        export.add("TARGET_INFO_GPU", id=number, cuDevice=number, name="H100", smCount=132)
    timeline = load(export.write(tmp_path / "r.sqlite"))
    assert kernels_by_rank(timeline) == {0: "on device 0", 1: "on device 1"}
    assert any("nothing says which rank is which" in text for text in timeline.warnings)


def test_ranks_of_one_report_share_a_machine_and_ranks_of_several_may_not(tmp_path: Path) -> None:
    together = load(export_of(100, 200).write(tmp_path / "both.sqlite"))
    assert len({rank.environment.host for rank in together.ranks}) == 1
    assert together.ranks[0].environment.host is not None
    apart = load([export_of(pid).write(tmp_path / f"rank{n}.sqlite") for n, pid in enumerate((100, 100))])
    assert {rank.environment.host for rank in apart.ranks} == {None}


@pytest.mark.parametrize("name", ["rank5.sqlite", "run_rank-5.sqlite", "r00005.sqlite"])
def test_the_name_of_the_file(tmp_path: Path, name: str) -> None:
    assert list(kernels_by_rank(load(export_of(100).write(tmp_path / name)))) == [5]


@pytest.mark.parametrize("form", ["{}={}", '{}="{}"'])
def test_the_launch_environment(tmp_path: Path, form: str) -> None:
    export = export_of(100)
    for name, value in (("LOCAL_RANK", 0), ("RANK", 2), ("WORLD_SIZE", 4), ("SLURM_PROCID", 9)):
        export.add("META_DATA_CAPTURE", name="PROCESS_3:ENVIRONMENT_VARIABLE", value=form.format(name, value))
    timeline = load(export.write(tmp_path / "rank7.sqlite"))
    assert (list(kernels_by_rank(timeline)), timeline.world_size) == ([2], 4)


def test_files_without_a_hint_are_in_natural_order(tmp_path: Path) -> None:
    paths = [export_of(n).write(tmp_path / f"rep_{n}.sqlite") for n in (10, 9, 2)]
    assert list(kernels_by_rank(load(paths)).values()) == ["kernel of 2", "kernel of 9", "kernel of 10"]
    assert kernels_by_rank(load(tmp_path)) == kernels_by_rank(load(paths))


def test_two_processes_that_claim_one_rank(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [export_of(1).write(tmp_path / folder / "rank1.sqlite") for folder in "ab"]
    with pytest.raises(InputError, match="both are rank 1"):
        load(paths)


def test_processes_without_device_work_are_no_ranks_beside_one_that_has(tmp_path: Path) -> None:
    export = export_of(100).range("load", 1, 2, pid=300).call("cudaGetDeviceCount_v3020", 1, 2, pid=400)
    assert len(load(export.write(tmp_path / "r.sqlite")).ranks) == 1


def payload(schema: int, *values: tuple[str, int]) -> bytes:
    body = struct.pack("<" + "".join(form for form, _ in values), *(value for _, value in values))
    return struct.pack("<QQQQ", 1, schema, len(body), 0) + body


def nccl(export: Export, name: str, start: int, data: bytes | None) -> None:
    export.range(None, start, start + 50, domain=1, registered=name)
    export.tables[NVTX][-1]["binaryData"] = data


def schemas(export: Export) -> None:
    for schema, entries in {
        7: (("NCCL communicator ID", 18, None), ("No. of ranks", 5, 8), ("Rank", 5, 12)),
        8: (("NCCL communicator ID", 18, None), ("Message size [bytes]", 22, 8), ("Reduction operation", 16777232, 16)),
    }.items():
        for place, (name, kind, offset) in enumerate(entries):
            export.add(
                "NVTX_PAYLOAD_SCHEMA_ENTRIES",
                domainId=1,
                schemaId=schema,
                idx=place,
                type=kind,
                name=name,
                offset=offset,
            )


def test_nccl_payloads_give_rank_world_and_message(tmp_path: Path) -> None:
    export = Export()
    schemas(export)
    nccl(export, "ncclCommInitRank", 10, payload(7, ("Q", 0xABC), ("I", 8), ("I", 3)))
    nccl(export, "ncclAllReduce", 90, payload(8, ("Q", 0xABC), ("Q", 4096), ("Q", 0)))
    export.launched("ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)", 100, 500, 900)
    nccl(export, "ncclAllGather", 1_000, payload(8, ("Q", 0xABC), ("Q", 512), ("Q", 0)))
    export.launched("ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)", 1_010, 1_500, 1_900)
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    assert rank.events is not None
    assert (rank.rank, rank.environment.world_size) == (3, 8)
    reduce, gather = (rank.events.collectives[row] for row in rank.events.rows(Kind.KERNEL).tolist())
    assert (reduce.name, reduce.in_elements, reduce.dtype, reduce.group_size) == ("AllReduce", 1024, "Float", 8)
    assert (gather.name, gather.in_elements, gather.out_elements, gather.dtype) == ("AllGather", 512, 4096, "Byte")
    assert reduce.group_name == gather.group_name == f"{0xABC:016x}"


@pytest.mark.parametrize("data", [None, b"", b"short", bytes(32), payload(99, ("Q", 1)), payload(8, ("I", 1))])
def test_payloads_that_say_nothing_cost_nothing(tmp_path: Path, data: bytes | None) -> None:
    export = Export()
    schemas(export)
    nccl(export, "ncclAllReduce", 90, data)
    export.launched("ncclDevKernel_AllReduce_Sum_f32_RING_LL", 100, 500, 900)
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    assert rank.events is not None and not rank.events.collectives


def steps_of(tmp_path: Path, names: Sequence[str], *, between: int = 0, extra: Sequence[str] = ()) -> StepMarks:
    """Marks of a loop with one range of each name, 1000 ns long, in which a kernel is launched."""
    export = Export()
    for place, name in enumerate(names):
        start = place * (1_000 + between)
        export.range(name, start, start + 1_000).launched("k", start + 100, start + 300, start + 900)
        for more in extra:
            export.range(more, start + 50, start + 60)
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    return rank.marks


@pytest.mark.parametrize(
    "name",
    ["step", "step {}", "step_{}", "Step {} to 9999", "train_step", "training_step {}", "iteration {}", "iter_{}",
     "ProfilerStep#{}", "global_step={}", "batch {}", "[pl][profile]run_training_batch"],
)  # fmt: skip
def test_names_that_are_steps(tmp_path: Path, name: str) -> None:
    marks = steps_of(tmp_path, [name.format(place) for place in range(4)])
    assert len(marks) == 4
    assert marks.source.startswith("NVTX range ")


@pytest.mark.parametrize(
    "name", ["forward", "backward", "optimizer_step", "optimizer.step()", "lr_scheduler.step", "eval step",
             "next_batch", "micro_step", "stepping stone", "aten::step", "get_batch", "load_batch"]
)  # fmt: skip
def test_names_that_are_no_steps(tmp_path: Path, name: str) -> None:
    assert not steps_of(tmp_path, [name] * 2).source.startswith("NVTX range")


def test_numbers_in_names_are_the_steps_numbers(tmp_path: Path) -> None:
    assert steps_of(tmp_path, ["step 7", "step 8", "step 12"]).number.tolist() == [7, 8, 12]
    (tmp_path / "r.sqlite").unlink()
    assert steps_of(tmp_path, ["step", "step", "step"]).number.tolist() == [0, 1, 2]


def test_one_range_is_no_loop(tmp_path: Path) -> None:
    assert len(steps_of(tmp_path, ["step 1"])) == 0


def test_time_between_two_steps_belongs_to_the_second(tmp_path: Path) -> None:
    marks = steps_of(tmp_path, ["step"] * 3, between=200)
    assert (marks.start_ns[1:] == marks.end_ns[:-1]).all()


def test_a_pause_longer_than_a_step_belongs_to_none(tmp_path: Path) -> None:
    marks = steps_of(tmp_path, ["step"] * 3, between=5_000)
    assert (marks.start_ns[1:] - marks.end_ns[:-1]).tolist() == [5_000, 5_000]


def test_the_range_in_which_the_work_is_launched_wins(tmp_path: Path) -> None:
    assert steps_of(tmp_path, ["train_step"] * 3, extra=["batch"]).source == "NVTX range train_step"


def test_pytorchs_own_marks_win(tmp_path: Path) -> None:
    export = Export()
    for place in range(3):
        export.range("step", place * 1_000, place * 1_000 + 999)
        export.range(f"ProfilerStep#{place + 5}", place * 1_000 + 1, place * 1_000 + 990)
        export.launched("k", place * 1_000 + 100, place * 1_000 + 300, place * 1_000 + 900)
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    assert rank.marks.number.tolist() == [5, 6, 7]


def test_warm_up_is_the_last_choice_and_is_said(tmp_path: Path) -> None:
    names = ["Warm-up Step 1", "Warm-up Step 2", "Warm-up Step 3", "Step 1", "Step 2"]
    assert steps_of(tmp_path, names).source == "NVTX range Step #"
    (tmp_path / "r.sqlite").unlink()
    assert steps_of(tmp_path, names[:3]).source == "NVTX range Warm-up Step #"
    (rank,) = load(tmp_path / "r.sqlite").ranks
    assert any("only warm-up steps" in text for text in rank.quality.warnings)


def test_the_long_first_steps_of_a_run_are_left_out(tmp_path: Path) -> None:
    export, start = Export(), 0
    for place, length in enumerate((90_000, 30_000, *[10_000] * 6, 40_000, 10_000)):
        export.range(f"step {place}", start, start + length).launched(
            "k", start + 100, start + 300, start + length - 50
        )
        start += length
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    assert rank.marks.number.tolist() == [2, 3, 4, 5, 6, 7, 8, 9]  # a long step in the middle is a finding, not warm-up
    assert any("first 2 steps" in text for text in rank.quality.warnings)


def test_optimizer_ranges_end_steps(tmp_path: Path) -> None:
    export = Export()
    for place in range(4):
        start = place * 1_000
        export.launched("gemm", start + 10, start + 200, start + 300)
        export.range("Optimizer.step#AdamW.step, op_id = 5", start + 400, start + 500)
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    ends = rank.marks.end_ns + rank.origin_ns - EPOCH
    assert (ends.tolist(), rank.marks.source) == ([1_500, 2_500, 3_500], "optimizer range")


@pytest.mark.parametrize("kernels", [1, 5])
def test_bursts_of_optimizer_kernels_end_steps(tmp_path: Path, kernels: int) -> None:
    export = Export()
    for step in range(4):
        start = step * 100_000
        for place in range(30):
            export.launched("gemm", start + place * 1_000, start + place * 1_000 + 500, start + place * 1_000 + 900)
        for place in range(kernels):
            at = start + 40_000 + place * 1_000
            name = "multi_tensor_apply_kernel<FusedAdamMathFunctor<float>>"
            export.launched(name, at, at + 500, at + 900).launched("elementwise", at + 200, at + 910, at + 950)
    (rank,) = load(export.write(tmp_path / "r.sqlite")).ranks
    last = 40_000 + (kernels - 1) * 1_000 + 100
    assert (rank.marks.end_ns + rank.origin_ns - EPOCH).tolist() == [100_000 * step + last for step in (1, 2, 3)]
    assert any("optimizer kernels" in text for text in rank.quality.warnings)


def test_without_any_sign_the_recording_is_one_step_and_says_so(tmp_path: Path) -> None:
    (rank,) = load(export_of(100).write(tmp_path / "r.sqlite")).ranks
    assert len(rank.marks) == 0
    assert any("counts as one step" in text for text in rank.quality.warnings)
