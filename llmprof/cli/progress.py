"""How far is it? A bar on standard error while files are read, and only where somebody watches: on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None] | None]:
    """Gives what is to be told how many of how many are done, and what goes on; None where nobody watches.

    Of a single file the bar only shows that something happens, and for how long.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reading", total=None)

        def tell(done: int, total: int, what: str) -> None:
            progress.update(bar, completed=done, total=total if total > 1 else None, description=what)

        yield tell
