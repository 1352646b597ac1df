"""What is one task? Reads one rank file and reduces it to facts; whatever is wrong with it becomes part of the answer.

A task runs in another process or on another machine, so what goes in and what comes out is small and can be pickled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from llmprof._version import __version__
from llmprof.analyzers.facts.reduction import RankReduction, reduce_rank
from llmprof.collectors.files.rank_files import RankFile, read_rank_file
from llmprof.collectors.files.trace_ranks import TraceMarks
from llmprof.errors import LlmprofError, NotEnoughDataError, UnknownFormatError

__all__ = ["Outcome", "numbered", "reduce_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one rank file: `rank` or, when it cannot be used, `error`."""

    place: int
    """Its place among the files."""
    rank: RankReduction | None = None
    marks: TraceMarks | None = None
    """What tells which rank it is."""
    warnings: tuple[str, ...] = ()
    error: str | None = None
    foreign: bool = False
    """The file is no trace at all."""
    empty: bool = False
    """Nothing was recorded there."""
    cpu_s: float = 0.0
    """Processor time of the task."""
    version: str = __version__
    """Of the llmprof that did the task."""


def reduce_file(place: int, file: RankFile, step_ms: float | None = None, *, compact: bool = True) -> Outcome:
    """Read and measure one rank; never raises for what is in the file."""
    start = time.thread_time()
    found = _reduced(place, file, step_ms, compact)
    return replace(found, cpu_s=time.thread_time() - start)


def _reduced(place: int, file: RankFile, step_ms: float | None, compact: bool) -> Outcome:
    try:
        read = read_rank_file(file)
        rank = reduce_rank(read.timeline, step_ms=step_ms, compact=compact)
    except LlmprofError as error:
        foreign, empty = isinstance(error, UnknownFormatError), isinstance(error, NotEnoughDataError)
        return Outcome(place=place, error=str(error), foreign=foreign, empty=empty)
    except MemoryError:
        return Outcome(
            place=place, error=f"{file.address} needs more memory than there is; read it on a larger machine."
        )
    except Exception as error:  # the file of one rank does not take the others down
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(place=place, error=f"{file.address} makes llmprof fail ({what}); report it.")
    return Outcome(place=place, rank=rank, marks=read.marks, warnings=read.warnings)


def numbered(rank: RankReduction, number: int) -> RankReduction:
    """The same as another rank: a file that does not say which rank it is gets its number from the merge."""
    if rank.rank == number:
        return rank
    facts = None if rank.facts is None else replace(rank.facts, rank=number)
    calls = None if rank.calls is None else replace(rank.calls, rank=number)
    return replace(rank, rank=number, facts=facts, calls=calls)
