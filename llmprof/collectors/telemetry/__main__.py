"""Who samples a node where no wrapper does? A process of its own: `python -m llmprof.collectors.telemetry RUN_DIR PID`.

It ends by itself soon after process PID, or what PID records, has ended.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from llmprof.collectors.telemetry.sampler import sample_node


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training, which may go on after it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())  # an exception: what is under way is finished off
    sample_node(Path(sys.argv[1]), threading.Event(), owner=int(sys.argv[2]))


if __name__ == "__main__":
    _main()
