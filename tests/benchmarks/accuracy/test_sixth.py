"""Do the scripts of sixth.py compute what they say? Scans, windows, cold samples, bags of items."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the cases train with torch")

import scan  # noqa: E402
import speech  # noqa: E402
import towers  # noqa: E402
import window  # noqa: E402
from common import Place  # noqa: E402


def test_a_scan_in_chunks_is_the_recurrence() -> None:
    draw = torch.Generator().manual_seed(1)
    decay = -torch.rand(2, 2 * scan.CHUNK, 3, 4, generator=draw) * 0.2
    inflow = torch.randn(2, 2 * scan.CHUNK, 3, 4, generator=draw)
    state, states = torch.zeros(2, 3, 4), []
    for time in range(inflow.shape[1]):
        state = decay[:, time].exp() * state + inflow[:, time]
        states.append(state)
    torch.testing.assert_close(scan.scanned(decay, inflow), torch.stack(states, 1), rtol=1e-3, atol=1e-4)


def test_a_shift_joins_patches_that_are_not_neighbours_only_in_the_last_windows() -> None:
    apart = window.pairs_apart(2 * window.EDGE)
    assert apart.shape == (4, 64, 64)
    assert apart[0].count_nonzero() == 0
    assert [(part == 0).float().mean().item() for part in apart] == [1.0, 0.5, 0.5, 0.25]


def test_as_many_samples_are_cold_as_the_options_say() -> None:
    args = speech.parse(["--batch", "4", "--cold", "3", "--cold-ms", "5"])
    sounds = speech.Sounds(args, Place(torch.device("cpu"), 0, 1))
    assert len(sounds.cold) == 3
    assert max(sounds.cold) < speech.COLD_OF * 4 == sounds.around


def test_bags_keep_their_shape_when_an_item_was_seen_twice() -> None:
    numbers, begins, items = towers.joined([([5, 5, 2], 7), ([1], 8)])
    assert numbers[:3].tolist() == [2, 5, 1]
    assert len(numbers) == 2 * towers.LONGEST
    assert begins.tolist() == [0, 2]
    assert items.tolist() == [7, 8]
