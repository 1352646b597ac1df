"""What is exported is what was recorded: each tool's own reader reads it back, offline."""

from __future__ import annotations

import http.server
import json
import math
import shutil
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmprof
from llmprof.errors import InputError, NotEnoughDataError
from llmprof.reports.exporters import KINDS, export
from llmprof.reports.exporters.figures import Figures, figures_of
from llmprof.reports.exporters.opentelemetry_ import document_of
from llmprof.reports.exporters.prometheus_ import text_of
from tests.conftest import ROOT
from tests.reports.samples import HOSTILE_NAMES, input_starved

RUN = ROOT / "sample_traces" / "communication-ddp"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks with an analysis."""
    folder = tmp_path_factory.mktemp("runs") / "two-ranks"
    shutil.copytree(RUN, folder, ignore=shutil.ignore_patterns("*.gz", "derived"))
    write_results_of(folder)
    return folder


def write_results_of(folder: Path) -> None:
    (folder / "analysis.json").write_text(input_starved().to_json())


@pytest.fixture(scope="module")
def figures(run: Path) -> Figures:
    return figures_of(run)


@pytest.fixture(scope="module")
def tracks(figures: Figures) -> dict[str, tuple[list[int], list[float]]]:
    return {track.tag: (track.step.tolist(), track.value.tolist()) for track in figures.tracks}


def test_steps_and_readings_are_those_of_the_timeline(figures: Figures) -> None:
    timeline = llmprof.load(RUN)
    for rank in timeline.ranks:
        assert rank.times is not None
        (steps,) = (one for one in figures.tracks if one.tag == f"rank{rank.rank}/step_ms")
        np.testing.assert_array_equal(steps.step, rank.times.number)
        np.testing.assert_allclose(steps.value, rank.times.wall_ns / 1e6)
        power = next(series for series in rank.telemetry if series.name == "power_w")
        (watts,) = (
            one for one in figures.tracks if one.name == "gpu_power_watts" and one.labels["gpu"] == str(power.device)
        )
        assert watts.value.mean() == pytest.approx(power.mean())
    for track in figures.tracks:
        assert track.step.shape == track.t_ns.shape == track.value.shape
        assert np.isfinite(track.value).all()


def test_the_summary_is_the_analysis_without_paths_or_arguments(figures: Figures) -> None:
    assert figures.summary["step_mean_ms"] == pytest.approx(85.5213)
    assert figures.summary["part_data_ms"] == pytest.approx(input_starved().partition["data"])
    assert set(figures.texts) == {"bound", "sentence", "gpu", "torch"}


def test_a_run_without_steps_or_analysis(tmp_path: Path, run: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(NotEnoughDataError, match="no completed step"):
        figures_of(tmp_path)
    shutil.copytree(run / "ranks", tmp_path / "ranks")
    (tmp_path / "analysis.json").write_text("damaged")
    found = figures_of(tmp_path)
    assert found.tracks and not found.summary


def test_prometheus_reads_the_text_file(figures: Figures, run: Path, tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="Prometheus' own client reads the file")
    assert str(tmp_path / "llmprof.prom") in export("prometheus", figures, str(tmp_path / "llmprof.prom"))
    text = (tmp_path / "llmprof.prom").read_text()
    found = {
        (sample.name, sample.labels.get("rank")): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    (steps,) = (track for track in figures.tracks if track.tag == "rank1/step_ms")
    assert found["llmprof_step_ms", "1"] == pytest.approx(steps.value[-1])
    assert found["llmprof_last_step", "0"] == 149
    assert found["llmprof_run_info", None] == 1
    assert found["llmprof_run_step_mean_ms", None] == pytest.approx(85.5213)


def test_prometheus_labels_hold_any_name(figures: Figures) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="Prometheus' own client reads the file")
    texts = {"sentence": '"quoted\\ \n line" ' + HOSTILE_NAMES[0]}
    hostile = Figures(name=HOSTILE_NAMES[4], id="", tracks=figures.tracks, texts=texts)
    families = {family.name: family for family in parser.text_string_to_metric_families(text_of(hostile))}
    (info,) = families["llmprof_run_info"].samples
    assert info.labels["sentence"] == texts["sentence"].replace("\n", " ")


def otlp(document: Any) -> Any:
    """The document through OpenTelemetry's own protocol buffers; fails for a field that there is not."""
    json_format = pytest.importorskip("google.protobuf.json_format", reason="needs protobuf")
    service = pytest.importorskip(
        "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", reason="needs opentelemetry-proto"
    )
    return json_format.ParseDict(document, service.ExportMetricsServiceRequest())


