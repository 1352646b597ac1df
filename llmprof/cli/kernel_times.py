"""Which kernels does `llmprof run` time on the GPU when the training is over, and what does the diagnosis say then?"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmprof.cli.console import note
from llmprof.errors import LlmprofError
from llmprof.timeline import rundir

if TYPE_CHECKING:
    from llmprof.analyzers.diagnosis import Diagnosis
    from llmprof.timeline.kernel_times import KernelCall
    from llmprof.timeline.timeline import RankTimeline, Timeline

__all__ = ["calls_to_time", "gpu_here", "with_kernel_times"]


def with_kernel_times(
    diagnosis: Diagnosis, directory: Path, timelines: Sequence[Timeline]
) -> tuple[Diagnosis, Sequence[Timeline]]:
    """The diagnosis (and what was recorded) once more, with kernels timed on the GPU of the run.

    As given where no recommended fix changes kernels that can be timed, where that GPU is not here or not idle, and
    whenever anything goes wrong: the times are kept in the run directory, and nothing else is changed.
    """
    try:
        rank = _critical(diagnosis, timelines)
        calls = () if rank is None else calls_to_time(diagnosis, rank)
        if rank is None or not calls:
            return diagnosis, timelines
        reason = _timed(directory, rank, calls)
        if reason is not None:
            note(f"kernels are not timed on the GPU: {reason}.")
            return diagnosis, timelines
        return _again(directory, timelines)
    except KeyboardInterrupt:
        return diagnosis, timelines
    except Exception as error:  # the run is diagnosed already
        note(f"warning: kernels could not be timed ({type(error).__name__}: {error}).")
        return diagnosis, timelines


def calls_to_time(diagnosis: Diagnosis, rank: RankTimeline) -> tuple[KernelCall, ...]:
    """The calls whose times tell what the recommended fixes bring; none where they would bring nothing."""
    from llmprof.analyzers.facts.faster.channels_last import in_channels_last
    from llmprof.analyzers.facts.faster.timed_kernels import FIXES, questions
    from llmprof.analyzers.facts.operators.operator_facts import operator_facts
    from llmprof.analyzers.facts.steps.windows import windows_of

    fixes = [one.id for one in diagnosis.recommendations if one.id in FIXES and one.gain.expected_ms > 0]
    operators = operator_facts(rank, windows_of(rank)) if fixes else None
    if operators is None:
        return ()
    return questions(fixes, operators, channels_last=in_channels_last(operators))


def gpu_here(directory: Path, name: str) -> str | None:
    """The UUID of the GPU of the first rank that trained on this host with a GPU of this name; None without one."""
    host = socket.gethostname()
    for _, _, folder in rundir.rank_dirs(directory):
        try:
            header = rundir.read_json(folder / rundir.RANK)
        except LlmprofError:
            continue
        environment, device = header.get("environment"), header.get("device")
        if header.get("host") != host or not isinstance(environment, dict) or not isinstance(device, dict):
            continue
        model = environment.get("device")
        if isinstance(model, dict) and model.get("name") == name and isinstance(device.get("uuid"), str):
            return str(device["uuid"])
    return None


def _critical(diagnosis: Diagnosis, timelines: Sequence[Timeline]) -> RankTimeline | None:
    """What was recorded of the rank that the fixes are about, where its GPU is known."""
    found = [rank for one in timelines for rank in one.ranks if rank.rank == diagnosis.partition_rank]
    return found[0] if found and found[0].environment.device.name else None


def _timed(directory: Path, rank: RankTimeline, calls: Sequence[KernelCall]) -> str | None:
    """Time these calls and keep the answers; why not, when there are none."""
    from llmprof.collectors.timing.starting import time_kernels, why_busy, write_kernel_times

    name = rank.environment.device.name
    uuid = gpu_here(directory, name or "")
    if uuid is None:
        return f"the {name} of the run is not on this machine"
    busy = why_busy(uuid)
    if busy is not None:
        return busy
    note("timing kernels on the GPU, as they are and as fixes would have them ...")
    benchmark = bool(rank.environment.precision.cudnn_benchmark)
    found = time_kernels(directory, calls, name=name, uuid=uuid, settings={"cudnn_benchmark": benchmark})
    if isinstance(found, str):
        return found
    write_kernel_times(directory, found)
    return None


def _again(directory: Path, timelines: Sequence[Timeline]) -> tuple[Diagnosis, Sequence[Timeline]]:
    """The diagnosis with the times that are kept now; a single rank is in memory as a whole and is not read again."""
    from llmprof.analyzers.diagnose import diagnose
    from llmprof.cli.diagnosing import diagnose_paths
    from llmprof.cli.trials import add_trials
    from llmprof.collectors.files.run_kernel_times import read_kernel_times

    warnings: list[str] = []
    times = read_kernel_times(directory / rundir.KERNEL_TIMES, warnings)
    whole = len(timelines) == len(rundir.rank_dirs(directory)) == 1
    if times is None or not whole:
        kept: list[Timeline] = []
        return diagnose_paths([str(directory)], keep=kept.append), kept
    ranks = tuple(
        replace(rank, kernel_times=times) if rank.environment.device.name == times.device else rank
        for rank in timelines[0].ranks
    )
    timeline = replace(timelines[0], ranks=ranks)
    return add_trials(diagnose(timeline), [str(directory)]), [timeline]
