"""Range of motion and stiffness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.mesh.core import F64
from spinefix.metrics.context import Context, Row
from spinefix.metrics.motion import best_fit_rotation, relative_rotation
from spinefix.units import to_surface


def work_rotation(ctx: Context, case: str) -> tuple[float, float]:
    """Moment [N mm] and the rotation [rad] about its own axis at the loaded reference point.

    This rotation is conjugate to the moment, so that moment / rotation is the secant stiffness of the whole segment
    and obeys the theorem that an added elastic part never adds compliance.
    """
    moment = ctx.cases[case].moments.get(ctx.reference, np.zeros(3))
    size = float(np.linalg.norm(moment))
    if size == 0.0:
        return 0.0, float("nan")
    return size, float(ctx.solution.rotation(case, ctx.reference) @ moment / size)


def vertebral_motion(ctx: Context, level: str, case: str) -> F64:
    """Rotation vector (3,) [rad] of the best-fit rigid motion of what is left of a vertebra, volume-weighted."""
    mesh = ctx.system.model.mesh
    known = ctx.cache.setdefault("level_nodes", {})
    if level not in known:
        known[level] = mesh.cell_nodes(mesh.select(level))
    nodes = known[level]
    u = ctx.solution.displacement(case)
    return best_fit_rotation(mesh.points[nodes], u[nodes], ctx.nodal_volume[nodes])[1]


def rom(ctx: Context, case: str) -> Iterator[Row]:
    """ROM of the whole segment and of each level, signed components in the lower vertebra's anatomical frame."""
    moment, rotation = work_rotation(ctx, case)
    if moment:
        yield Row(case, "rom", "whole", to_surface("_deg", rotation), "deg")
        yield Row(case, "secant_stiffness", "whole", to_surface("_Nm_per_deg", moment / rotation), "Nm/deg")
    motion = {v: vertebral_motion(ctx, v, case) for v in ctx.segment.levels if v not in ctx.resected}
    axis = ctx.cases[case].moments.get(ctx.reference)
    # The loose arch of a resected vertebra is not a level that moves: neighbours are then measured across the gap.
    standing = [level for level in ctx.segment.levels if level not in ctx.resected]
    for upper, lower in zip(standing[:-1], standing[1:], strict=True):
        axes = ctx.segment.vertebrae[lower].frame.axes
        rotation_local = relative_rotation(motion[upper], motion[lower], axes)
        for component, value in zip("xyz", rotation_local, strict=True):
            yield Row(case, f"rotation_{component}", f"{upper}-{lower}", to_surface("_deg", float(value)), "deg")
        if axis is not None and np.any(axis):
            main = int(np.argmax(np.abs(axis)))
            value = float(rotation_local[main] * np.sign(axis[main]))
            yield Row(case, "rom_level", f"{upper}-{lower}", to_surface("_deg", value), "deg")
    if axis is not None and np.any(axis):
        for upper, lower in bridged(ctx):
            turn = relative_rotation(motion[upper], motion[lower], ctx.segment.vertebrae[lower].frame.axes)
            main = int(np.argmax(np.abs(axis)))
            value = float(turn[main] * np.sign(axis[main]))
            yield Row(case, "rom_bridged", f"{upper}-{lower}", to_surface("_deg", value), "deg")


def bridged(ctx: Context) -> list[tuple[str, str]]:
    """Neighbours above and below of each run of diseased levels, what a construct has to bridge."""
    levels = ctx.segment.levels
    out = []
    i = 0
    while i < len(levels):
        j = i
        while j < len(levels) and levels[j] in ctx.diseased:
            j += 1
        if j > i and i > 0 and j < len(levels):
            out.append((levels[i - 1], levels[j]))
        i = max(j, i + 1)
    return out


def axial(ctx: Context, case: str) -> Iterator[Row]:
    """Stiffness against a force: force over the displacement of the reference point along it [N/mm]."""
    force = ctx.cases[case].forces.get(ctx.reference)
    if force is None or not np.any(force):
        return
    size = float(np.linalg.norm(force))
    along = float(ctx.solution.displacement(case)[ctx.reference] @ force / size)
    name = "axial_stiffness" if case.startswith("compression") else "force_stiffness"
    yield Row(case, name, "whole", size / along, "N/mm")
    yield Row(case, "displacement", "whole", along, "mm")
