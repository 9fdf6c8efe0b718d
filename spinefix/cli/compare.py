"""``spinefix compare``."""

from __future__ import annotations

from pathlib import Path

import click

from spinefix.cli import common


@click.command("compare", short_help="Print the tables of a run folder.")
@common.folder_argument
def command(folder: Path) -> int:
    """Print stiffness, range of motion, load sharing and stress of all arms in FOLDER."""
    from spinefix.report import comparison_tables

    screen = common.console()
    for table in comparison_tables(folder):
        screen.print(table)
    if not (folder / "manifest.json").is_file():
        click.echo(f"warning: the run in {folder} was stopped: arms, ratios and checks are missing", err=True)
    return 0
