"""From many rank files to one diagnosis: tasks, then the merge, then a second look at the rank that sets the pace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from llmprof.analyzers.diagnose import diagnosis_of, without_facts
from llmprof.analyzers.diagnosis import Diagnosis, Source
from llmprof.analyzers.facts.measure import join
from llmprof.analyzers.facts.measured import Facts, RankFacts
from llmprof.analyzers.facts.reduction import RankReduction
from llmprof.analyzers.many_ranks.processes import Processes, worker_count
from llmprof.analyzers.many_ranks.task import Outcome, numbered
from llmprof.analyzers.replay.model import MOST_RANKS
from llmprof.collectors.files.rank_files import RankFile, RankFiles, read_rank_file
from llmprof.collectors.files.trace_ranks import ranks_of
from llmprof.errors import InputError, LlmprofError, NotEnoughDataError, UnreadableError
from llmprof.timeline.timeline import Timeline

__all__ = ["Engine", "Progress", "diagnose_files", "local_engine"]

MANY_FILES = 8
"""From as many files on, or from MANY_BYTES on, starting processes pays."""
MANY_BYTES = 256 << 20
MOST_SHOWN = 8
"""Ranks whose events a page shows side by side: the GPUs of one machine."""

Progress = Callable[[int, int, str], None]
"""Told how many of how many files are done, and what goes on."""


class Engine(Protocol):
    """Where tasks run."""

    def outcomes(self, files: Sequence[RankFile], step_ms: float | None) -> Iterator[Outcome]:
        """One outcome a file, in the order in which they are ready."""

    def closely(self, file: RankFile, step_ms: float | None) -> Outcome:
        """One file with all detail."""


def local_engine(files: RankFiles, *, always: bool = False) -> Engine | None:
    """Processes on this machine, when there are many or large files or `always`; None when nothing is won by them."""
    if not always and len(files.files) < MANY_FILES and files.size < MANY_BYTES:
        return None
    # What lies in this process's memory is seen by no other.
    alone = any(file.address.startswith("memory://") for file in files.files)
    return Processes(1 if alone else worker_count(files.files))


def diagnose_files(
    files: RankFiles,
    engine: Engine,
    *,
    step_ms: float | None = None,
    ranks: Sequence[int] = (),
    progress: Progress | None = None,
    keep: Callable[[Timeline], None] | None = None,
) -> Diagnosis:
    """The same diagnosis as of `load` with all ranks in memory, for any number of them; arguments as there.

    keep    given what was recorded of the ranks that a page shows: as many as stay small, the critical one in any case

    A file that cannot be used is named and left out, and the verdict says which ranks it is about. Raises
    UnreadableError when none can be used, InputError when two of them are the same rank.
    """
    told = progress or (lambda done, total, what: None)
    outcomes = _collected(files, engine, step_ms, told)
    warnings = list(files.warnings)
    left_out = _left_out(files, outcomes, warnings)
    reduced, places = _in_order(files, outcomes, ranks, warnings)
    world_size = _world_size(outcomes, warnings)

    def closer(number: int) -> RankReduction:
        told(len(files.files), len(files.files), f"looking closely at rank {number}")
        found = engine.closely(files.files[places[number]], step_ms)
        return numbered(found.rank, number) if found.rank is not None else reduced[number]

    told(len(files.files), len(files.files), "comparing ranks")
    numbers = sorted(reduced)
    source = Source(kind=files.kind, paths=files.paths, ranks=tuple(numbers), world_size=world_size)
    try:
        facts = join(
            [reduced[number] for number in numbers],
            where=", ".join(files.paths[:4]),
            world_size=world_size,
            warnings=tuple(dict.fromkeys(warnings)),
            left_out=left_out,
            closer=closer,
        )
    except NotEnoughDataError as error:
        return without_facts(source, [*warnings, *(w for number in numbers for w in reduced[number].warnings)], error)
    told(len(files.files), len(files.files), "replaying the step")
    timeline = _replayed(files, places, facts, world_size)
    if keep is not None and timeline is not None:
        shown = _shown(files, places, facts)
        more = len(shown) > len(timeline.ranks)
        keep((_timeline(files, places, shown, world_size) if more else None) or timeline)
    return diagnosis_of(facts, source, timeline)


def _replayed(files: RankFiles, places: Mapping[int, int], facts: Facts, world_size: int | None) -> Timeline | None:
    """What a replay needs: a few small ranks all, else the critical one; None where they cannot be read here."""
    few = len(facts.ranks) <= MOST_RANKS and files.size < MANY_BYTES
    return _timeline(files, places, sorted(facts.ranks) if few else [facts.critical.rank], world_size)


def _shown(files: RankFiles, places: Mapping[int, int], facts: Facts) -> list[int]:
    """The critical rank, the slowest, the median and the fastest by own work, then by number, within MANY_BYTES."""

    def own_work(number: int) -> float:
        rank = facts.ranks[number]
        return rank.step.mean_ns - (rank.partition.parts["skew"] if rank.partition is not None else 0.0)

    order = sorted(facts.ranks, key=own_work, reverse=True)
    first = [facts.critical.rank, order[0], order[len(order) // 2], order[-1], *sorted(facts.ranks)]
    chosen: list[int] = []
    room = MANY_BYTES
    for number in list(dict.fromkeys(first))[:MOST_SHOWN]:
        room -= files.files[places[number]].size or MANY_BYTES
        if room >= 0 or not chosen:
            chosen.append(number)
    return sorted(chosen)


def _timeline(
    files: RankFiles, places: Mapping[int, int], chosen: Sequence[int], world_size: int | None
) -> Timeline | None:
    """What was recorded of these ranks; None where they cannot be read here."""
    try:
        ranks = [replace(read_rank_file(files.files[places[n]]).timeline, rank=n) for n in chosen]
    except (LlmprofError, OSError, MemoryError):
        return None  # files that only the cluster's machines see
    return Timeline(ranks=tuple(ranks), kind=files.kind, paths=files.paths, world_size=world_size)


def _collected(files: RankFiles, engine: Engine, step_ms: float | None, told: Progress) -> list[Outcome]:
    """The outcomes in the order of the files."""
    total = len(files.files)
    told(0, total, "reading")
    found: list[Outcome] = []
    for outcome in engine.outcomes(files.files, step_ms):
        found.append(outcome if outcome.rank is None else replace(outcome, rank=_shared_names(outcome.rank)))
        told(len(found), total, "reading")
    return sorted(found, key=lambda outcome: outcome.place)


def _shared_names(rank: RankReduction) -> RankReduction:
    """With every kernel name once in memory: each rank brings its own copy of the same long names."""
    facts: RankFacts | None = rank.facts
    if facts is None or facts.kernels is None:
        return rank
    top = tuple(replace(kernel, name=sys.intern(kernel.name)) for kernel in facts.kernels.top)
    return replace(rank, facts=replace(facts, kernels=replace(facts.kernels, top=top)))


def _left_out(files: RankFiles, outcomes: Sequence[Outcome], warnings: list[str]) -> tuple[str, ...]:
    """The names of the files that should have been a rank and are not; UnreadableError when that is all of them."""
    failed = [(files.files[outcome.place], outcome) for outcome in outcomes if outcome.rank is None]
    lost = [(file, outcome) for file, outcome in failed if not (outcome.foreign and files.listed)]
    if len(failed) == len(outcomes):
        _, first = (lost or failed)[0]
        kind = NotEnoughDataError if first.empty else UnreadableError
        raise kind(first.error or "nothing could be read.")
    for file, outcome in failed:
        if (file, outcome) in lost:
            warnings.append(f"left out: {outcome.error}")
        else:
            warnings.append(f"{file.name} is no trace and was passed over.")
    return tuple(file.name for file, _ in lost)


def _in_order(
    files: RankFiles, outcomes: Sequence[Outcome], given: Sequence[int], warnings: list[str]
) -> tuple[dict[int, RankReduction], dict[int, int]]:
    """The ranks by number, and the place of the file of each; InputError when two files claim one rank."""
    if given and len(given) != len(files.files):
        raise InputError(f"{len(given)} ranks were given for {len(files.files)} traces; give one rank for each.")
    read = [outcome for outcome in outcomes if outcome.rank is not None and outcome.marks is not None]
    for outcome in read:
        warnings += outcome.warnings
    found = {file.address for file in files.files} if files.listed else set()
    marks = [outcome.marks for outcome in read if outcome.marks is not None]
    chosen = ranks_of(marks, warnings, found=found, ranks=[given[outcome.place] for outcome in read] if given else ())
    ranks: dict[int, RankReduction] = {}
    for number, place in sorted(chosen.items()):
        rank = read[place].rank
        assert rank is not None
        ranks[number] = numbered(rank, number)
    return ranks, {number: read[place].place for number, place in chosen.items()}


def _world_size(outcomes: Sequence[Outcome], warnings: list[str]) -> int | None:
    """The number of ranks in the job as the files say; the largest, with a warning, where they disagree."""
    sizes = sorted({outcome.marks.world_size for outcome in outcomes if outcome.marks and outcome.marks.world_size})
    if len(sizes) > 1:
        warnings.append(f"the files disagree on the number of ranks ({sizes}): they may be of different runs.")
    return sizes[-1] if sizes else None
