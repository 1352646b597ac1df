"""How are rank files reduced on many machines? As tasks of a Dask cluster, which redoes what a lost worker had.

Only so many tasks are handed to the scheduler as keep its workers busy, and each answer is taken and forgotten at once:
what the scheduler holds does not grow with the number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from llmprof._version import __version__
from llmprof.analyzers.many_ranks.task import Outcome, reduce_file
from llmprof.collectors.files.rank_files import RankFile
from llmprof.errors import InputError

__all__ = ["DaskCluster"]

CONNECT_S = 15
AHEAD = 2
"""Tasks a worker thread: one in work and one waiting for it."""
FEWEST_AHEAD = 16
"""While workers are still coming up their number is not known."""
RETRIES = 2
"""For failures of a worker that are no fault of the task (the loss of a worker is not counted among them)."""


class DaskCluster:
    """Reduces files on the workers of a Dask scheduler.

    scheduler    its address (`tcp://host:8786`); None: the one that Dask is configured for (DASK_SCHEDULER_ADDRESS),
                 else a cluster of processes on this machine

    Use as a context manager. Raises InputError without dask, or when the scheduler cannot be reached.
    """

    def __init__(self, scheduler: str | None = None) -> None:
        try:
            import distributed
        except ImportError as error:
            raise InputError(f"Dask is not installed ({error}); install llmprof[dask].") from None
        self._dask: Any = distributed
        try:
            self._client: Any = self._dask.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                f"the Dask scheduler {scheduler or 'of the configuration'} cannot be reached "
                f"({' '.join(str(error).split()) or type(error).__name__}); check its address and that it runs."
            ) from None

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()

    def outcomes(self, files: Sequence[RankFile], step_ms: float | None) -> Iterator[Outcome]:
        """One outcome a file, in the order in which they are ready."""
        run = uuid4().hex[:12]
        waiting = iter(range(len(files)))
        places: dict[Any, int] = {}

        def submitted() -> Any:
            place = next(waiting, None)
            if place is None:
                return None
            future = self._submit(place, files[place], step_ms, key=f"llmprof-{run}-{place}")
            places[future] = place
            return future

        first = [future for _ in range(self._ahead()) if (future := submitted()) is not None]
        completed = self._dask.as_completed(first, loop=self._client.loop)
        for future in completed:
            place = places.pop(future)
            yield self._outcome(future, place, files[place])
            future.release()
            if (following := submitted()) is not None:
                completed.add(following)

    def closely(self, file: RankFile, step_ms: float | None) -> Outcome:
        """One file with all detail, on a worker too: this machine may not see the file."""
        future = self._submit(0, file, step_ms, key=f"llmprof-closely-{uuid4().hex[:12]}", compact=False)
        return self._outcome(future, 0, file)

    def _submit(self, place: int, file: RankFile, step_ms: float | None, **options: Any) -> Any:
        return self._client.submit(reduce_file, place, file, step_ms, pure=False, retries=RETRIES, **options)

    def _ahead(self) -> int:
        threads: int = sum(self._client.nthreads().values())
        return max(FEWEST_AHEAD, AHEAD * threads)

    def _outcome(self, future: Any, place: int, file: RankFile) -> Outcome:
        try:
            found = future.result()
        except self._dask.KilledWorker:
            return Outcome(
                place=place,
                error=f"{file.address} ended every worker that read it, as a lack of memory would; give the workers "
                "more of it.",
            )
        except ImportError as error:
            raise InputError(f"the Dask workers cannot run llmprof ({error}); install {_WANTED} there.") from None
        if not isinstance(found, Outcome) or found.version != __version__:
            there = getattr(found, "version", "another version")
            raise InputError(f"the Dask workers run llmprof {there}, not {__version__}; install {_WANTED} there.")
        return found


_WANTED = f"llmprof[dask,fast,remote]=={__version__}"
