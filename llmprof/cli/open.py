"""How does `llmprof open` show a recording in Perfetto's viewer, without uploading anything?

The viewer at ui.perfetto.dev runs in the browser. Its content security policy lets it fetch from one local port, 9001
(Perfetto's own script `open_trace_in_ui` does the same): the file is served there, to this machine and this origin
alone, until it was fetched once. The trace stays in the browser.
"""

from __future__ import annotations

import functools
import http.server
import threading
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from llmprof.cli.completing import run_directories
from llmprof.cli.console import answer, note
from llmprof.errors import InputError

__all__ = ["open_", "serve_once"]

PORT = 9001
VIEWER = "https://ui.perfetto.dev"
PATIENCE_S = 120.0
NAME = "timeline.perfetto.json.gz"


def open_(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="A run directory, or traces of all its ranks.", autocompletion=run_directories
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help=f"The file (default: {NAME} in the run).")
    ] = None,
    ranks: Annotated[
        str | None, typer.Option("--ranks", metavar="N,N...", help="Ranks of a run to show (default: the first 8).")
    ] = None,
    viewer: Annotated[str, typer.Option("--ui", metavar="URL", help="A Perfetto of your own.")] = VIEWER,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Start a browser, or only say what to open.")
    ] = True,
) -> None:
    """Open the traced steps in Perfetto's viewer, in a browser; nothing is uploaded."""
    from llmprof.cli.analyze import numbers
    from llmprof.cli.perfetto import export_perfetto

    path = out or _default(paths)
    exported = export_perfetto(paths, path, ranks=numbers(ranks))
    answer(str(path.resolve()))
    note(f"{exported.slices:,} slices, {exported.flows:,} arrows, {exported.counters:,} readings.")
    if not browser:
        note(f"open {viewer} and drop the file there; it stays in the browser.")
        return
    link = f"{viewer.rstrip('/')}/#!/?url=http://127.0.0.1:{PORT}/{path.name}"
    note(f"opening {link} ...")
    if not serve_once(path, viewer, lambda: webbrowser.open(link)):
        note(f"nobody fetched the file within {PATIENCE_S:.0f} s; open {viewer} and drop it there.")


def serve_once(path: Path, viewer: str, started: Any, *, port: int = PORT, patience_s: float = PATIENCE_S) -> bool:
    """Serve one file to this origin on 127.0.0.1 until it was fetched once; False when nobody did in time.

    started    called without arguments when the server listens. Raises InputError when the port is taken.
    """
    fetched = threading.Event()
    handler = functools.partial(_Handler, path, viewer.rstrip("/"), fetched)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise InputError(
            f"port {port} of 127.0.0.1 cannot be used ({error.strerror}), and the viewer may fetch from no other; "
            "end what uses it, or add --no-browser."
        ) from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        started()
        return fetched.wait(patience_s)
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers for one file and one origin, and nothing else."""

    def __init__(self, path: Path, origin: str, fetched: threading.Event, *given: Any) -> None:
        self._path, self._origin, self._fetched = path, origin, fetched
        super().__init__(*given)

    def do_OPTIONS(self) -> None:
        """What a browser asks before a page fetches from this machine."""
        self._head(204)

    def do_GET(self) -> None:
        """The file, once."""
        if self.path.split("?")[0] != f"/{self._path.name}" or self.headers.get("Origin") not in (None, self._origin):
            self._head(404)
            return
        data = self._path.read_bytes()
        self._head(200, len(data))
        self.wfile.write(data)
        self._fetched.set()

    def _head(self, code: int, size: int = 0) -> None:
        self.send_response(code)
        self.send_header("Access-Control-Allow-Origin", self._origin)
        self.send_header("Access-Control-Allow-Private-Network", "true")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are nobody's business."""


def _default(paths: list[str]) -> Path:
    """Inside a run directory, else beside nothing: in the working directory."""
    run = Path(paths[0])
    return run / NAME if len(paths) == 1 and run.is_dir() else Path(NAME)
