"""Have kernels of a recorded run timed on its idle GPU, as `llmprof run` has them when it diagnoses by itself.

python benchmarks/accuracy/timing.py RUN
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmprof.cli.diagnosing import diagnose_paths
from llmprof.cli.kernel_times import with_kernel_times
from llmprof.timeline.timeline import Timeline


def main(run: str) -> None:
    kept: list[Timeline] = []
    with_kernel_times(diagnose_paths([run], keep=kept.append), Path(run), kept)


if __name__ == "__main__":
    main(sys.argv[1])
