"""``spinefix export``."""

from __future__ import annotations

from pathlib import Path

import click

from spinefix.cli import common
from spinefix.errors import UsageError, suggestion

SUFFIX = {"vtu": ".vtu", "abaqus": ".inp", "calculix": ".inp", "febio": ".feb"}


@click.command("export", short_help="Write a built model for another code.")
@common.scenario_argument
@click.option("--to", "target", type=click.Choice(list(SUFFIX)), required=True, help="The code that will read it.")
@click.option("--arm", default="intact", show_default=True, help="Arm of the study.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File; default <name>_<arm>.<suffix>.")
@click.option(
    "--formulation",
    type=click.Choice(["as_is", "standard"]),
    default="as_is",
    show_default=True,
    help="standard: all hexahedra fully integrated, the one element that all codes share.",
)
@common.set_option
@common.resolution_option
def command(
    scenario: Path,
    target: str,
    arm: str,
    out: Path | None,
    formulation: str,
    overrides: tuple[str, ...],
    resolution: str | None,
) -> int:
    """Build one arm of SCENARIO and write it with sets, materials, constraints and load cases; solve nothing."""
    study = common.load(scenario, overrides, resolution)
    if arm not in study.arms:
        raise UsageError(f"no arm {arm!r} in {scenario}; arms: {', '.join(study.arms)}{suggestion(arm, study.arms)}")
    from spinefix.analysis.deck import with_formulation
    from spinefix.scenario.build import build_arm, build_specimen

    built = build_arm(study, build_specimen(study), arm)
    model = built.model if formulation == "as_is" else with_formulation(built.model, formulation)
    path = out or Path(f"{study.name}_{arm}{SUFFIX[target]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"{study.name}, arm {arm}"
    if target == "vtu":
        from spinefix.analysis.export_vtu import write_model_vtu

        write_model_vtu(path, model, built.cases)
    elif target == "febio":
        from spinefix.analysis.export_febio import write_febio

        write_febio(path, model, built.cases, title=title)
    else:
        from spinefix.analysis.export_abaqus import write_abaqus

        write_abaqus(path, model, built.cases, code=target, title=title)
    click.echo(f"{path}: {model.mesh.n_points} nodes, {model.mesh.n_cells} elements, {len(built.cases)} load cases")
    return 0
