"""What the standard bench test of a posterior construct is held against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.anatomy.blocks import f1717_closed_form
from spinefix.library import reader
from spinefix.metrics.context import Context, Row
from spinefix.model.core import Material, Section


def f1717(ctx: Context, case: str) -> Iterator[Row]:
    """Compression-bending stiffness in closed form (rigid blocks) and as published, for hinged test blocks.

    The closed form takes arm, lengths, sections and moduli from the model itself. The published value is the mean of
    standard rods at 76 mm active length (Foltz MH et al., Spine 2019;44(18):1270-1278, Table 3); their rods are not
    described in full, so it is a neighbour to look at and not a pass mark.
    """
    mesh = ctx.model.mesh
    rods = [name for name in ("implant.rod.left", "implant.rod.right") if name in mesh.cells]
    if not (ctx.segment.hinged and len(rods) == 2 and case == "compression"):
        return
    neck = f"implant.screw.{ctx.segment.levels[0]}.left.neck"
    rod, rod_material = beam(ctx, rods[0])
    screw, screw_material = beam(ctx, neck)
    axis = mesh.points[mesh.cell_nodes(mesh.select(rods[0]))]
    pin = mesh.points[ctx.reference]
    heads = [v.landmarks["pedicle.left.entry"] for v in ctx.segment.vertebrae.values()]
    exact = f1717_closed_form(
        arm=float(np.abs(axis[:, 0] - pin[0]).max()),
        free_length=float(np.abs(heads[0][2] - heads[1][2])),
        rod_diameter=2.0 * rod.extent_y,
        E_rod=rod_material.parameters["E_MPa"],
        screw_free_length=float(np.ptp(mesh.points[mesh.cell_nodes(mesh.select(neck))][:, 0])),
        screw_core=2.0 * screw.extent_y,
        E_screw=screw_material.parameters["E_MPa"],
    )
    yield Row(case, "f1717_closed_form_rigid_blocks", "whole", exact, "N/mm")
    yield Row(case, "f1717_published", "whole", reader.f1717()["published_stiffness"].internal, "N/mm")


def beam(ctx: Context, region: str) -> tuple[Section, Material]:
    """Section and material of a beam region, by its first element."""
    model = ctx.model
    cell = int(model.mesh.select(region)[0])
    return model.sections[model.section_id[cell]], model.materials[model.material_id[cell]]
