"""Which transformers do the planted cases train? Decoder and encoder, with the choices that the cases plant."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from common import Place, loader_for
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset

BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


class Tokens(Dataset[tuple[Tensor, Tensor]]):
    """Random tokens, made from the index: cheap to load."""

    def __init__(self, samples: int, length: int, vocabulary: int) -> None:
        self.samples, self.length, self.vocabulary = samples, length, vocabulary

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(index)
        ids = torch.randint(min(self.vocabulary, 200), (self.length + 1,), generator=draw)
        return ids[:-1], ids[1:]


def token_loader(args: argparse.Namespace, at: Place) -> Callable[[int], Any]:
    """What makes a loader of so many batches of tokens; every rank reads its own."""

    def make_loader(batches: int) -> Any:
        return loader_for(args, at, Tokens(batches * args.batch * at.world, args.seq, args.vocab))

    return make_loader


class Decoder(nn.Module):
    """Tokens to their mean cross-entropy, through these blocks."""

    def __init__(self, args: argparse.Namespace, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(args.vocab, args.width), nn.Embedding(args.seq, args.width)
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, args.vocab, bias=False)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of the targets."""
        x = self.norm(self.blocks(self.token(ids) + self.position.weight))
        return F.cross_entropy(self.head(x).flatten(0, 1).float(), targets.flatten())


def model_options(parser: argparse.ArgumentParser) -> None:
    """The options that shape a transformer."""
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--attention", choices=["sdpa", "written", "mask", "flash", "cudnn"], default="sdpa")
    parser.add_argument("--casts", action="store_true", help="q, k and v copied and cast back and forth")
    parser.add_argument("--select", action="store_true", help="rows chosen by their values after every block")
    parser.add_argument("--activation", choices=["gelu", "written"], default="gelu")
    parser.add_argument("--recompute", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--sync", choices=["none", "step", "layer"], default="none")
    parser.add_argument("--loss", choices=["plain", "fused"], default="plain")


def shrink(args: argparse.Namespace) -> None:
    """So small that a CPU trains it; an odd vocabulary stays odd."""
    args.layers, args.width, args.heads, args.seq = min(args.layers, 2), 32, 2, min(args.seq, 32)
    args.batch, args.vocab = min(args.batch, 4), 256 + args.vocab % 64


class Attention(nn.Module):
    """Self-attention, fused or written out."""

    def __init__(self, args: argparse.Namespace, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal, self.written = args.heads, causal, args.attention == "written"
        self.mask, self.casts, self.backend = args.attention == "mask", args.casts, BACKENDS.get(args.attention)
        self.qkv, self.out = nn.Linear(args.width, 3 * args.width), nn.Linear(args.width, args.width)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.written:
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            if self.causal:
                later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
                scores = scores.masked_fill(later, float("-inf"))
            mixed = scores.softmax(-1).to(v.dtype) @ v
        else:
            mixed = self._fused(q, k, v, x)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
        if self.casts:
            q, k, v = (torch.cat([part.float().contiguous()]).to(part.dtype) for part in (q, k, v))
        if self.mask:
            length = q.shape[-2]
            mask = torch.full((length, length), float("-inf"), dtype=q.dtype, device=x.device).triu(1)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        if self.backend is not None and x.is_cuda:
            with sdpa_kernel(self.backend):
                return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)


def written_gelu(x: Tensor) -> Tensor:
    """The tanh form of GELU, one elementwise kernel an operation."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


class Block(nn.Module):
    """Attention and a perceptron, each with a residual connection."""

    def __init__(self, args: argparse.Namespace, causal: bool) -> None:
        super().__init__()
        self.attention = Attention(args, causal)
        self.norm1, self.norm2 = nn.LayerNorm(args.width), nn.LayerNorm(args.width)
        self.up, self.down = nn.Linear(args.width, 4 * args.width), nn.Linear(4 * args.width, args.width)
        self.activation: Any = F.gelu if args.activation == "gelu" else written_gelu

    def forward(self, x: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.activation(self.up(self.norm2(x))))


def head_loss_compiled() -> Any:
    """Output layer and loss, compiled; without a GPU only as far as tracing goes."""
    return torch.compile(head_loss) if torch.cuda.is_available() else torch.compile(head_loss, backend="eager")


class Transformer(nn.Module):
    """Tokens to the hidden states before the output layer."""

    def __init__(self, args: argparse.Namespace, causal: bool = True) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(args.vocab, args.width), nn.Embedding(args.seq, args.width)
        self.blocks = nn.ModuleList(Block(args, causal) for _ in range(args.layers))
        self.norm, self.head = nn.LayerNorm(args.width), nn.Linear(args.width, args.vocab, bias=False)
        self.recompute, self.watch, self.select = args.recompute, args.sync == "layer", args.select
        self.seen: list[float] = []
        self.fused_loss: Any = head_loss_compiled() if args.loss == "fused" else None

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of the targets."""
        x = self.token(ids) + self.position.weight[: ids.shape[1]]
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
            if self.select:
                rows = x.flatten(0, 1)
                x = rows[rows.abs().amax(-1) > 0].view_as(x)  # all of them, but only the device knows
            if self.watch:
                self.seen.append(x.abs().max().item())  # looks for activations that explode
        self.seen.clear()
        return self.loss(self.norm(x), targets)

    def loss(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of these hidden states."""
        if self.fused_loss is not None:
            return self.fused_loss(x, self.head.weight, targets)
        return F.cross_entropy(self.head(x).flatten(0, 1).float(), targets.flatten())


def head_loss(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Output layer and loss as one function, to be compiled as one."""
    return F.cross_entropy(F.linear(x, weight).float().flatten(0, 1), targets.flatten())
