"""Which traces does a URL name? Those that fit its pattern or lie in its folder, on any file system of fsspec."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from llmprof.collectors.files.trace_folder import TRACE_SUFFIXES
from llmprof.errors import InputError, NotFoundError, UnreadableError

__all__ = ["remote_traces"]

_WILD = "*?["


def remote_traces(url: str) -> dict[str, int | None]:
    """The URL of each trace with its size in bytes, None where that is not known; by name.

    What is no folder and no pattern names itself. Raises InputError without fsspec or what it needs, NotFoundError when
    there is nothing, UnreadableError when it cannot be listed.
    """
    if url.endswith(TRACE_SUFFIXES) and not any(sign in url for sign in _WILD):
        return {url: None}
    try:
        fs, root = importlib.import_module("fsspec.core").url_to_fs(url)
        if any(sign in root for sign in _WILD):
            entries: list[Mapping[str, Any]] = list(fs.glob(root, detail=True).values())
        elif fs.isdir(root):
            entries = fs.ls(root, detail=True)
        else:
            return {url: None}
    except ImportError as error:
        raise InputError(
            f"{url} cannot be listed ({error}); install llmprof[remote] and what fsspec asks for."
        ) from None
    except FileNotFoundError:
        raise NotFoundError(f"{url} does not exist; check the address.") from None
    except Exception as error:  # each file system has errors of its own
        raise UnreadableError(f"{url} cannot be listed ({error}); check the address and your access to it.") from error
    files = {str(entry["name"]): entry.get("size") for entry in entries if entry.get("type") != "directory"}
    traces = sorted(name for name in files if name.endswith(TRACE_SUFFIXES))
    if not traces:
        raise NotFoundError(
            f"{url} holds no trace (*.json, *.json.gz, *.json.zst); give the folder or the pattern of them."
        )
    return {str(fs.unstrip_protocol(name)): files[name] for name in traces}
