"""How does a raw `.nsys-rep` report become readable? Through an installed nsys; else we say the exact command."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from llmprof.errors import InputError, UnreadableError

__all__ = ["REPORT_HEADER", "STREAM_HEADER", "export_report", "raw_stream"]

REPORT_HEADER = b"NVIDIA Tegra Profiler Report "
STREAM_HEADER = b"U3w[END]NVIDIA Nsight Systems Stream "
_VERSION = re.compile(rb"(\d{4})@(\d+)@(\d+)@")


def export_report(path: Path, folder: Path) -> Path:
    """Export a report into `folder` as SQLite, with an installed nsys.

    Raises InputError when nsys is missing or refuses (it must be as new as the one that recorded).
    """
    made_by = _made_by(path)
    nsys = shutil.which("nsys")
    if nsys is None:
        raise InputError(
            f"{path} is an Nsight Systems report{made_by} and nsys is not installed here; export it where nsys is, "
            f"with `nsys export --type sqlite {path.name}`, and give the .sqlite file."
        )
    target = folder / f"{path.stem}.sqlite"
    failure = ""
    # The payloads of NCCL's ranges need an option that older exporters do not know.
    for more in (["--include-blobs=true"], []):
        command = [nsys, "export", "--type=sqlite", "--quiet=true", "--force-overwrite=true", *more]
        try:
            done = subprocess.run(
                [*command, f"--output={target}", str(path.absolute())],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise InputError(f"{nsys} cannot be run ({error.strerror}); export {path.name} by hand.") from None
        if done.returncode == 0 and target.is_file():
            return target
        said = (done.stderr or done.stdout).decode("utf-8", errors="replace").strip().splitlines()
        failure = said[-1].strip() if said else f"exit code {done.returncode}"
    raise InputError(
        f"nsys could not export {path}{made_by} ({failure}); use an nsys that is at least as new as the one that "
        f"recorded it: `nsys export --type sqlite {path.name}`."
    )


def raw_stream(path: Path) -> InputError:
    """The error for a `.qdstrm` file."""
    return UnreadableError(
        f"{path} is a raw stream that nsys did not finish into a report; convert it with the very same version of "
        f"Nsight Systems: `QdstrmImporter --input-file {path.name}`, then `nsys export --type sqlite` the report."
    )


def _made_by(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            match = _VERSION.search(file.read(64))
    except OSError:
        return ""
    return f" of nsys {'.'.join(part.decode() for part in match.groups())}" if match else ""
