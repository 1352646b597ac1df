"""What does the recorder say went wrong? Its own messages, in our words.

Messages and settings of a report hold paths, command lines and whole environments of whoever recorded it. So nothing is
quoted: known messages are recognised and told in words of our own, all others are only counted.
"""

from __future__ import annotations

import re

from llmprof.collectors.files.nsys.rows import CALLS, COPIES, KERNELS
from llmprof.collectors.files.nsys.tables import Tables, text_of

__all__ = ["read_diagnostics"]

_WARNING, _ERROR = 2, 3

_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for pattern, sentence in (
        (
            r"not all cuda events might have been collected|cuda events? (were|was) (dropped|lost)",
            "nsys says that not all CUDA events might have been collected: launches or kernels may be missing.",
        ),
        (
            r"not all nvtx events might have been collected",
            "nsys says that not all NVTX events might have been collected: marked ranges may be missing.",
        ),
        (
            r"out of memory|disk (is )?full|no space left",
            "nsys ran out of memory or disk space while it recorded: the end of the run may be missing.",
        ),
        (
            r"(buffer|events?|records?|data).{0,40}(overflow|dropped|lost|discarded)",
            "nsys says that it lost events while it recorded: the recording has holes.",
        ),
        (
            r"cuda driver.{0,60}(not supported|incompatible|older|too old)|cupti.{0,60}(not supported|incompatible)",
            "nsys does not support the CUDA driver of the recorded machine fully: update nsys or the driver.",
        ),
    )
)
_EVERYDAY = re.compile(
    r"no \w[\w ]* events collected|profiling might have not been started correctly|perf.event|paranoid|CPU IP|"
    r"unified memory cannot be traced|MMAP events|scheduling information|cuDNN|cuBLAS|OS runtime|OpenGL|Vulkan|"
    r"context switch|not all \w[\w ]* events|IP samples|backtrace",
    re.IGNORECASE,
)
"""Messages that come with almost every capture, or are about what is not read here."""


def read_diagnostics(tables: Tables) -> list[str]:
    """Sentences for the reader of the verdict; about CUDA, NVTX and lost data."""
    found: dict[str, None] = {}
    errors = 0
    for severity, text in tables.rows("DIAGNOSTIC_EVENT", ("severity", "text"), filled="text"):
        if severity not in (_WARNING, _ERROR):
            continue
        message = text_of(text)
        sentences = [sentence for pattern, sentence in _KNOWN if pattern.search(message)]
        found.update(dict.fromkeys(sentences[:1]))
        errors += severity == _ERROR and not sentences and not _EVERYDAY.search(message)
    warnings = list(found)
    if errors:
        warnings.append(
            f"nsys reported {errors} more error{'s' if errors > 1 else ''} while it recorded; open the report in "
            "Nsight Systems and look at its Diagnostics Summary."
        )
    return [*_without_cuda(tables), *warnings]


def _without_cuda(tables: Tables) -> list[str]:
    """Why there is no CUDA activity, when there is none."""
    if any(tables.columns(table) for table in (KERNELS, COPIES, CALLS)):
        return []
    traced = tables.values("META_DATA_CAPTURE", "CAPTURE_EVENT_TYPE")
    if traced and "Cuda" not in traced:
        return ["CUDA was not traced; record with `nsys profile --trace=cuda,nvtx COMMAND`."]
    if traced:
        return [
            "CUDA was to be traced, but nsys collected no CUDA event: check that the profiled process itself uses the "
            "GPU, and that no other profiler or debugger was attached to it."
        ]
    return ["The report holds no CUDA activity; record with `nsys profile --trace=cuda,nvtx COMMAND`."]
