"""What does a fix save of some kernels? Their time now and what goes, in the record that rules and replay share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.operators.operators import OperatorWork

__all__ = ["Saving", "saving_of", "sum_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Kernels that one fix makes faster by the same factor; ns per step of the device."""

    ns: float
    """Their time now."""
    low_ns: float = 0.0
    """What is saved at the least."""
    expected_ns: float = 0.0
    high_ns: float = 0.0
    work: tuple[OperatorWork, ...] = ()
    """The operators whose kernels they are."""
    copies: tuple[OperatorWork, ...] = ()
    """The same for what the driver copies within the device."""
    named: str = ""
    """A pattern of kernel names, where these tell what the operators do not."""
    launches: float = 1.0
    """The share of their launches that is left when the fix comes true as expected."""


def saving_of(
    ns: float,
    *,
    low_ns: float,
    expected_ns: float,
    high_ns: float,
    work: Sequence[OperatorWork] = (),
    copies: Sequence[OperatorWork] = (),
    named: str = "",
    launches: float = 1.0,
) -> Saving:
    """A saving whose ends are in order, and none more than the kernels take."""
    high = min(max(high_ns, 0.0), ns)
    expected = min(max(expected_ns, 0.0), high)
    return Saving(
        ns=ns,
        low_ns=min(max(low_ns, 0.0), expected),
        expected_ns=expected,
        high_ns=high,
        work=tuple(work),
        copies=tuple(copies),
        named=named,
        launches=min(1.0, launches),
    )


def sum_of(savings: Iterable[Saving]) -> Saving:
    """All of them together, without the kernels."""
    some = list(savings)
    return Saving(
        ns=sum(one.ns for one in some),
        low_ns=sum(one.low_ns for one in some),
        expected_ns=sum(one.expected_ns for one in some),
        high_ns=sum(one.high_ns for one in some),
    )
