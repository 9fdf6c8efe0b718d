"""``spinefix validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spinefix.cli import common

if TYPE_CHECKING:
    from rich.table import Table

    from spinefix.scenario.build import ArmModel, Specimen
    from spinefix.scenario.schema import Study


@click.command("validate", short_help="Check a scenario and build its models without solving.")
@common.scenario_argument
@common.set_option
@common.resolution_option
@click.option("--no-build", is_flag=True, help="Check the file only.")
def command(scenario: Path, overrides: tuple[str, ...], resolution: str | None, no_build: bool) -> int:
    """Check SCENARIO, build every arm and print mesh sizes, lesions and implant measures; solve nothing."""
    study = common.load(scenario, overrides, resolution)
    from spinefix.scenario.schema import plausibility

    for line in plausibility(study):
        click.echo(f"warning: {line}", err=True)
    cases = sum(len(names) for names in _cases(study))
    click.echo(f"{scenario}: fine; {len(study.arms)} arms ({', '.join(study.arms)}), {cases} load cases")
    if not no_build:
        _build(study)
    return 0


def _cases(study: Study) -> list[tuple[str, ...]]:
    from spinefix.loads import case_names

    return [case_names(load) for load in study.loads]


def _build(study: Study) -> None:
    from rich.table import Table

    from spinefix.mesh.quality import check
    from spinefix.scenario.build import build_arm, build_specimen

    specimen = build_specimen(study)
    screen = common.console()
    _print_specimen(specimen)
    table = Table(title="Arms", title_justify="left")
    for column in ("arm", "nodes", "solids", "beams", "interfaces", "resected"):
        table.add_column(column, justify="left" if column in ("arm", "resected") else "right")
    arms = [build_arm(study, specimen, name) for name in study.arms]
    for arm in arms:
        table.add_row(*_row(arm))
    screen.print(table)
    measures = _measures(arms)
    if measures.row_count:
        screen.print(measures)
    for arm in arms:
        for warning in arm.construct.warnings:
            click.echo(f"warning: {arm.name}: {warning}", err=True)
        check(arm.model.mesh)


def _measures(arms: list[ArmModel]) -> Table:
    """What was built, one column per arm with an implant."""
    from rich.table import Table

    built = [arm for arm in arms if arm.construct.measures]
    table = Table("measure", *(arm.name for arm in built), title="Implants as built", title_justify="left")
    for name in dict.fromkeys(name for arm in built for name in arm.construct.measures):
        values = (arm.construct.measures.get(name) for arm in built)
        table.add_row(name, *("" if value is None else f"{value:.4g}" for value in values))
    return table


def _print_specimen(specimen: Specimen) -> None:
    from spinefix.mesh.quality import scaled_jacobian

    record = specimen.record()
    click.echo(f"segment {', '.join(record['levels'])}: {record['elements']} elements, {record['nodes']} nodes")
    worst = scaled_jacobian(specimen.segment.mesh).min()
    click.echo(f"  least scaled Jacobian {worst:.3f} (1 is ideal, 0 unusable)")
    for level, dimensions in record["dimensions_mm"].items():
        click.echo(f"  {level}: " + ", ".join(f"{name} {value:.4g}" for name, value in dimensions.items()))
    for lesion in record["lesions"]:
        numbers = ", ".join(f"{name} {_short(lesion[name])}" for name in ("volume_fraction", "centre", "radii"))
        click.echo(f"  {lesion['description']} ({numbers})\n    {lesion['source']}")


def _row(arm: ArmModel) -> tuple[str, ...]:
    mesh = arm.model.mesh
    beams = sum(len(block) for block in mesh.blocks if block.kind == "beam2")
    interfaces = len(arm.model.ties) + len(arm.model.embeddings)
    return (
        arm.name,
        str(mesh.n_points),
        str(mesh.n_cells - beams),
        str(beams),
        str(interfaces),
        " ".join(arm.resected),
    )


def _short(value: float | tuple[float, ...]) -> str:
    """Round a number or a point for people."""
    if isinstance(value, int | float):
        return f"{value:.3g}"
    return f"({', '.join(_short(item) for item in value)})"
