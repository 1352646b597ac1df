"""How do the figures get into OpenTelemetry? As OTLP metrics in JSON: a file, or sent to a collector's address.

A file is one line of the OTLP file format, which a collector's `otlpjsonfile` receiver reads; an address is that of a
collector's HTTP receiver, such as http://localhost:4318. Both need no package.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmprof._version import __version__
from llmprof.errors import InputError
from llmprof.reports.exporters.figures import Figures
from llmprof.reports.text import visible
from llmprof.timeline.rundir import write_text_atomic

__all__ = ["document_of", "write"]

PATIENCE_S = 30.0
_UNITS = (
    ("_percent", "%"),
    ("_bytes", "By"),
    ("_watts", "W"),
    ("_celsius", "Cel"),
    ("_mhz", "MHz"),
    ("_ms", "ms"),
    ("_per_s", "{token}/s"),
)
"""Endings of our names and their units of UCUM, which OTLP asks for."""


def write(figures: Figures, out: Path | str) -> str:
    """Write the file or send the document; says what was done."""
    text = json.dumps(document_of(figures), allow_nan=False)
    if isinstance(out, Path):
        write_text_atomic(out, text + "\n")
        return f"{out}: a collector's otlpjsonfile receiver reads it."
    address = out if out.rstrip("/").endswith("/v1/metrics") else f"{out.rstrip('/')}/v1/metrics"
    if not address.startswith(("http://", "https://")):
        raise InputError(f"{out} is no address of a collector; give one such as http://localhost:4318, or a file.")
    request = urllib.request.Request(address, text.encode(), {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return f"{address} took {len(figures.tracks)} metrics ({answer.status})."
    except urllib.error.HTTPError as error:
        with error:
            raise InputError(f"{address} refused the metrics ({error.code} {error.reason}).") from None
    except urllib.error.URLError as error:
        raise InputError(f"{address} cannot be reached ({error.reason}); check the address of the collector.") from None


def document_of(figures: Figures) -> dict[str, Any]:
    """An ExportMetricsServiceRequest in OTLP's JSON encoding."""
    last = max(int(track.t_ns[-1]) for track in figures.tracks)
    metrics: dict[str, list[dict[str, Any]]] = {}
    for track in figures.tracks:
        attributes = _attributes(track.labels)
        points = metrics.setdefault(f"llmprof.{track.name}", [])
        points += [
            {"attributes": attributes, "timeUnixNano": str(at), "asDouble": value}
            for at, value in zip(track.t_ns.tolist(), track.value.tolist(), strict=True)
        ]
    for name, value in figures.summary.items():
        metrics[f"llmprof.run.{name}"] = [{"attributes": [], "timeUnixNano": str(last), "asDouble": value}]
    resource = {"service.name": "llmprof", "llmprof.run": figures.name, "llmprof.run.id": figures.id}
    resource |= {f"llmprof.{name}": text for name, text in figures.texts.items()}
    scope = {
        "scope": {"name": "llmprof", "version": __version__},
        "metrics": [
            {"name": name, "unit": _unit(name), "gauge": {"dataPoints": points}} for name, points in metrics.items()
        ],
    }
    return {"resourceMetrics": [{"resource": {"attributes": _attributes(resource)}, "scopeMetrics": [scope]}]}


def _attributes(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": visible(value)}} for name, value in labels.items()]


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "1")
