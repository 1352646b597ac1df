"""How long would a step be with another number of loader workers? A replay of PyTorch's DataLoader.

The loader keeps `prefetch` batches a worker on order: one more index is handed out whenever a batch is received, to the
workers in turn; a worker makes one whole batch at a time, and batches are received in order (PyTorch documentation,
torch.utils.data, "Multi-process data loading"). For batch n with load time L_n, W workers, prefetch p, and a consumer
that takes G a batch and h to receive it:

    ordered_n  = 0 for n < p*W, else received_(n - p*W)
    made_n     = max(made_(n - W), ordered_n) + L_n
    received_n = max(made_n, received_(n-1) + G) + h

The mean distance of received_n is the step, G apart from the wait: DS-Analyzer's split of prep stalls from compute
(Mohan et al., Analyzing and Mitigating Data Stalls in DNN Training, VLDB 2021), without the mean-rate assumption
max(G, L/W), which knows no slow single batches.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["batch_interval_ns", "expected_hand_over_ns"]

BATCHES = 600
"""Received batches that the mean is taken over, at least; recorded load times are repeated in their order."""
DEFAULT_PREFETCH = 2
"""PyTorch's, where workers are used and nothing is said."""
HAND_OVER_NS, HAND_OVER_NS_PER_BYTE = 1_500_000.0, 0.2
"""What a batch from a worker costs the training process although it is ready: so much each (its handle through the
queue, mapping its shared memory), so much a byte (page after page of the mapping, when it is first read). The former
is the median of what steps of seven of the recordings in sample_traces/ waited that found a batch of token ids ready
(1.4 to 1.6 ms); the latter from benchmarks/hand_over.py (0.2 ms a MB, on a virtual machine of two cores)."""


def expected_hand_over_ns(batch_bytes: float | None) -> float:
    """What receiving a batch of this size from a worker will take, where there are none yet to measure it with.

    Without a size the part that every batch takes.
    """
    return HAND_OVER_NS + HAND_OVER_NS_PER_BYTE * (batch_bytes or 0.0)


def batch_interval_ns(
    loads_ns: Sequence[float],
    rest_ns: float,
    workers: int,
    prefetch: int = DEFAULT_PREFETCH,
    *,
    hand_over_ns: float = 0.0,
    cpu_ns: float = 0.0,
    cores: float | None = None,
) -> float:
    """Mean time from batch to batch in the steady state; at least `rest_ns`, what the consumer does with one.

    loads_ns    load times in the order in which batches were made; at least one
    cpu_ns      CPU time of a load: it is stretched when the workers and the consumer are more than `cores`

    With 0 workers the consumer makes each batch itself.
    """
    if workers <= 0:
        return rest_ns + sum(loads_ns) / len(loads_ns)
    stretch = 0.0 if cores is None else max(0.0, (workers + 1) / max(cores, 1.0) - 1.0) * cpu_ns
    ordered_ahead = prefetch * workers
    first = 2 * ordered_ahead
    count = first + max(BATCHES, 2 * len(loads_ns))
    made: list[float] = []
    received: list[float] = []
    for n in range(count):
        begin = received[n - ordered_ahead] if n >= ordered_ahead else 0.0
        if n >= workers:
            begin = max(begin, made[n - workers])
        made.append(begin + loads_ns[n % len(loads_ns)] + stretch)
        received.append(max(made[n], received[n - 1] + rest_ns if n else 0.0) + hand_over_ns)
    return (received[-1] - received[first - 1]) / (count - first)
