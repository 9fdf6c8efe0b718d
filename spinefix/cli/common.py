"""What several commands share: options, consoles, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from spinefix.scenario.schema import Study

Progress = Callable[[str, int, int], None]

scenario_argument = click.argument("scenario", type=click.Path(dir_okay=False, path_type=Path))
folder_argument = click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path))
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a value of the scenario, e.g. lesions[0].volume_pct=30; may be repeated.",
)
resolution_option = click.option(
    "--resolution", metavar="WORD|2..6", help="Fineness of the mesh: coarse, middle, fine or a number."
)


def load(scenario: Path, overrides: tuple[str, ...], resolution: str | None = None) -> Study:
    """Read a scenario with the overrides of the command line."""
    from spinefix.scenario.loader import load_study

    extra = (f"segment.resolution={resolution}",) if resolution else ()
    return load_study(scenario, (*overrides, *extra))


def console(*, error: bool = False) -> Console:
    """Return a console; without a terminal it is wide enough for all tables."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 160, highlight=False, soft_wrap=not stream.isatty())


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress on standard error: a bar on a terminal, else one line per step with the seconds since the start."""
    if not sys.stderr.isatty():
        start = time.perf_counter()

        def tell(what: str, done: int, total: int) -> None:
            click.echo(f"[{time.perf_counter() - start:6.1f} s] {min(done + 1, total)}/{total} {what}", err=True)

        yield tell
        return
    from rich import progress

    columns: tuple[Any, ...] = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield update
