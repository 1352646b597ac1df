"""Train a decoder on pieces of played games: what is still to be won, what was seen, what was done, in turn."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import TINY, options, place, train
from models import Block
from parts import sample_loader, step_for
from steps import step_options
from torch import Tensor, nn

SEEN, DONE, GAMES = 64, 16, 50


class Games:
    """A piece of a game by number; what is still to be won is summed from its end, or was so long before."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        draw = np.random.default_rng(4)
        self.won = draw.random((GAMES, args.moves))
        self.seen = draw.standard_normal((GAMES, args.moves, SEEN), dtype=np.float32)
        self.done = draw.standard_normal((GAMES, args.moves, DONE), dtype=np.float32)
        self.stored = np.stack([self._to_win(won) for won in self.won]) if args.sums == "stored" else None

    def __call__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """What is to be won, seen and done at (context,) moves."""
        args, game = self.args, index % GAMES
        begin = index * 37 % (args.moves - args.context)
        chosen = slice(begin, begin + args.context)
        to_win = self._to_win(self.won[game]) if self.stored is None else self.stored[game]
        parts = (to_win[chosen, None].astype(np.float32), self.seen[game, chosen], self.done[game, chosen])
        left, seen, done = (torch.from_numpy(part.copy()) for part in parts)
        return left, seen, done

    def _to_win(self, won: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        sums = np.zeros_like(won)
        sums[-1] = won[-1]
        for move in reversed(range(len(won) - 1)):
            sums[move] = won[move] + self.args.discount * sums[move + 1]
        return sums


class Player(nn.Module):
    """Pieces of games to the error of what it would have done."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Linear(size, args.width) for size in (1, SEEN, DONE))
        self.move = nn.Embedding(args.context, args.width)
        self.blocks = nn.ModuleList(Block(args, causal=True) for _ in range(args.layers))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, DONE)

    def forward(self, to_win: Tensor, seen: Tensor, done: Tensor) -> Tensor:
        """The mean squared error."""
        told = [enter(part) + self.move.weight for enter, part in zip(self.enter, (to_win, seen, done), strict=True)]
        x = torch.stack(told, 2).flatten(1, 2)
        for block in self.blocks:
            x = block(x)
        guessed = self.head(self.norm(x).unflatten(1, (-1, 3))[:, :, 1])
        return F.mse_loss(torch.tanh(guessed).float(), done)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Player(args)
    train(args, at, sample_loader(args, at, Games(args)), step_for(args, at, model))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--moves", type=int, default=1000, help="of a game")
    parser.add_argument("--context", type=int, default=20, help="moves that the decoder sees")
    parser.add_argument("--discount", type=float, default=0.99)
    parser.add_argument("--sums", choices=["made", "stored"], default="stored", help="of what is still to be won")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.set_defaults(attention="sdpa", casts=False, activation="gelu")
    args = parser.parse_args(argv)
    if TINY:
        args.moves, args.context, args.layers, args.width, args.heads = 40, 4, 1, 32, 2
        args.batch = min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
