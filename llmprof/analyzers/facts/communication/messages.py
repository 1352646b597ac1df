"""Which messages does a kernel of sends and receives carry? Its own, or those that were begun together with it.

What is sent and received inside one group (`torch.distributed.batch_isend_irecv`) is one kernel, launched when the
group ends, and its row says nothing of them. The host's rows do: each call notes its direction, size and other side,
and all of a group stand on its thread between the launch before and its own.
"""

from __future__ import annotations

from itertools import takewhile

import numpy as np
import numpy.typing as npt

from llmprof.analyzers.facts.device.kernel_names import CLASSES
from llmprof.analyzers.facts.device.kernels import row_classes
from llmprof.timeline.events import DEVICE_KINDS, NONE, CollectiveCall, EventTable

__all__ = ["Messages", "is_sent", "messages_of"]

Messages = tuple[CollectiveCall, ...]
_SENT = {"send": True, "isend": True, "recv": False, "irecv": False}
_COMMUNICATION = CLASSES.index("communication")


def is_sent(call: CollectiveCall | None) -> bool | None:
    """Whether a call is a message that is sent; None where it is none, or its direction is not known."""
    return _SENT.get((call.name or "").lower()) if call is not None else None


def messages_of(events: EventTable, rows: npt.NDArray[np.intp]) -> dict[int, Messages]:
    """The messages of each of these kernels of sends and receives, those sent first; without known ones it is left out.

    So are kernels of one launch, and the second of a group that needs several: what each carries is not recorded.
    """
    calls = {row: events.collectives.get(row) for row in rows.tolist()}
    found: dict[int, Messages] = {row: (call,) for row, call in calls.items() if call and is_sent(call) is not None}
    together = rows[[row not in found and events.launch[row] != NONE for row in rows.tolist()]]
    if together.size == 0:
        return found
    noted = np.array([row for row in events.collectives if events.kind[row] not in DEVICE_KINDS], np.intp)
    launches = events.launch[np.flatnonzero(row_classes(events) == _COMMUNICATION)]
    launches, kernels = np.unique(launches[launches != NONE], return_counts=True)
    single = launches[kernels == 1]
    for lane in np.unique(events.lane[events.launch[together]]).tolist():
        own, before = noted[events.lane[noted] == lane], launches[events.lane[launches] == lane]
        for row in together[events.lane[events.launch[together]] == lane].tolist():
            launch = int(events.launch[row])
            if launch in single and (some := _group(events, own, before, launch)):
                found[row] = some
    return found


def _group(events: EventTable, calls: npt.NDArray[np.intp], launches: npt.NDArray[np.int32], launch: int) -> Messages:
    """The messages noted between the launch before and this one, with nothing else between them and it."""
    place = int(np.searchsorted(launches, launch))
    since = launches[place - 1] if place else NONE
    between = calls[np.searchsorted(calls, since) : np.searchsorted(calls, launch)].tolist()
    noted = [events.collectives[row] for row in reversed(between)]
    some = list(takewhile(lambda call: is_sent(call) is not None, noted))
    return tuple(sorted(reversed(some), key=lambda call: not is_sent(call)))
