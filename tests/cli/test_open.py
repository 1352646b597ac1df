"""`llmprof open` and the Perfetto export of `llmprof report`: what is written, and who may fetch it."""

from __future__ import annotations

import gzip
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from llmprof.cli.open import serve_once
from llmprof.errors import InputError
from tests.cli.conftest import ROOT, InProcess

RUN = ROOT / "sample_traces" / "communication-ddp"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def test_without_a_browser_it_writes_the_file_and_says_what_to_do(in_process: InProcess, tmp_path: Path) -> None:
    done = in_process("open", RUN, "--no-browser", "-o", "x.perfetto.json.gz")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'x.perfetto.json.gz'}\n"
    assert "drop the file there" in done.stderr
    assert json.loads(gzip.decompress((tmp_path / "x.perfetto.json.gz").read_bytes()))["traceEvents"]


def test_the_report_knows_the_ending(in_process: InProcess, tmp_path: Path) -> None:
    done = in_process("report", RUN, "-o", "x.perfetto.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "x.perfetto.json").read_bytes())["traceEvents"]


def test_of_many_ranks_some_are_shown_and_that_is_said(
    in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmprof.cli.perfetto.MOST_RANKS", 1)
    for options, rank in (([], 0), (["--ranks", "1"], 1)):
        done = in_process("open", RUN, "--no-browser", "-o", f"{rank}.perfetto.json", *options)
        assert done.returncode == 0, done.stderr
        assert "1 of 2 ranks are in the file" in done.stderr
        events = json.loads((tmp_path / f"{rank}.perfetto.json").read_bytes())["traceEvents"]
        assert {event["pid"] // 100 for event in events} == {rank}
    assert "has no rank 7" in in_process("open", RUN, "--no-browser", "-o", "x", "--ranks", "7").stderr


def test_an_analysis_has_no_events_to_show(in_process: InProcess, tmp_path: Path) -> None:
    from tests.reports.samples import input_starved

    (tmp_path / "analysis.json").write_text(input_starved().to_json())
    done = in_process("open", "analysis.json", "--no-browser")
    assert done.returncode == 2
    assert "holds no events" in done.stderr


def test_the_file_is_served_once_to_the_viewer_alone(tmp_path: Path, port: int) -> None:
    path = tmp_path / "x.perfetto.json.gz"
    path.write_bytes(b"trace")
    seen = []

    def fetch() -> None:
        for name, origin in (("x.perfetto.json.gz", "https://evil.example"), ("../secret", "https://ui.perfetto.dev")):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", headers={"Origin": origin})
            with pytest.raises(urllib.error.HTTPError, match="404") as error:
                urllib.request.urlopen(request, timeout=10)
            error.value.close()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/{path.name}", headers={"Origin": "https://ui.perfetto.dev"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            seen.append((answer.read(), answer.headers["Access-Control-Allow-Origin"]))

    assert serve_once(path, "https://ui.perfetto.dev/", fetch, port=port, patience_s=10)
    assert seen == [(b"trace", "https://ui.perfetto.dev")]


def test_nobody_fetching_is_told(tmp_path: Path, port: int) -> None:
    assert not serve_once(tmp_path / "x", "https://ui.perfetto.dev", lambda: None, port=port, patience_s=0.05)


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--no-browser"):
            serve_once(tmp_path / "x", "https://ui.perfetto.dev", lambda: None, port=taken.getsockname()[1])
