"""Trains the same model once plainly and once for each broken hook, each in a process of its own; a program.

    python -m tests.collectors.live.broken_hooks FOLDER MODE NAME...

MODE is `raises` or `slow`; a NAME is that of a hook. Every process is forked from one that has imported torch and
nothing else, runs to its end as Python does, and leaves its output, its exit code and its run directory in FOLDER.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # an optimizer imports it: once here, not in every process
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from llmprof.collectors.live import crew, hooks, injection
from llmprof.collectors.live.torch_trace import TorchTrace

GOOD_CALLS = 3
"""Calls of a hook that go well before it breaks."""
EPOCHS, BATCHES = 12, 6
EXIT_CODE = 3


def train() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu")
    data = TensorDataset(torch.randn(2 * BATCHES, 8))
    for epoch in range(EPOCHS):
        for (batch,) in DataLoader(data, batch_size=2, shuffle=True):
            optimizer.zero_grad()
            loss = net(batch).square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            print(epoch, loss.item().hex())
        net.eval()
        with torch.no_grad():
            print("held out", net(data.tensors[0]).sum().item().hex())
        net.train()
        torch.save(net.state_dict(), os.devnull)
        gc.collect()
    print("trained", file=sys.stderr)


def breaking(mode: str, hook: hooks.Hook, wanted: str, call: Any) -> Any:
    """`call`, which raises or takes long once it has been made often enough, if it belongs to the wanted hook."""
    calls = 0

    def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > GOOD_CALLS and mode == "raises":
            raise RuntimeError("broken on purpose")
        until = time.thread_time_ns() + 2_000_000
        while calls > GOOD_CALLS and time.thread_time_ns() < until:
            pass
        return call(*args, **kwargs)

    return broken if hook.name == wanted else call


def break_hook(mode: str, wanted: str) -> None:
    """Everything that is hooked from now on under this name breaks."""
    around, guarded, guarded_step = injection.around, injection.guarded, injection.guarded_step
    injection.around = lambda hook, original, before, after: around(
        hook, original, breaking(mode, hook, wanted, before), after
    )
    injection.guarded = lambda hook, call: guarded(hook, breaking(mode, hook, wanted, call))
    injection.guarded_step = lambda hook, call: guarded_step(hook, breaking(mode, hook, wanted, call))


def in_a_process(folder: Path, mode: str, name: str) -> None:
    """One training; `name` is the hook that is broken, or `plain`."""
    folder.mkdir()
    pid = os.fork()
    if pid:
        (folder / "exit_code").write_text(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
        return
    for stream, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(folder / stream, os.O_WRONLY | os.O_CREAT), number)
    if name != "plain":
        break_hook(mode, name)
        crew.discover = lambda missing: [TorchTrace()]  # type: ignore[attr-defined]
        found = injection.record(lambda: folder / "run", {"burst_at": 20, "trace_steps": 30})
        (folder / "names").write_text(json.dumps(list(found.recorder.hooks)))
    train()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(EXIT_CODE)


def main(folder: Path, mode: str, names: list[str]) -> None:
    torch.set_num_threads(1)
    gc.freeze()  # what torch has made would be looked through at every collection
    atexit._clear()  # each process has what its own training registers
    for name in names:
        in_a_process(folder / name, mode, name)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
