"""``spinefix view``."""

from __future__ import annotations

from pathlib import Path

import click

from spinefix.cli import common
from spinefix.errors import UsageError


@click.command("view", short_help="Show a result in 3D, or draw it into a file.")
@common.folder_argument
@click.option("--arm", "arms", multiple=True, help="Arm to show; may be repeated; default: all.")
@click.option("--direction", default="flexion", show_default=True, help="Load case, e.g. axial_left or compression.")
@click.option(
    "--field", default="von_mises", show_default=True, help="von_mises (implants) or bone_von_mises (bone, cut open)."
)
@click.option(
    "--screenshot", type=click.Path(dir_okay=False, path_type=Path), help="Draw into this PNG instead of a window."
)
def command(folder: Path, arms: tuple[str, ...], direction: str, field: str, screenshot: Path | None) -> int:
    """Show the arms of the run in FOLDER side by side, deformed and coloured by stress."""
    from spinefix.viz import figures

    if screenshot is None:
        figures.view(folder, direction, arms, field)
    elif screenshot.suffix.lower() != ".png":
        raise UsageError(f"{screenshot}: pictures are PNG; name a file that ends in .png")
    else:
        screenshot.parent.mkdir(parents=True, exist_ok=True)
        if len(arms) == 1:
            target = figures.draw(folder, arms[0], direction, field, screenshot)
        else:
            target = figures.comparison_figure(folder, direction, field, screenshot, arms=arms)
        click.echo(str(target))
    return 0
