"""Train a tiny GPT on synthetic text: a real loop with a real DataLoader, small enough for a laptop.

    python examples/train_gpt.py                      # plain
    llmprof run -- python examples/train_gpt.py       # recorded and diagnosed
    llmprof run -- torchrun --nproc-per-node 2 examples/train_gpt.py --workers 4 --sample-ms 0

As it stands it has a flaw that is common in practice: the samples are tokenised in the training process, one after
the other, while the device waits. `--workers 2` mends that, `--sample-ms 0` removes the work itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import time
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

VOCABULARY = 256
SENTENCE = "the model reads a batch of tokens and learns which token comes next after all that it has seen"
WORDS = tuple(SENTENCE.split(" "))
OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class Text(Dataset[tuple[Tensor, Tensor]]):
    """Random sentences, made and tokenised when a sample is asked for.

    The tokeniser is plain Python and goes over the text until `sample_ms` have passed, as a slow one would.
    """

    def __init__(self, length: int, samples: int, sample_ms: float) -> None:
        self.length, self.samples, self.sample_s = length, samples, sample_ms / 1000

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        until = time.perf_counter() + self.sample_s
        draw = random.Random(index)
        text = ""
        while len(text) <= self.length:
            text += draw.choice(WORDS) + " "
        tokens = self._tokenise(text)
        while time.perf_counter() < until:
            tokens = self._tokenise(text)
        ids = torch.tensor(tokens[: self.length + 1])
        return ids[:-1], ids[1:]

    @staticmethod
    def _tokenise(text: str) -> list[int]:
        return [ord(sign) % VOCABULARY for sign in text]


class Block(nn.Module):
    """Causal self-attention and a two-layer perceptron, both with a residual connection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """A decoder-only transformer over bytes; returns the mean cross-entropy of the next token."""

    def __init__(self, layers: int, width: int, length: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(VOCABULARY, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads=max(1, width // 64)) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), targets.flatten())


def main() -> None:
    args = parse()
    distributed = "WORLD_SIZE" in os.environ
    device = pick_device(args.device)
    if distributed:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    first = not distributed or dist.get_rank() == 0

    if device.type == "cpu":
        torch.set_num_threads(1)  # so small a model gains nothing from more, and loader workers need cores too
    torch.manual_seed(0)
    model: nn.Module = GPT(args.layers, args.width, args.seq).to(device)
    if first:
        size = sum(p.numel() for p in model.parameters()) / 1e6
        print(f"GPT with {size:.1f} M parameters on {device}, {args.batch} x {args.seq} tokens a step", flush=True)
    if distributed:
        model = nn.parallel.DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
    if args.compile:
        model = torch.compile(model)  # type: ignore[assignment]
    optimizer = OPTIMIZERS[args.optimizer](model.parameters(), lr=3e-4)
    data = Text(args.seq, samples=1_000_000, sample_ms=args.sample_ms)
    loader = DataLoader(
        data,
        batch_size=args.batch,
        num_workers=args.workers,
        sampler=DistributedSampler(data) if distributed else None,
        persistent_workers=args.workers > 0,
    )
    train(model, optimizer, loader, device, args, first)
    if distributed:
        dist.destroy_process_group()


def train(
    model: nn.Module,
    optimizer: Any,
    loader: DataLoader[Any],
    device: torch.device,
    args: argparse.Namespace,
    first: bool,
) -> None:
    """The loop, and its own plain timing: wall time from the start of one step to the start of another."""
    bf16 = args.precision == "bf16"
    start = warm = block = time.perf_counter()
    done, blocks = 0, []
    for ids, targets in loader:
        ids, targets = ids.to(device), targets.to(device)
        with torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = model(ids, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        done += 1
        if done == args.warmup:
            synchronize(device)
            warm = time.perf_counter()
        if done % args.print_every == 0:
            late = torch.tensor(float(time.perf_counter() - start > args.seconds), device=device)
            if dist.is_initialized():
                dist.all_reduce(late)  # all ranks stop after the same step
            if first:
                print(f"step {done:5d}  loss {loss.item():.3f}", flush=True)
            over = bool(late.item())  # waits for the device, so that a block of steps is timed whole
            blocks.append((time.perf_counter() - block) / args.print_every)
            block = time.perf_counter()
            if over:
                break
        if done >= args.steps:
            break
    synchronize(device)
    timed = done - args.warmup
    if first and timed > 0:
        print(f"mean step {(time.perf_counter() - warm) * 1000 / timed:.3f} ms over {timed} steps", flush=True)
    if first and len(blocks) > 1:
        median = statistics.median(blocks[1:]) * 1000
        print(f"median step {median:.3f} ms over {len(blocks) - 1} blocks of {args.print_every} steps", flush=True)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pick_device(wanted: str) -> torch.device:
    if wanted != "auto":
        return torch.device(wanted)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def parse() -> argparse.Namespace:
    """Options; what is not given depends on whether there is a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, help="stop after so many steps")
    parser.add_argument("--seconds", type=float, default=45, help="or after so many seconds (looked at when printing)")
    parser.add_argument("--warmup", type=int, default=5, help="first steps that the timing leaves out")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seq", type=int)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--precision", choices=["fp32", "bf16"])
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that prepare samples; 0: the training process"
    )
    parser.add_argument("--sample-ms", type=float, default=20, help="Python work a sample")
    parser.add_argument("--print-every", type=int, default=20)
    args = parser.parse_args()
    cpu = {"layers": 2, "width": 128, "batch": 8, "seq": 64, "precision": "fp32"}
    gpu = {"layers": 12, "width": 768, "batch": 16, "seq": 1024, "precision": "bf16"}
    for name, value in (gpu if pick_device(args.device).type == "cuda" else cpu).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


if __name__ == "__main__":
    main()
