"""``spinefix validate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spinefix.cli import common
from spinefix.errors import ScenarioError

if TYPE_CHECKING:
    from rich.table import Table

    from spinefix.anatomy.segment import Segment
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
    for warning in specimen.warnings():
        click.echo(f"warning: {warning}", err=True)
    arms: list[ArmModel] = []
    errors: list[str] = []
    for name in study.arms:
        try:
            arms.append(build_arm(study, specimen, name))
        except ScenarioError as error:
            errors += error.findings
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
    if errors:
        raise ScenarioError(errors)


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
    record = specimen.record()
    click.echo(f"segment {', '.join(record['levels'])}: {record['elements']} elements, {record['nodes']} nodes")
    screen = common.console()
    screen.print(_quality(specimen.segment))
    if specimen.segment.disc_dimensions:
        screen.print(_dimensions(specimen.segment, specimen.segment.levels, "Vertebrae"))
        screen.print(_dimensions(specimen.segment, specimen.segment.discs(), "Discs"))
        screen.print(_endplates(specimen.segment))
        _print_shape(specimen.segment)
    for lesion in record["lesions"]:
        numbers = ", ".join(f"{name} {_short(lesion[name])}" for name in ("volume_fraction", "centre", "radii"))
        click.echo(f"  {lesion['description']} ({numbers})\n    {lesion['source']}")


def _quality(segment: Segment) -> Table:
    """Scaled Jacobians by part, over all levels."""
    import numpy as np
    from rich.table import Table

    from spinefix.mesh.quality import scaled_jacobian, volumes

    jacobian, volume = scaled_jacobian(segment.mesh), volumes(segment.mesh)
    table = Table(title="Scaled Jacobian (1 is ideal, 0 unusable)", title_justify="left")
    for column in ("part", "elements", "least", "1st percentile", "median", "negative", "volume mm3"):
        table.add_column(column, justify="left" if column == "part" else "right")
    parts: dict[str, list[int]] = {"all": list(range(segment.mesh.n_cells))}
    for name, cells in segment.mesh.cells.items():
        part = name.partition(".")[2].removesuffix(".left").removesuffix(".right")
        parts.setdefault(part, []).extend(cells.tolist())
    for part, rows in parts.items():
        j = jacobian[rows]
        table.add_row(
            part,
            str(len(rows)),
            f"{j.min():.3f}",
            f"{np.percentile(j, 1):.3f}",
            f"{np.median(j):.3f}",
            str(int((j <= 0).sum())),
            f"{volume[rows].sum():.0f}",
        )
    return table


def _dimensions(segment: Segment, places: Sequence[str], what: str) -> Table:
    """Dimensions measured back on the mesh, with their error against the morphometry."""
    from rich.table import Table

    from spinefix.anatomy.measure import measure_segment

    rows = [r for r in measure_segment(segment) if r.level in places]
    table = Table(title=f"{what} measured on the mesh, error against the morphometry [%]", title_justify="left")
    table.add_column("dimension", no_wrap=True)
    for place in places:
        table.add_column(place, justify="right", no_wrap=True)
    found = {(r.level, r.name): r for r in rows}
    for name in dict.fromkeys(r.name for r in rows):
        hits = [found.get((place, name)) for place in places]
        cells = ("" if h is None else f"{h.measured:.4g} {100 * h.relative_error:+.1f}" for h in hits)
        table.add_row(name, *cells)
    return table


def _endplates(segment: Segment) -> Table:
    """Depth of the endplates measured on the mesh, below the rim, beside the published one."""
    from rich.table import Table

    from spinefix.anatomy.measure import concavities

    table = Table(title="Endplates measured on the mesh, depth below the rim in mm", title_justify="left")
    for column in ("endplate", "published", "sagittal", "frontal", "rim above its outer edge"):
        table.add_column(column, justify="left" if column == "endplate" else "right")
    for row in concavities(segment):
        numbers = (row.published, row.sagittal, row.frontal, row.crest)
        table.add_row(f"{row.level} {row.side}", *(f"{value:.2f}" for value in numbers))
    return table


def _print_shape(segment: Segment) -> None:
    """Symmetry, lordosis and the gaps of the facet joints."""
    import math

    from spinefix.anatomy.measure import facet_gaps, lordosis, symmetry_error

    click.echo(f"  left-right symmetry: largest mismatch {symmetry_error(segment):.1e} mm")
    for angle in lordosis(segment):
        published = "" if math.isnan(angle.published) else f" (published {math.degrees(angle.published):.0f})"
        click.echo(f"  lordosis {angle.name}: {math.degrees(angle.measured):.1f} deg{published}")
    for gap in facet_gaps(segment):
        click.echo(f"  {gap.name}: gap {gap.least:.2f} to {gap.most:.2f} mm, facing {gap.facing:.3f}")


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
