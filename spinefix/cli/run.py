"""``spinefix run``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from spinefix.cli import common
from spinefix.errors import UsageError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@click.command("run", short_help="Solve a scenario: tables, pictures, report.")
@common.scenario_argument
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Run folder; default runs/<name>.")
@common.set_option
@common.resolution_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the solver; default: all cores.")
def command(
    scenario: Path, out: Path | None, overrides: tuple[str, ...], resolution: str | None, threads: int | None
) -> int:
    """Solve all arms and load directions of SCENARIO.

    The run folder gets comparison.csv, metrics.csv, beams.csv, manifest.json, fields, figures and report.html. An arm
    that fails does not stop the others; the exit code tells the worst (3 not converged, 4 a self-check failed).
    """
    if threads is not None:  # read by the libraries when they are first imported
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(threads)
    study = common.load(scenario, overrides, resolution)
    folder = out or Path("runs") / study.name
    _check_free(folder)

    from spinefix.report import comparison_tables, write_report
    from spinefix.results.manifest import add_to_manifest
    from spinefix.study.run import run_study

    with common.progress_bar() as progress:
        outcome = run_study(study, scenario, folder, progress)
    solved = any(arm.error is None for arm in outcome.arms)
    if solved:
        tables = comparison_tables(folder)
        screen = common.console()
        for table in tables[:2] if study.moments() else tables:
            screen.print(table)
    if solved and study.outputs.pictures:
        from spinefix.viz import render_figures

        lap = time.perf_counter()
        missing = render_figures(folder)
        outcome.warnings += missing
        add_to_manifest(folder / "manifest.json", "pictures", time.perf_counter() - lap, missing)
    for warning in outcome.warnings:
        click.echo(f"warning: {warning}", err=True)
    failed: dict[str, list[str]] = {}
    for arm in outcome.arms:
        if arm.error is not None:
            failed.setdefault(str(arm.error), []).append(arm.name)
    for message, names in failed.items():
        click.echo(f"failed: {', '.join(names)}: {message}", err=True)
    click.echo(f"results: {folder}  (all tables: spinefix compare {folder})")
    if solved:
        lap = time.perf_counter()
        click.echo(f"report: {write_report(folder)}")
        add_to_manifest(folder / "manifest.json", "report", time.perf_counter() - lap)
    return outcome.exit_code


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds something else than a run: an earlier run is replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder with --out")
    names = {path.name for path in folder.iterdir()}
    stopped_early = "scenario.yaml" in names and names <= {"scenario.yaml", "fields"}
    if names and not stopped_early and not names & {"manifest.json", "comparison.csv"}:
        raise UsageError(f"{folder} is not empty and not a run folder; name another one with --out")
