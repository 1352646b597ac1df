"""Train a recurrent language model, cell by cell or with cuDNN, on text that is split into words while training."""

from __future__ import annotations

import argparse
import random
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, loader_for, optimizer_for, options, place, to_device, train
from torch import Tensor, nn
from torch.utils.data import Dataset

LETTERS = "etaoinshrdlu"
LONGEST = 8


class Sentences(Dataset[tuple[Tensor, Tensor]]):
    """Text as numbers: made so, or split by the longest piece of the vocabulary that fits, in plain Python."""

    def __init__(self, samples: int, length: int, vocabulary: int, split: bool) -> None:
        self.samples, self.length, self.vocabulary = samples, length, vocabulary
        draw = random.Random(3)
        self.text = "".join(draw.choices(LETTERS, k=length * LONGEST)) if split else ""
        pieces = {self.text[at : at + size] for size in range(1, LONGEST) for at in range(0, len(self.text), 3)}
        self.numbers = {piece: number % vocabulary for number, piece in enumerate(sorted({*pieces, *LETTERS}))}

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.text:
            ids = torch.tensor(self._split(index % 7))
        else:
            ids = torch.randint(self.vocabulary, (self.length + 1,), generator=torch.Generator().manual_seed(index))
        return ids[:-1], ids[1:]

    def _split(self, at: int) -> list[int]:
        found: list[int] = []
        while len(found) <= self.length:
            size = LONGEST
            while size > 1 and self.text[at : at + size] not in self.numbers:
                size -= 1
            found.append(self.numbers.get(self.text[at : at + size], 0))
            at = (at + size) % (len(self.text) - LONGEST)
        return found


class Cells(nn.Module):
    """Layers of LSTM cells, written as a loop over time."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(layers))
        self.states = nn.ModuleList(nn.Linear(width, 4 * width, bias=False) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        for from_input, from_state in zip(self.inputs, self.states, strict=True):
            hidden, memory = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0])
            seen: list[Tensor] = []
            for now in x.unbind(1):
                enter, keep, show, new = (from_input(now) + from_state(hidden)).chunk(4, 1)
                memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
                hidden = show.sigmoid() * memory.tanh()
                seen.append(hidden)
            x = torch.stack(seen, 1)
        return x


class Recurrent(nn.Module):
    """Words to scores of the next one."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.token = nn.Embedding(args.vocab, args.width)
        self.body: nn.Module = Cells(args.width, args.layers)
        if args.net == "cudnn":
            self.body = nn.LSTM(args.width, args.width, args.layers, batch_first=True)
        self.head = nn.Linear(args.width, args.vocab)

    def forward(self, ids: Tensor) -> Tensor:
        """Scores of (batch, time, vocabulary)."""
        x = self.body(self.token(ids))
        scores: Tensor = self.head(x[0] if isinstance(x, tuple) else x)
        return scores


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model = Recurrent(args).to(torch.bfloat16 if at.cuda else torch.float32)
    if args.graphs and at.cuda:
        example = torch.zeros(args.batch, args.seq, args.width, device=at.device, dtype=torch.bfloat16)
        torch.cuda.make_graphed_callables(model.body, (example.requires_grad_(),))  # replaces its forward
    optimizer = optimizer_for(args, model.parameters())

    def step(batch: Any) -> Tensor:
        ids, targets = to_device(args, at, batch)
        loss = F.cross_entropy(model(ids).flatten(0, 1).float(), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def make_loader(batches: int) -> Any:
        return loader_for(args, at, Sentences(batches * args.batch * at.world, args.seq, args.vocab, args.split))

    train(args, at, make_loader, step)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--net", choices=["cells", "cudnn"], default="cudnn")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--split", action="store_true", help="split text into words in every sample")
    parser.add_argument("--graphs", action="store_true", help="forward and backward of the layers each as a CUDA graph")
    args = parser.parse_args(argv)
    if TINY:
        args.layers, args.width, args.seq, args.vocab, args.batch = 1, 16, min(args.seq, 12), 64, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
