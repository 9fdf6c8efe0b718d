"""``spinefix report``."""

from __future__ import annotations

from pathlib import Path

import click

from spinefix.cli import common


@click.command("report", short_help="Write the HTML report of a run folder again.")
@common.folder_argument
@click.option("--figures", is_flag=True, help="Draw the figures again first.")
def command(folder: Path, figures: bool) -> int:
    """Write report.html of the run in FOLDER: one file that opens without a network."""
    from spinefix.report import write_report

    if figures:
        from spinefix.viz import render_figures

        for warning in render_figures(folder):
            click.echo(f"warning: {warning}", err=True)
    click.echo(str(write_report(folder)))
    return 0
