"""``spinefix verify``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spinefix.cli import common
from spinefix.errors import CheckError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from spinefix.verification import Outcome, Row, Rung


@click.command("verify", short_help="Check the finite-element core against problems with known answers.")
@click.option("--only", multiple=True, metavar="NAME", help="This rung, or all whose names begin so; may be repeated.")
@click.option("--list", "listing", is_flag=True, help="List the rungs and their sources; run nothing.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to FILE.")
def command(only: tuple[str, ...], listing: bool, file: Path | None) -> int:
    """Solve problems with known answers and compare: patch tests, derivatives, convergence, benchmarks.

    The first time, compiling all kernels adds a minute or two. Exit code 4 if any rung fails.
    """
    from spinefix.verification import all_rungs, climb, find

    chosen = find(only) if only else all_rungs()
    if listing:
        _print_list(chosen)
        return 0
    outcomes = []
    with common.progress_bar() as progress:
        for done, outcome in enumerate(climb(chosen), start=1):
            outcomes.append(outcome)
            progress(f"{outcome.rung.name}: {'passed' if outcome.passed else 'FAILED'}", done - 1, len(chosen))
    if file is not None:
        _write(file, outcomes)
    common.console().print(_table(outcomes))
    for outcome in outcomes:
        if outcome.failure:
            click.echo(f"{outcome.rung.name}: {outcome.failure}", err=True)
    rows = sum(len(o.rows) for o in outcomes)
    failed = [o.rung.name for o in outcomes if not o.passed]
    seconds = sum(o.seconds for o in outcomes)
    click.echo(f"{len(outcomes)} rungs, {rows} quantities, {len(failed)} rungs failed, {seconds:.0f} s")
    if failed:
        raise CheckError(f"verification failed: {', '.join(failed)}")
    return 0


def _print_list(chosen: Sequence[Rung]) -> None:
    from rich.table import Table

    table = Table("rung", "problem", "source of the reference", title="Rungs", title_justify="left")
    for rung in chosen:
        table.add_row(rung.name, rung.title, rung.source)
    common.console().print(table)


def _table(outcomes: Sequence[Outcome]) -> Table:
    """All rows; problem and seconds stand in the first row of each rung."""
    from rich.table import Table

    table = Table(title="Verification", title_justify="left")
    table.add_column("problem", overflow="fold")
    table.add_column("quantity", overflow="fold")
    for column in ("reference", "ours", "error", "order", "tolerance"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    for outcome in outcomes:
        head = (outcome.rung.name, f"{outcome.seconds:.1f}")
        for row in outcome.rows:
            table.add_row(head[0], *_cells(row), head[1])
            head = ("", "")
        if outcome.failure or not outcome.rows:
            table.add_row(head[0], "stopped by an error", *[""] * 5, _mark(False), head[1])
        table.add_section()
    return table


def _cells(row: Row) -> tuple[str, ...]:
    order = "" if row.order is None else f"{row.order:.2f}"
    numbers = (f"{row.reference:.6g}", f"{row.ours:.6g}", f"{row.error:.1e}", order, f"{row.tolerance:.1e}")
    return row.quantity, *numbers, _mark(row.passed)


def _mark(passed: bool) -> str:
    return "[green]pass[/green]" if passed else "[bold red]FAIL[/bold red]"


def _write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes as JSON.

    Raises
    ------
    UsageError
        The folder does not exist.
    """
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: no folder {path.parent}")
    data = [_record(outcome) for outcome in outcomes]
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _record(outcome: Outcome) -> dict[str, Any]:
    rung = outcome.rung
    rows = [
        {
            "quantity": r.quantity,
            "reference": r.reference,
            "ours": r.ours,
            "error": r.error,
            "order": r.order,
            "tolerance": r.tolerance,
            "passed": r.passed,
        }
        for r in outcome.rows
    ]
    return {
        "rung": rung.name,
        "problem": rung.title,
        "source": rung.source,
        "seconds": outcome.seconds,
        "passed": outcome.passed,
        "failure": outcome.failure,
        "rows": rows,
    }
