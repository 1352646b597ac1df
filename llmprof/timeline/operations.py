"""What did every worker of a pipeline do in every step? A table with one row an operation, as frameworks log it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from llmprof.timeline.intervals import Int64

__all__ = ["OperationTable"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperationTable:
    """Operations of all workers in whole steps; columns have shape (n,).

    kind        index into `kinds`: forward-compute, backward-compute, forward-send, grads-reduce-scatter, ...
    sequence    place of the operation among those of its kind in one step of its worker, from 0
    start_ns    on a clock that all workers share
    """

    kinds: tuple[str, ...]
    kind: npt.NDArray[np.int64]
    replica: Int64
    """Data-parallel rank of the worker, from 0."""
    stage: Int64
    """Its pipeline stage, from 0."""
    rank: Int64
    """Its global rank."""
    step: Int64
    sequence: Int64
    chunk: Int64
    """Model chunk of an interleaved schedule; 0 without one, NONE where it has no meaning."""
    start_ns: Int64
    dur_ns: Int64

    def __len__(self) -> int:
        return int(self.start_ns.size)

    def where(self, chosen: npt.NDArray[np.bool_]) -> OperationTable:
        """The rows in a mask of shape (n,)."""
        columns = {one.name: getattr(self, one.name)[chosen] for one in fields(self) if one.name != "kinds"}
        return OperationTable(kinds=self.kinds, **columns)
