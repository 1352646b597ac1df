"""Record the runs in sample_traces/: one training script, one planted bottleneck each, on the GPUs of this machine.

    python scripts/record_samples.py record OUT.tar --gpus 1     # on a machine with GPUs
    python scripts/record_samples.py unpack OUT.tar              # into sample_traces/, with its manifest

Host names, paths and process ids are replaced before a run is packed; traces are compressed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "sample_traces"
CASES: dict[str, tuple[int, str, str, str]] = {  # GPUs, expected bound, what was planted, options and variables
    "data-in-process": (1, "data", "samples made in the training process, 3 ms of Python each",
                        "--workers 0 --sample-ms 3 --steps 120"),
    "host-small-model": (1, "host", "24 narrow layers on 512 tokens: kernels shorter than their launches",
                         "--layers 24 --width 256 --batch 4 --seq 128 --workers 2 --sample-ms 0 --steps 200"),
    "compute-fp32": (1, "compute", "fp32 matrix products with TF32 off",
                     "--precision fp32 --workers 4 --sample-ms 0 --batch 8 --steps 90"),
    "bandwidth-ddp": (2, "memory", "DDP over two GPUs, 800 M parameters and 128 tokens a step: AdamW moves the memory",
                      "--layers 4 --width 4096 --batch 1 --seq 128 --workers 2 --sample-ms 0 --steps 150"),
    "communication-ddp": (2, "communication", "DDP without NVLink, 400 M parameters and 512 tokens a step",
                          "NCCL_P2P_DISABLE=1 --optimizer sgd --layers 2 --width 4096 --batch 1 --seq 512 --workers 2 "
                          "--sample-ms 0 --steps 150"),
    "host-ddp": (2, "host", "DDP over two GPUs, 24 narrow layers: the host is late on both ranks",
                 "--layers 24 --width 256 --batch 4 --seq 128 --workers 2 --sample-ms 0 --steps 150"),
}  # fmt: skip
KEPT = ("run.json", "burst.json", "ranks/*/rank.json", "ranks/*/*.jsonl", "ranks/*/trace.json", "nodes/*/*.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    recording = actions.add_parser("record")
    recording.add_argument("archive", type=Path)
    recording.add_argument("--gpus", type=int, default=1)
    unpacking = actions.add_parser("unpack")
    unpacking.add_argument("archives", type=Path, nargs="+")
    args = parser.parse_args()
    if args.action == "record":
        record(args.archive, args.gpus)
    else:
        unpack(args.archives)


def record(archive: Path, gpus: int) -> None:
    """Record every case for `gpus` GPUs and pack the run directories into one archive."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive, "w") as tar:
        for name, (needed, _, _, options) in CASES.items():
            if needed != gpus:
                continue
            run = Path(folder) / name
            variables = [word for word in options.split() if "=" in word]
            launcher = ["env", *variables, sys.executable]
            if gpus > 1:
                launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus)]
            command = [
                *launcher,
                str(ROOT / "examples" / "train_gpt.py"),
                *(word for word in options.split() if "=" not in word),
            ]
            print(f"records {name}", flush=True)
            recorder = [sys.executable, "-m", "llmprof", "run", "-o", str(run), "--"]
            subprocess.run([*recorder, *command], check=True, cwd=ROOT)
            pack(tar, run, name)


def pack(tar: tarfile.TarFile, run: Path, name: str) -> None:
    """Add the parts of a run that a reader needs, without what names the machine; traces are compressed."""
    for pattern in KEPT:
        for path in sorted(run.glob(pattern)):
            data = scrubbed(path)
            inside = re.sub(r"nodes/[^/]+/", "nodes/node0/", path.relative_to(run).as_posix())
            if path.name.startswith("trace"):
                inside, data = f"{inside}.gz", gzip.compress(data, 9, mtime=0)
            entry = tarfile.TarInfo(f"{name}/{inside}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def scrubbed(path: Path) -> bytes:
    """The file without host names and paths."""
    data = path.read_bytes()
    if path.suffix != ".json" or path.name.startswith("trace"):
        return re.sub(rb'"traceName": "[^"]*"', b'"traceName": "trace.json"', data)
    return json.dumps(_plain(json.loads(data)), indent=1).encode()


def _plain(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _plain(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, key) for item in value]
    if key == "host" and isinstance(value, str):
        return "node0"
    if isinstance(value, str) and value.startswith("/"):
        return Path(value).name
    return value


def unpack(archives: list[Path]) -> None:
    """Replace the recordings of these archives in sample_traces/ and write the manifest anew."""
    for archive in archives:
        with tarfile.open(archive) as tar:
            tar.extractall(SAMPLES, filter="data")
    entries = []
    for name, (gpus, bound, planted, options) in CASES.items():
        inside = (path for path in (SAMPLES / name).rglob("*") if path.is_file())
        files = sorted(path for path in inside if path.relative_to(SAMPLES / name).parts[0] != "derived")
        if not files:
            continue
        digests = {p.relative_to(SAMPLES).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        entries.append(
            {
                "name": name,
                "origin": f"examples/train_gpt.py {options}, recorded with llmprof run on {gpus} NVIDIA H200",
                "licence": "Apache-2.0",
                "planted": planted,
                "expected_bound": bound,
                "sha256": digests,
            }
        )
    (SAMPLES / "MANIFEST.json").write_text(json.dumps({"recordings": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
