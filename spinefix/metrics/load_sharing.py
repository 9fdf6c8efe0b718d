"""Which structure carries the load across the diseased level: a free-body cut through the whole model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.mesh.core import F64, I32, Bool
from spinefix.metrics.context import Context, Row
from spinefix.metrics.stress import POSTERIOR
from spinefix.units import to_surface

PARTS = ("body", "disc", "posterior_elements", "facet_joints", "ligaments", "rods", "screws", "prosthesis", "plate")
"""Structures between which the load is shared. `body` is the diseased vertebral body; `screws` are screws and their
hold in bone where they cross the section."""


def part_of(name: str) -> str:
    """Structure to which a cell region belongs."""
    head, _, rest = name.partition(".")
    kind = rest.split(".")[0]
    if head == "implant":
        return {
            "rod": "rods",
            "crosslink": "rods",
            "screw": "screws",
            "prosthesis": "prosthesis",
            "plate": "plate",
            "body_screw": "plate",
        }[kind]
    if kind == "disc":
        return "disc"
    return "posterior_elements" if kind in POSTERIOR else "body"


def cell_parts(ctx: Context) -> I32:
    """Index into `PARTS` of every cell, (n_cells,) int32."""
    mesh = ctx.model.mesh
    out = np.zeros(mesh.n_cells, np.int32)
    for name, cells in mesh.cells.items():
        out[cells] = PARTS.index(part_of(name))
    return out


def crossing_cells(ctx: Context, above: Bool) -> I32:
    """Solid elements with nodes on both sides of a cut."""
    out, offset = [], 0
    for block in ctx.model.mesh.blocks:
        if block.kind != "beam2":
            side = above[block.conn]
            out.append(offset + np.flatnonzero(side.any(axis=1) & ~side.all(axis=1)))
        offset += len(block)
    return np.concatenate(out).astype(np.int32)


def resultant(nodes: I32, points: F64, force: F64, moment: F64, above: Bool, centre: F64) -> F64:
    """Resultant (6,) [N, N mm] about `centre` of nodal forces that act above the cut.

    Elements that lie wholly on one side are in equilibrium by themselves and drop out of the sum, so it may run over
    all elements of a part or over the crossing ones only.

    Parameters
    ----------
    nodes : (k,) int32
    points, force, moment : (k, 3) float64 [mm, N, N mm]
    above : (n_points,) bool
    centre : (3,) float64 [mm]
    """
    keep = above[nodes]
    total_moment = np.cross(points[keep] - centre, force[keep]) + moment[keep]
    return np.concatenate([force[keep].sum(axis=0), total_moment.sum(axis=0)])


def section_forces(ctx: Context, case: str, level: str) -> dict[str, F64]:
    """Force and moment that each structure transmits across the section through the middle of a vertebral body.

    Parameters
    ----------
    level : str
        The cut is the plane x-y of this vertebra's anatomical frame at rest, the moment is taken about its origin.

    Returns
    -------
    dict, part -> (6,) float64 [N, N mm], in the vertebra's frame
    """
    model = ctx.model
    frame = ctx.segment.vertebrae[level].frame
    above = frame.to_local(model.mesh.points)[:, 2] > 0.0
    points = ctx.response.positions(case)
    nodes = np.arange(len(points), dtype=np.int32)
    part = cell_parts(ctx)
    total = {p: np.zeros(6) for p in PARTS}
    frame = ctx.carried(level, case)
    crossing = crossing_cells(ctx, above)
    for p in np.unique(part[crossing]):
        f = ctx.response.solid_forces(case, crossing[part[crossing] == p])
        total[PARTS[p]] += resultant(nodes, points, f, np.zeros_like(f), above, frame.origin)
    for beam, found in zip(ctx.beam_groups, ctx.beam_fields(case), strict=True):
        side = above[beam.conn]
        for k in np.flatnonzero(side.any(axis=1) & ~side.all(axis=1)):
            # Section forces act on the part before the section: on the first node with the opposite sign.
            f = np.array([-1.0, 1.0])[:, None, None] * (found.forces[k].reshape(2, 2, 3) @ found.axes[k])
            ends = beam.conn[k]
            name = PARTS[part[beam.cells[k]]]
            total[name] += resultant(ends, points[ends], f[:, 0], f[:, 1], above, frame.origin)
    n = len(points)
    rotational = model.rotational_nodes()
    for name, f in ctx.response.interface_forces(case).items():
        moment = np.zeros((n, 3))
        moment[rotational] = f[n:]
        total[name] += resultant(nodes, points, f[:n], moment, above, frame.origin)
    rotate = frame.axes.T
    return {p: np.concatenate([rotate @ v[:3], rotate @ v[3:]]) for p, v in total.items()}


def load_sharing(ctx: Context, case: str) -> Iterator[Row]:
    """Share of moment (about the axis of the applied moment) and of axial force by structure, at each diseased level.

    Shares are in percent of the whole section; they sum to 100. Forces and moments themselves are given too, since
    under a pure moment the axial forces cancel (tension in the rods against compression in the body).
    """
    load = ctx.cases[case]
    moment = load.moments.get(ctx.reference, np.zeros(3))
    force = load.forces.get(ctx.reference, np.zeros(3))
    for level in ctx.diseased:
        parts = section_forces(ctx, case, level)
        axes = ctx.carried(level, case).axes
        whole = np.sum(list(parts.values()), axis=0)
        largest = max(np.abs(v).max() for v in parts.values())
        for name, v in parts.items():
            if np.abs(v).max() <= 1e-9 * largest:  # the part does not cross the section
                continue
            yield Row(case, "section_axial_force", f"{level}.{name}", float(v[2]), "N")
            if np.any(moment):
                axis = axes.T @ moment / np.linalg.norm(moment)
                yield Row(case, "section_moment", f"{level}.{name}", to_surface("_Nm", float(v[3:] @ axis)), "Nm")
                share = 100.0 * float(v[3:] @ axis) / float(whole[3:] @ axis)
                yield Row(case, "load_share_moment", f"{level}.{name}", share, "%")
            if np.any(force) or (load.follower and not np.any(moment)):
                axis = axes.T @ force / np.linalg.norm(force) if np.any(force) else np.array([0.0, 0.0, -1.0])
                share = 100.0 * float(v[:3] @ axis) / float(whole[:3] @ axis)
                yield Row(case, "load_share_force", f"{level}.{name}", share, "%")
