"""Stresses in bone and implants, section forces along screws and rods."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.fem.recover import weighted_percentile
from spinefix.mesh.core import F64, I32
from spinefix.metrics.context import Context, Row
from spinefix.units import to_surface

IMPLANTS = (
    "implant.rod",
    "implant.screw",
    "implant.body_screw",
    "implant.crosslink",
    "implant.plate",
    "implant.prosthesis",
)
"""Implant regions reported as a whole."""

POSTERIOR = ("pedicle", "lamina", "pars", "articular", "transverse", "spinous")


def region_cells(ctx: Context) -> dict[str, I32]:
    """Regions whose stresses are reported, name -> sorted cell ids; only those that exist in this arm."""
    mesh = ctx.model.mesh
    names = list(mesh.cells)
    wanted: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        for group in IMPLANTS:
            if name == group or name.startswith(group + "."):
                wanted.setdefault(group, []).append(name)
        if name.startswith("implant.screw.") and name.rpartition(".")[0] not in names:
            wanted.setdefault(name, []).append(name)
        if parts[0] in ctx.segment.levels and len(parts) > 1:
            kind = "posterior" if parts[1] in POSTERIOR else parts[1]
            sub = f".{parts[2]}" if len(parts) > 2 and kind != "posterior" else ""
            wanted.setdefault(f"{parts[0]}.{kind}{sub}", []).append(name)
            wanted.setdefault("endplates" if kind == "endplate" else "bone", []).append(name)
    return {k: np.unique(np.concatenate([mesh.cells[n] for n in v])) for k, v in wanted.items()}


def rows_of_regions(ctx: Context) -> dict[str, tuple[list[I32], list[I32]]]:
    """Rows of every reported region in the solid groups and in the beam groups; found once per arm."""
    table = ctx.cache.get("rows_of_regions")
    if table is None:
        row = np.full(ctx.model.mesh.n_cells, -1, np.int32)
        owner = np.full(ctx.model.mesh.n_cells, -1, np.int32)
        groups = [*ctx.response.solid_cells, *(g.cells for g in ctx.beam_groups)]
        for i, cells in enumerate(groups):
            row[cells], owner[cells] = np.arange(len(cells)), i
        n = len(ctx.response.solid_cells)
        table = {}
        for name, cells in region_cells(ctx).items():
            hits = [row[cells[owner[cells] == i]] for i in range(len(groups))]
            table[name] = (hits[:n], hits[n:])
        ctx.cache["rows_of_regions"] = table
    return table


def gather(ctx: Context, case: str, rows: tuple[list[I32], list[I32]]) -> tuple[F64, F64]:
    """Von Mises stresses [MPa] and weights of the given rows of the solid and of the beam groups.

    Weights are the volume of each integration point [mm^3] for solids; for beams half the volume of the element at
    either end. Both flat arrays of equal length.
    """
    values, weights = [np.zeros(0)], [np.zeros(0)]
    for f, hit in zip(ctx.solid_fields(case), rows[0], strict=True):
        values.append(f.von_mises[hit].ravel())
        weights.append(f.volume[hit].ravel())
    model = ctx.model
    for b, hit in zip(ctx.beam_fields(case), rows[1], strict=True):
        area = np.array([model.sections[i].area for i in model.section_id[b.cells[hit]]])
        values.append(b.von_mises[hit].ravel())
        weights.append(np.repeat(0.5 * area * b.length[hit], 2))
    return np.concatenate(values), np.concatenate(weights)


def von_mises(ctx: Context, case: str) -> Iterator[Row]:
    """Maximum and volume-weighted 99th percentile of von Mises stress by region.

    The percentile is the figure to compare: at a re-entrant corner the maximum grows without limit under refinement.
    Opposite loads give opposite stresses, hence the same von Mises stress, which is then taken over.
    """
    done: dict[str, list[tuple[str, float, float]]] = ctx.cache.setdefault("von_mises", {})
    mirror = ctx.response.opposite(case)
    if mirror not in done:
        done[case] = [(name, *extremes(ctx, case, rows)) for name, rows in rows_of_regions(ctx).items()]
    for name, largest, percentile in done[case if case in done else str(mirror)]:
        yield Row(case, "von_mises_max", name, largest, "MPa")
        yield Row(case, "von_mises_p99", name, percentile, "MPa")


def extremes(ctx: Context, case: str, rows: tuple[list[I32], list[I32]]) -> tuple[float, float]:
    """Maximum and volume-weighted 99th percentile of von Mises stress [MPa] over rows of groups."""
    values, weights = gather(ctx, case, rows)
    return float(values.max()), weighted_percentile(values, weights, 99.0)


def beam_regions(ctx: Context) -> dict[str, I32]:
    """Beam regions by name (rods, screws, plate), each in element order along the beam; none of their parts."""
    mesh = ctx.model.mesh
    beams = np.concatenate([g.cells for g in ctx.beam_groups]) if ctx.beam_groups else np.zeros(0, np.int32)
    whole = {k: v for k, v in mesh.cells.items() if k.rpartition(".")[0] not in mesh.cells}
    return {k: v for k, v in whole.items() if k.startswith("implant.") and len(v) and np.isin(v, beams).all()}


def section_forces(ctx: Context, case: str) -> Iterator[tuple[str, int, float, F64]]:
    """Along each beam: region, end index, arc length [mm] from its first node, (6,) section forces [N, N mm]."""
    for name, cells in beam_regions(ctx).items():
        s = 0.0
        for b in ctx.beam_fields(case):
            for k in np.flatnonzero(np.isin(b.cells, cells)):
                for end in (0, 1):
                    yield name, end, s + end * float(b.length[k]), b.forces[k, end]
                s += float(b.length[k])


def beam_forces(ctx: Context, case: str) -> Iterator[Row]:
    """Largest bending moment, torque and axial force of each screw, rod and plate."""
    for name, cells in beam_regions(ctx).items():
        forces = np.concatenate([b.forces[np.isin(b.cells, cells)].reshape(-1, 6) for b in ctx.beam_fields(case)])
        bending = float(np.hypot(forces[:, 4], forces[:, 5]).max())
        yield Row(case, "bending_moment_max", name, to_surface("_Nm", bending), "Nm")
        yield Row(case, "torque_max", name, to_surface("_Nm", float(np.abs(forces[:, 3]).max())), "Nm")
        axial = forces[np.argmax(np.abs(forces[:, 0])), 0]
        yield Row(case, "axial_force_extreme", name, float(axial), "N")
