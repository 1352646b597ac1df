"""Train a masked autoencoder: an encoder of a quarter of an image's patches, and a narrow decoder of all of them."""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from common import TINY, compiled, loader_for, optimizer_for, options, place, train
from models import Block
from ranks import wrapped
from steps import Ahead, Samples, Update, compile_blocks, step_options
from torch import Tensor, nn

SHOWN = 0.25
"""Of the patches, that the encoder sees."""


class Autoencoder(nn.Module):
    """Images to the mean squared error of the patches that were hidden."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.patch = args.patch
        inside, self.count = args.bands * args.patch**2, (args.size // args.patch) ** 2
        decoder = argparse.Namespace(**{**vars(args), "width": args.narrow, "heads": args.narrow_heads})
        self.enter, self.bridge = nn.Linear(inside, args.width), nn.Linear(args.width, args.narrow)
        self.places, self.all_places = nn.Embedding(self.count, args.width), nn.Embedding(self.count, args.narrow)
        self.hidden = nn.Parameter(torch.zeros(args.narrow))
        self.encoder = nn.Sequential(*(Block(args, causal=False) for _ in range(args.depth)))
        self.decoder = nn.Sequential(*(Block(decoder, causal=False) for _ in range(args.narrow_depth)))
        self.norm, self.leave = nn.LayerNorm(args.narrow), nn.Linear(args.narrow, inside)

    def forward(self, images: Tensor) -> Tensor:
        """The mean error of (batch, bands, size, size)."""
        patches = F.pixel_unshuffle(images, self.patch).flatten(2).transpose(1, 2)
        order = torch.rand(patches.shape[:2], device=images.device).argsort(1)
        shown, hidden = order.split([int(SHOWN * self.count), self.count - int(SHOWN * self.count)], 1)
        chosen = patches.gather(1, shown[..., None].expand(-1, -1, patches.shape[2]))
        x = self.bridge(self.encoder(self.enter(chosen) + self.places(shown)))
        blank = self.hidden.to(x.dtype).expand(len(x), hidden.shape[1], -1)
        x = torch.cat([x, blank], 1) + self.all_places(order)
        found = self.leave(self.norm(self.decoder(x)))[:, shown.shape[1] :].float()
        wanted = patches.gather(1, hidden[..., None].expand(-1, -1, patches.shape[2]))
        return F.mse_loss(found, wanted)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    at = place(args)
    with at.device:
        model: Any = Autoencoder(args)
    compile_blocks(args, (*model.encoder, *model.decoder))
    module = wrapped(args, at, model)
    run = compiled(args, module)
    optimizer = optimizer_for(args, model.parameters())
    kind = torch.uint8 if args.compact else torch.float32
    image = torch.randint(255, (args.bands, args.size, args.size)).to(kind)
    update = Update(args, at, module, optimizer, lambda images, _: run(images.float() / 255 - 0.5))

    def make_loader(batches: int) -> Any:
        made = Samples(batches * args.batch * at.world, lambda index: (image.clone(), torch.tensor(index)))
        loader = loader_for(args, at, made)
        return Ahead(loader, at) if args.ahead else loader

    train(args, at, make_loader, update)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__)
    step_options(parser)
    parser.add_argument("--bands", type=int, default=12, help="of an image; a satellite has more than three")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--narrow", type=int, default=512, help="width of the decoder")
    parser.add_argument("--narrow-depth", type=int, default=4)
    parser.add_argument("--narrow-heads", type=int, default=8)
    parser.add_argument("--ahead", action="store_true", help="copy the next batch on a stream of its own")
    parser.add_argument("--compact", action="store_true", help="images of one byte a value")
    parser.set_defaults(attention="sdpa", casts=False, activation="gelu")
    args = parser.parse_args(argv)
    if TINY:
        args.bands, args.size, args.patch, args.width, args.depth, args.heads = 4, 32, 8, 32, 1, 2
        args.narrow, args.narrow_depth, args.narrow_heads, args.batch = 16, 1, 2, min(args.batch, 4)
    return args


if __name__ == "__main__":
    main()
