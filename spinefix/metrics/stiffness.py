"""Range of motion and stiffness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spinefix.mesh.core import F64
from spinefix.metrics.context import Context, Row
from spinefix.model.core import Guide
from spinefix.units import to_surface


def work_rotation(ctx: Context, case: str) -> tuple[float, float]:
    """Moment [N mm] and the rotation [rad] about its own axis at the loaded reference point, since the preload.

    In a linear solution this rotation is conjugate to the moment, so that moment / rotation is the secant stiffness of
    the whole segment and obeys the theorem that an added elastic part never adds compliance.
    """
    moment = ctx.cases[case].moments.get(ctx.reference, np.zeros(3))
    size = float(np.linalg.norm(moment))
    if size == 0.0:
        return 0.0, float("nan")
    return size, float(ctx.response.turn(case, ctx.reference) @ moment / size)


def vertebral_motion(ctx: Context, level: str, case: str) -> F64:
    """Rotation vector (3,) [rad] of the best-fit rigid motion of what is left of a vertebra, volume-weighted."""
    nodes = ctx.level_nodes(level)
    return ctx.response.rotation(case, nodes, ctx.nodal_volume[nodes])


def relative_rotation(ctx: Context, motion: Mapping[str, F64], upper: str, lower: str) -> F64:
    """Rotation (3,) [rad] of a vertebra relative to a lower one, in the anatomical axes of the lower one."""
    return np.asarray(ctx.segment.vertebrae[lower].frame.axes.T @ ctx.response.relative(motion[upper], motion[lower]))


def rom(ctx: Context, case: str) -> Iterator[Row]:
    """ROM of the whole segment and of each level, signed components in the lower vertebra's anatomical frame."""
    moment, rotation = work_rotation(ctx, case)
    if moment:
        yield from moment_rotation_curve(ctx, case, moment)
        yield Row(case, "rom", "whole", to_surface("_deg", rotation), "deg")
        yield Row(case, "secant_stiffness", "whole", to_surface("_Nm_per_deg", moment / rotation), "Nm/deg")
    motion = {v: vertebral_motion(ctx, v, case) for v in ctx.segment.levels if v not in ctx.resected}
    axis = ctx.cases[case].moments.get(ctx.reference)
    # The loose arch of a resected vertebra is not a level that moves: neighbours are then measured across the gap.
    standing = [level for level in ctx.segment.levels if level not in ctx.resected]
    for upper, lower in zip(standing[:-1], standing[1:], strict=True):
        turn = relative_rotation(ctx, motion, upper, lower)
        for component, value in zip("xyz", turn, strict=True):
            yield Row(case, f"rotation_{component}", f"{upper}-{lower}", to_surface("_deg", float(value)), "deg")
        if axis is not None and np.any(axis):
            main = int(np.argmax(np.abs(axis)))
            value = float(turn[main] * np.sign(axis[main]))
            yield Row(case, "rom_level", f"{upper}-{lower}", to_surface("_deg", value), "deg")
    if axis is not None and np.any(axis):
        for upper, lower in bridged(ctx):
            turn = relative_rotation(ctx, motion, upper, lower)
            main = int(np.argmax(np.abs(axis)))
            value = float(turn[main] * np.sign(axis[main]))
            yield Row(case, "rom_bridged", f"{upper}-{lower}", to_surface("_deg", value), "deg")


def moment_rotation_curve(ctx: Context, case: str, moment: float, *, last: bool = False) -> Iterator[Row]:
    """ROM and secant stiffness at the smaller load factors at which a nonlinear solution is kept, and at the `last`."""
    factors, u = ctx.response.path(case)
    stop = len(factors) if last else -1
    for factor, turn in zip(factors[:stop], turns_about(ctx, case, u)[:stop], strict=True):
        yield Row(case, "rom", "whole", to_surface("_deg", float(turn)), "deg", float(factor))
        secant = to_surface("_Nm_per_deg", factor * moment / float(turn))
        yield Row(case, "secant_stiffness", "whole", secant, "Nm/deg", float(factor))


def turns_about(ctx: Context, case: str, u: F64) -> F64:
    """Rotations (k,) [rad] of the loaded reference point about the axis of the moment in motions (k, n_blocks, 3)."""
    row = ctx.model.mesh.n_points + int(np.searchsorted(ctx.model.rotational_nodes(), ctx.reference))
    moment = ctx.cases[case].moments[ctx.reference]
    return np.asarray(u[:, row] @ moment / np.linalg.norm(moment))


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
    """Stiffness against a force [N/mm]: force over the displacement of the reference point along it.

    Against a follower load: force over the shortening of its path, which does its work.
    """
    load = ctx.cases[case]
    force = load.forces.get(ctx.reference, np.zeros(3))
    if np.any(force):
        size = float(np.linalg.norm(force))
        along = float(ctx.response.shift(case, ctx.reference) @ force / size)
        name = "axial_stiffness" if case.startswith("compression") else "force_stiffness"
    elif load.follower and not load.moments:
        points, guides = ctx.model.mesh.points, ctx.model.guides
        size, name = load.follower, "axial_stiffness"
        along = path_shortening(points, ctx.response.displacement(case), guides, finite=ctx.response.finite)
    else:
        return
    yield Row(case, name, "whole", size / along, "N/mm")
    yield Row(case, "displacement", "whole", along, "mm")


def path_shortening(points: F64, u: F64, guides: Sequence[Guide], *, finite: bool) -> float:
    """Loss of length [mm] of the path through the guides; to first order unless `finite`."""
    path = np.array([g.of(points) for g in guides])
    line = np.diff(path, axis=0)
    length = np.linalg.norm(line, axis=1)
    moved = np.diff(np.array([g.of(u) for g in guides]), axis=0)
    if finite:
        return float((length - np.linalg.norm(line + moved, axis=1)).sum())
    return float(-((line * moved).sum(axis=1) / length).sum())
