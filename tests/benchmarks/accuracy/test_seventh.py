"""Do the scripts of seventh.py compute what they say? Parts of texts, pairs, codes, pieces of words, sums, edges."""

from __future__ import annotations

from unittest import mock

import pytest

torch = pytest.importorskip("torch", reason="the cases train with torch")

import attended  # noqa: E402
import codebook  # noqa: E402
import contrast  # noqa: E402
import folding  # noqa: E402
import games  # noqa: E402
import ring  # noqa: E402
import unpadded  # noqa: E402
from common import Place  # noqa: E402


@pytest.fixture(autouse=True)
def _as_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for script in (attended, codebook, contrast, folding, games, ring, unpadded):
        monkeypatch.setattr(script, "TINY", False)  # tests that train make them small


def place(rank: int, world: int) -> Place:
    return Place(torch.device("cpu"), rank, world)


@pytest.mark.parametrize("order", ["neighbours", "folded"])
def test_the_parts_of_all_ranks_are_the_text(order: str) -> None:
    text = torch.arange(16)[None]
    parts = [ring.Parts(ring.parse(["--seq", "16", "--order", order]), place(rank, 2)) for rank in (0, 1)]
    pieces = torch.cat([one.of(text) for one in parts], 1).view(4, 4)
    assert torch.equal(pieces[parts[0].places].flatten(), text[0])
    assert [sum(one.own) for one in parts] == ([1, 5] if order == "neighbours" else [3, 3])


def test_words_look_at_all_words_before_them() -> None:
    args = ring.parse(["--width", "32", "--heads", "4", "--kv-heads", "4", "--seq", "16", "--hidden", "8"])
    block = ring.Block(args, ring.Parts(args, place(0, 1)))
    q, kv = torch.randn(2, 16, 32), torch.randn(2, 16, 64)
    k, v = kv.view(2, 16, 2, 4, 8).permute(2, 0, 3, 1, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(
        q.view(2, 16, 4, 8).transpose(1, 2), k, v, is_causal=True
    )
    with mock.patch.object(ring.Gather, "apply", lambda x: x):
        found = block._mixed(q, kv)
    torch.testing.assert_close(found.float(), expected.transpose(1, 2).reshape(2, 16, 32), rtol=0.05, atol=0.05)


def test_attention_to_pairs_is_the_same_written_out_and_fused() -> None:
    written, fused = folding.Attention(16, 2, True), folding.Attention(16, 2, False)
    fused.load_state_dict(written.state_dict())
    x = torch.randn(2, 6, 6, 16)
    torch.testing.assert_close(written(x), fused(x))


def test_a_row_gets_its_nearest_code() -> None:
    rows, codes = torch.randn(20, 4), torch.randn(5, 4)
    found, _, sums = codebook.nearest(rows, codes)
    chosen = torch.cdist(rows, codes).argmin(1)
    torch.testing.assert_close(found, codes[chosen])
    torch.testing.assert_close(sums, torch.zeros(5, 4).index_add(0, chosen, rows))


def test_pieces_are_those_of_the_words() -> None:
    pieces = unpadded.Pieces(unpadded.parse(["--seq", "64", "--pieces", "made"]))
    letters = {number: piece for piece, number in pieces.known.items()}
    word = pieces.words[0]
    assert "".join(letters[number] for number in pieces._taken_apart(word)) == word
    row, places, wanted = pieces(3)
    assert len(row) == 64
    assert len(places) == len(wanted) == 16
    assert (row == pieces.args.vocab - 1).sum() == 16


def test_what_is_to_be_won_is_the_same_stored_and_made() -> None:
    made, stored = (games.Games(games.parse(["--moves", "60", "--sums", how]))(7)[0] for how in ("made", "stored"))
    assert torch.equal(made, stored)
    assert made[0, 0] > made[-1, 0]


def test_a_node_gets_the_mean_of_its_neighbours_by_their_scores() -> None:
    layer = attended.Attention(8, 2)
    x, source, target = torch.randn(3, 8), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 1, 2])
    y = layer.norm(x)
    sent, told = layer.source(y).view(3, 2, 4), layer.target(y).view(3, 2, 4)
    both = torch.nn.functional.leaky_relu(sent + told[1], 0.2)
    weights = (both * layer.look).sum(-1).softmax(0)  # all three nodes send to the second one
    expected = x[1] + layer.out((weights[..., None] * sent).sum(0).flatten())
    torch.testing.assert_close(layer(x, source, target)[1], expected)


@pytest.mark.parametrize("how", ["cut", "full"])
def test_views_are_images_of_the_wanted_size(how: str) -> None:
    first, second = contrast.Views(contrast.parse(["--size", "32", "--views", how]))(2)
    assert first.shape == second.shape == (3, 32, 32)
    assert 0 <= first.min() <= first.max() <= 1
    assert not torch.equal(first, second)
