"""Field files of a run: one VTU per arm and load case, the names of regions beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from spinefix.fem.recover import von_mises
from spinefix.mesh import vtu
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.metrics import Context
from spinefix.model.core import Model

BONE, DISC, IMPLANT_SOLID, IMPLANT_BEAM = range(4)


def write_case(folder: Path, arm: str, case: str, ctx: Context) -> Path:
    """Write ``{arm}_{case}.vtu`` and its PVD: displacement, von Mises stress, regions, lesion scale.

    Where interfaces are in contact, their pressure (zero elsewhere) and opening (not a number elsewhere) are at the
    nodes of the side that carries the points: end faces of a prosthesis, inferior articular processes.

    Cell stresses are those of the volume-averaged stress tensor of the element; tables use the integration points.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = ctx.model
    mesh = model.mesh
    stress = np.zeros(mesh.n_cells)
    for f in ctx.solid_fields(case):
        mean = np.einsum("eq,eqk->ek", f.volume, f.stress) / f.volume.sum(axis=1)[:, None]
        stress[f.cells] = von_mises(mean)
    for b in ctx.beam_fields(case):
        stress[b.cells] = b.von_mises.max(axis=1)
    radius = np.zeros(mesh.n_cells)
    beams = model.section_id >= 0
    radius[beams] = [model.sections[i].extent_y for i in model.section_id[beams]]
    region, names = regions(mesh)
    path = folder / f"{arm}_{case}.vtu"
    vtu.write_vtu(
        path,
        mesh,
        point_data={"displacement": ctx.response.displacement(case), **contact_fields(ctx, case)},
        cell_data={
            "von_mises": stress,
            "region_id": region,
            "part": parts(mesh),
            "scale": model.scale.mean(axis=1),
            "radius": radius,
            "half_width": half_widths(model),
        },
    )
    vtu.write_pvd(folder / f"{arm}_{case}.pvd", [(1.0, path.name)])
    (folder / f"regions_{arm}.json").write_text(json.dumps(names, indent=0), encoding="utf-8")
    return path


def half_widths(model: Model) -> F64:
    """Half of the width of flat beams (n_cells, 3) [mm], across their axis and their thickness; zero elsewhere."""
    out = np.zeros((model.mesh.n_cells, 3))
    for block, first in zip(model.mesh.blocks, model.mesh.offsets, strict=False):
        if block.kind != "beam2":
            continue
        for i, ends in enumerate(model.mesh.points[block.conn], start=int(first)):
            section = model.sections[model.section_id[i]]
            if not section.round:
                across = np.cross(ends[1] - ends[0], model.orientation[i])
                out[i] = section.extent_z * across / np.linalg.norm(across)
    return out


def contact_fields(ctx: Context, case: str) -> dict[str, F64]:
    """Pressure [MPa] and opening [mm] of interfaces at nodes (n_points,); nothing where none is in contact."""
    touches = ctx.response.contacts(case)
    if not touches:
        return {}
    n = ctx.model.mesh.n_points
    force, area, opening, seen = np.zeros((4, n))
    for touch in touches:
        share = touch.weights * touch.area[:, None]
        faces = share * np.isfinite(touch.gap)[:, None]
        gap = np.where(np.isfinite(touch.gap), touch.gap, 0.0)
        for total, part in ((force, share * touch.pressure[:, None]), (area, share), (opening, faces * gap[:, None])):
            np.add.at(total, touch.nodes, part)
        np.add.at(seen, touch.nodes, faces)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"contact_pressure": np.where(area > 0.0, force / area, 0.0), "contact_gap": opening / seen}


def regions(mesh: Mesh) -> tuple[I32, dict[int, str]]:
    """Region number of every cell (n_cells,) and the names of the numbers."""
    out = np.full(mesh.n_cells, -1, np.int32)
    names = {}
    for i, (name, cells) in enumerate(sorted(mesh.cells.items())):
        out[cells] = i
        names[i] = name
    return out, names


def parts(mesh: Mesh) -> I32:
    """Kind of every cell (n_cells,): 0 bone, 1 disc, 2 implant solid, 3 implant beam."""
    out = np.zeros(mesh.n_cells, np.int32)
    for name, cells in mesh.cells.items():
        if name.startswith("implant."):
            out[cells] = IMPLANT_SOLID
        elif ".disc." in name:
            out[cells] = DISC
    offset = 0
    for block in mesh.blocks:
        if block.kind == "beam2":
            out[offset : offset + len(block)] = IMPLANT_BEAM
        offset += len(block)
    return out