def test_opentelemetry_reads_the_file(figures: Figures, tmp_path: Path) -> None:
    export("opentelemetry", figures, str(tmp_path / "metrics.jsonl"))
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    request = otlp(json.loads(line))
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    metrics = {metric.name: metric for metric in scope.metrics}
    points = metrics["llmprof.step_ms"].gauge.data_points
    assert metrics["llmprof.step_ms"].unit == "ms"
    assert len(points) == sum(track.step.size for track in figures.tracks if track.name == "step_ms")
    assert sum(point.as_double for point in points) == pytest.approx(
        sum(track.value.sum() for track in figures.tracks if track.name == "step_ms")
    )
    assert {point.time_unix_nano for point in points} <= {at for track in figures.tracks for at in track.t_ns.tolist()}


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The address of an OTLP receiver of this machine, and what it got; /refuse is refused."""
    got: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(400 if "refuse" in self.path else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_collector_gets_the_same_document(figures: Figures, collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    address, got = collector
    assert "took" in export("opentelemetry", figures, address)
    ((path, body),) = got
    assert path == "/v1/metrics"
    assert json.loads(body) == document_of(figures)
    with pytest.raises(InputError, match=r"refused the metrics \(400"):
        export("opentelemetry", figures, f"{address}/refuse")


def test_a_collector_that_is_not_there_is_one_sentence(figures: Figures) -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        export("opentelemetry", figures, "http://127.0.0.1:9/")
    with pytest.raises(InputError, match="is no address"):
        export("opentelemetry", figures, "file:///etc/passwd")


def test_tensorboard_reads_its_event_file(
    figures: Figures, tracks: dict[str, tuple[list[int], list[float]]], tmp_path: Path
) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra tensorboard"
    )
    export("tensorboard", figures, str(tmp_path))
    accumulator = reader.EventAccumulator(str(tmp_path / "two-ranks"), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = set(accumulator.Tags()["scalars"])
    assert tags == {f"llmprof/{tag}" for tag in tracks} | {f"llmprof/run/{name}" for name in figures.summary}
    for tag, (steps, values) in tracks.items():
        events = accumulator.Scalars(f"llmprof/{tag}")
        assert sorted(event.step for event in events) == sorted(steps)
        assert sum(event.value for event in events) == pytest.approx(math.fsum(values), rel=1e-5)


def test_mlflow_reads_its_store(
    figures: Figures, tracks: dict[str, tuple[list[int], list[float]]], tmp_path: Path
) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="needs the extra mlflow")
    export("mlflow", figures, str(tmp_path / "store"))
    client = tracking.MlflowClient(tracking_uri=(tmp_path / "store").as_uri())
    experiment = client.get_experiment_by_name("llmprof")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "two-ranks"
    assert found.info.status == "FINISHED"
    assert found.data.params["llmprof.bound"] == "data"
    steps, values = tracks["rank0/step_ms"]
    history = client.get_metric_history(found.info.run_id, "llmprof/rank0/step_ms")
    assert [(one.step, one.value) for one in history] == list(zip(steps, values, strict=True))


def records_of(data: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, in blocks of 32 KiB, after the 7 bytes of W&B's own header."""
    at, record = 7, b""
    while at + 7 <= len(data):
        if (left := -at % (1 << 15)) < 7 and left:  # no record begins in the last bytes of a block
            at += left
            continue
        size, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


@pytest.mark.slow
def test_wandb_reads_its_offline_run(
    figures: Figures, tracks: dict[str, tuple[list[int], list[float]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "online")  # what the user's shell says does not make it upload
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert "nothing was uploaded" in export("wandb", figures, str(tmp_path))
    (file,) = tmp_path.rglob("*.wandb")
    assert file.parent.name.startswith("offline-run-")
    rows: list[dict[str, Any]] = []
    for data in records_of(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = {"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in record.history.item}
            rows.append(items)
    steps, values = tracks["rank0/step_ms"]
    logged = [row["llmprof/rank0/step_ms"] for row in rows if "llmprof/rank0/step_ms" in row]
    assert logged == pytest.approx(values)
    assert [row["_step"] for row in rows if "llmprof/rank0/step_ms" in row] == steps


def test_what_cannot_be_exported_is_one_sentence(
    figures: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="use one of prometheus"):
        export("graphite", figures, "x")
    with pytest.raises(InputError, match="cannot write"):
        export("prometheus", figures, str(tmp_path / "missing" / "x.prom"))
    monkeypatch.setitem(KINDS, "tensorboard", "no_such_package_anywhere")
    with pytest.raises(InputError, match=r"pip install llmprof\[no_such_package_anywhere\]"):
        export("tensorboard", figures, str(tmp_path))
