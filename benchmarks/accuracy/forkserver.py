"""A process that has imported what the cases need, and forks one that trains for every line of JSON on standard input.

It never touches CUDA itself: a process that has cannot be forked. Answers with the id of the child.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

SCRIPTS = (
    "gpt", "convnet", "mlp", "fsdp", "pipeline",
    "llama", "vision", "tables", "recurrent", "experts", "adversarial", "seq2seq",
    "diffusion", "distill", "encdec", "graph", "masked", "physics", "points", "policy", "retrieval", "routed", "scan",
    "sliced", "speech", "split", "towers", "window",
    "attended", "codebook", "contrast", "folding", "forecast", "games", "latent", "listen", "pairs", "rays", "ring",
    "unpadded", "volumes",
)  # fmt: skip


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "cases"))
    for script in SCRIPTS:
        importlib.import_module(script)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children here
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            train(json.loads(line))
        print(pid, flush=True)


def train(job: dict[str, Any]) -> None:
    """Become the process of this job, and end with it."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        out = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, out), (2, out)):
            os.dup2(source, target)
        os.sched_setaffinity(0, job["cores"])
        for name, value in job["environment"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        importlib.import_module(job["script"]).main(job["options"])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
