"""Shape of the posterior arch: sections along curved sweeps on the reference lattice, smoothed, with exact dimensions.

The articular pillar is one upward sweep (inferior process, pars, junction, superior process). Pedicle, transverse
process and lamina leave its front, lateral and medial face; the spinous process leaves the back of the lamina. All
positions are of the left half, in the frame centred between the endplate rims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline

from spinefix.anatomy.vertebra_body import Body
from spinefix.anatomy.vertebra_lattice import Lattice, reference_lattice, smooth
from spinefix.anatomy.vertebra_repair import repair
from spinefix.anatomy.vertebra_shape import FacetJoint, ShapeParameters, joint_frame
from spinefix.mesh.core import F64

_PASSES = 40
_PLAIN, _REPAIRED = 4, 3
"""Corrections of the controls, first on the smoothed shape alone, then with repaired elements."""


@dataclass(frozen=True)
class Controls:
    """Control values that are corrected until the smoothed shape has the dimensions asked for [mm]."""

    pedicle_width: float
    pedicle_height: float
    canal_half_width: float
    canal_depth: float
    span: float
    spinous_length: float


@dataclass(frozen=True)
class Plan:
    """Everything the arch is drawn from."""

    dimensions: Mapping[str, float]
    shape: ShapeParameters
    body: Body
    above: FacetJoint
    below: FacetJoint


def build_arch(plan: Plan) -> F64:
    """Return the reference lattice points (P, Q, R, 3) [mm] of the left half, NaN outside the bone."""
    dims = plan.dimensions
    target = Controls(dims["PDW"], dims["PDH"], 0.5 * dims["SCW"], dims["SCD"], 0.5 * dims["TPW"], dims["SPL"])
    controls = target
    points = np.empty(0)
    for step in range(_PLAIN + _REPAIRED):
        points = smooth(_draw(plan, controls), _PASSES)
        if step >= _PLAIN:
            points = repair(points)
        got = measure_arch(points, reference_lattice(), plan)
        controls = replace(controls, **{k: v + getattr(target, k) - getattr(got, k) for k, v in vars(controls).items()})
    return points


def measure_arch(points: F64, lattice: Lattice, plan: Plan) -> Controls:
    """Measure the controlled dimensions on lattice points of any refinement."""
    dims = plan.dimensions
    lateral, _, up = pedicle_axes(plan.shape)
    root = max(dims["EPDu"], dims["EPDl"]) * -0.5
    q = lattice.starts["root"][0]
    isthmus = points[lattice.nodes("column"), q, lattice.nodes("low", "high")]
    medial = points[lattice.starts["column"][0], lattice.nodes("root"), lattice.nodes("low", "high")]
    roof = points[0, lattice.starts["arch"][1], lattice.nodes("shelf", "pars", "low")]
    ridge = points[0, lattice.nodes("spinous"), lattice.nodes("shelf", "pars", "low")]
    corner = np.array([-0.5 * dims["EPDu"], 0.0, 0.5 * dims["VBHp"]])
    return Controls(
        pedicle_width=float(np.ptp(isthmus @ lateral)),
        pedicle_height=float(np.ptp(isthmus @ up)),
        canal_half_width=float(medial[:, :, 1].min()),
        canal_depth=float(root - roof[:, 0].max()),
        span=float(np.nanmax(points[..., 1])),
        spinous_length=float(np.linalg.norm(ridge - corner, axis=-1).max()),
    )


def pedicle_axes(shape: ShapeParameters) -> tuple[F64, F64, F64]:
    """Lateral, forward (along the left pedicle's axis into the body) and upward unit vectors of the pedicle."""
    a, s = shape.pedicle_angle, shape.pedicle_slope
    forward = np.array([np.cos(a) * np.cos(s), -np.sin(a) * np.cos(s), np.sin(s)])
    lateral = np.array([np.sin(a), np.cos(a), 0.0])
    return lateral, forward, np.cross(forward, lateral)


def pedicle_centre(plan: Plan, controls: Controls) -> F64:
    """Centre of the isthmus (3,) [mm]."""
    body, shape = plan.body, plan.shape
    middle = body.heights[1:2]
    patch = body.wall(body.patch_parameters(np.array([0.5]), middle), middle)[0, 0]
    root = -0.5 * max(plan.dimensions["EPDu"], plan.dimensions["EPDl"])
    y = controls.canal_half_width + 0.5 * controls.pedicle_width * np.cos(shape.pedicle_angle)
    # The medial end of a wide, oblique isthmus lies further back than its middle: keep it clear of the facet behind.
    x = root - 0.45 * shape.pedicle_length + 0.35 * controls.pedicle_width * np.sin(shape.pedicle_angle)
    return np.array([x, y, patch[2] - 0.5])


def _draw(plan: Plan, controls: Controls) -> F64:
    """Place all blocks before smoothing."""
    lattice = reference_lattice()
    points = np.full((*lattice.shape, 3), np.nan)
    points[lattice.nodes("column"), lattice.nodes("arch")] = _pillar(plan, controls)
    _sweep_pedicle(points, plan, controls)
    _sweep_lamina(points, plan, controls)
    _sweep_spinous(points, plan, controls)
    _sweep_transverse(points, plan, controls)
    return points


# --- the articular pillar ---


def _unit_grid() -> tuple[F64, F64]:
    """Lattice coordinates of a pillar section in [-1, 1]: u to the lateral side, v forwards."""
    lattice = reference_lattice()
    p, q = lattice.nodes("column"), lattice.nodes("arch")
    u, v = np.meshgrid(np.linspace(-1, 1, p.stop - p.start), np.linspace(-1, 1, q.stop - q.start), indexing="ij")
    return u, v


def rounded(u: F64, v: F64, k: float) -> tuple[F64, F64]:
    """Round the corners of the square [-1, 1]^2: k = 0 keeps it, k = 0.3 is nearly round."""
    return u * (1.0 - k * v**2), v * (1.0 - k * u**2)


def _pillar(plan: Plan, controls: Controls) -> F64:
    """The whole pillar (p, q, r, 3) on the reference lattice."""
    lattice = reference_lattice()
    start = lattice.starts
    u, v = _unit_grid()
    out = np.empty((*u.shape, lattice.shape[2], 3))
    low, foot, mid, tip = start["shelf"][1], start["low"][0], start["high"][0], start["rise"][1]
    for r in range(low + 1):
        out[:, :, r] = _inferior_row(plan, u, v, r / low)
    for r in range(mid, tip + 1):
        out[:, :, r] = _superior_row(plan, controls, u, v, r)
    junction = _junction(plan, controls, float(out[:, :, low, 2].mean()))
    pars = _pars(plan, out[:, :, low], junction)
    grids = np.stack([out[:, :, low], pars, junction, out[:, :, mid]])
    ends = (out[:, :, low] - out[:, :, low - 1], out[:, :, mid + 1] - out[:, :, mid])
    spline = CubicSpline([low, (low + foot) // 2, foot, mid], grids, bc_type=((1, ends[0]), (1, ends[1])))
    out[:, :, low:mid] = np.moveaxis(spline(np.arange(low, mid)), 0, 2)
    return out


def _junction(plan: Plan, controls: Controls, below: float) -> F64:
    """Section of the pillar at the lower border of the pedicle, with room for the pars above the height `below`."""
    shape = plan.shape
    lateral, forward, up = pedicle_axes(shape)
    u, v = rounded(*_unit_grid(), 0.10)
    middle = _junction_centre(plan, controls)
    drop = min(0.52 * controls.pedicle_height, middle[2] - below - shape.pars_length)
    # The pillar narrows and leans to the midline and backwards on its way to the inferior process.
    centre = middle - max(drop, 0.25 * controls.pedicle_height) * up + [-2.5, -2.5, 0.0]
    width, depth = _junction_width(plan, controls), 0.5 * (shape.pillar_depth + shape.pars_thickness)
    return np.asarray(centre + 0.5 * width * u[..., None] * lateral + 0.5 * depth * v[..., None] * forward)


def _junction_centre(plan: Plan, controls: Controls) -> F64:
    """Middle of the pillar behind the pedicle; a pillar narrower than the pedicle stays at its medial side."""
    shape = plan.shape
    lateral, forward, _ = pedicle_axes(shape)
    spare = max(controls.pedicle_width - _junction_width(plan, controls), 0.0)
    behind = 0.55 * shape.pedicle_length + 0.5 * shape.pillar_depth
    behind += 0.35 * controls.pedicle_width * np.sin(shape.pedicle_angle)
    return np.asarray(pedicle_centre(plan, controls) - forward * behind - 0.5 * spare * lateral)


def _junction_width(plan: Plan, controls: Controls) -> float:
    """Width of the pillar behind the pedicle."""
    shape = plan.shape
    return float(np.clip(1.12 * controls.pedicle_width, shape.pars_width, 1.6 * shape.pars_width))


def _pars(plan: Plan, below: F64, above: F64) -> F64:
    """Section of the pars half-way between the inferior process and the junction."""
    shape = plan.shape
    centre = 0.5 * (below.mean(axis=(0, 1)) + above.mean(axis=(0, 1)))
    across = _unit((above[-1] - above[0]).mean(axis=0) + (below[-1] - below[0]).mean(axis=0))
    ahead = _unit(np.cross(across, np.array([0.0, 0.0, 1.0])))
    u, v = rounded(*_unit_grid(), 0.12)
    out = centre + 0.5 * shape.pars_width * u[..., None] * across + 0.5 * shape.pars_thickness * v[..., None] * ahead
    return np.asarray(out)


def _inferior_row(plan: Plan, u: F64, v: F64, t: float) -> F64:
    """Section of the inferior articular process, t from its tip (0) to the upper edge of its facet (1)."""
    joint, shape = plan.below, plan.shape
    end = np.clip(1.0 - t / 0.35, 0.0, 1.0)
    inward = 0.5 * (1.0 - u)  # 0 on the articular side
    depth = (1.15 - 0.3 * t) * shape.articular_thickness * inward * (1.0 - 0.15 * v**2) * (1.0 - 0.3 * end**2)
    arc = 0.5 * joint.width * v * (1.0 - 0.2 * end**2)
    z = joint.height * (-0.62 + 1.12 * t) + 1.2 * end * (u**2 + v**2)
    frame = joint_frame(plan.dimensions, joint, -1)
    return _on_cylinder(joint, arc, -0.5 * joint.space - depth, z) @ frame.axes.T + frame.origin


def _superior_row(plan: Plan, controls: Controls, u: F64, v: F64, row: int) -> F64:
    """Section of the superior articular process in a lattice row, from the pedicle's middle to the tip.

    The medial side is the articular surface. The lateral side leaves the junction behind the pedicle, bulges backwards
    as mammillary process and closes towards the tip.
    """
    joint, shape = plan.above, plan.shape
    start = reference_lattice().starts
    first, shoulder, last = start["high"][0], start["high"][1], start["rise"][1]
    t = (row - first) / (last - first)
    end = np.clip(1.0 - (1.0 - t) / 0.35, 0.0, 1.0)
    frame = joint_frame(plan.dimensions, joint, +1)
    z = joint.height * (-0.5 + 1.15 * t)
    trim = (1.0 - 0.25 * end**2) * np.where(v < 0.0, 1.15 * v, v)
    medial = _on_cylinder(joint, 0.5 * joint.width * trim, np.full_like(v, 0.5 * joint.space), z - 1.0 * end * v**2)
    outward = 0.5 * joint.space + shape.articular_thickness * (1.0 - 0.35 * end**2) * (1.0 - 0.15 * v**2)
    lateral = _on_cylinder(joint, 0.32 * joint.width * trim - 1.0, outward, z - 1.5 * end * (1.0 + v**2))
    medial = medial @ frame.axes.T + frame.origin
    lateral = lateral @ frame.axes.T + frame.origin
    side, ahead, up = pedicle_axes(shape)
    share = min((row - first) / (shoulder - first), 1.0)
    wall = _junction_centre(plan, controls) + 0.48 * controls.pedicle_height * share * up
    wall = wall + 0.5 * _junction_width(plan, controls) * side + 0.45 * shape.pillar_depth * v[..., None] * ahead
    fade = np.clip((row - first) / (1.8 * (shoulder - first)), 0.0, 1.0)
    fade = fade * fade * (3.0 - 2.0 * fade)
    outer = (1.0 - fade) * wall + fade * lateral
    mammillary = np.exp(-(((row - shoulder - 3.0) / 4.5) ** 2)) * (0.5 - 0.5 * v) ** 2
    outer = outer - shape.mammillary_bulge * mammillary[..., None] * ahead
    s = 0.5 * (1.0 + u)[..., None]
    return np.asarray((1.0 - s) * medial + s * outer)


def _on_cylinder(joint: FacetJoint, arc: F64, offset: F64, z: F64) -> F64:
    """Points about the joint cylinder in the joint frame: arc forwards, offset outwards from its surface [mm]."""
    normal = np.array([np.sin(joint.angle), np.cos(joint.angle), 0.0])
    ahead = np.array([np.cos(joint.angle), -np.sin(joint.angle), 0.0])
    centre = np.array([-joint.setback, joint.half_distance, -joint.drop])
    turn, radius = arc / joint.radius, joint.radius + offset
    out = centre - joint.radius * normal
    out = out + (radius * np.cos(turn))[..., None] * normal + (radius * np.sin(turn))[..., None] * ahead
    out[..., 2] += z
    return np.asarray(out)


# --- what leaves the pillar ---


def _sweep_pedicle(points: F64, plan: Plan, controls: Controls) -> None:
    """From the front of the pillar through the isthmus to the wall of the body."""
    lattice = reference_lattice()
    p, r = lattice.nodes("column"), lattice.nodes("low", "high")
    behind, isthmus, wall = lattice.starts["neck"][0], lattice.starts["root"][0], lattice.starts["root"][1]
    lateral, _, up = pedicle_axes(plan.shape)
    n_p, n_r = p.stop - p.start, r.stop - r.start
    u, v = np.meshgrid(np.linspace(-1, 1, n_p), np.linspace(-1, 1, n_r), indexing="ij")
    u, v = rounded(u, v, 0.14)
    waist = pedicle_centre(plan, controls) + 0.5 * controls.pedicle_width * u[..., None] * lateral
    waist = waist + 0.5 * controls.pedicle_height * v[..., None] * up
    h = plan.body.heights
    half = (n_r + 1) // 2
    zeta = np.concatenate([np.linspace(h[0], h[1], half), np.linspace(h[1], h[2], half)[1:]])
    t = plan.body.patch_parameters(np.linspace(0.0, 1.0, n_p), zeta)
    root = np.moveaxis(plan.body.wall(t, zeta), 0, 1)
    grids = np.stack([points[p, behind, r], waist, root])
    spline = CubicSpline([behind, isthmus, wall], grids, bc_type="natural")
    points[p, behind : wall + 1, r] = np.moveaxis(spline(np.arange(behind, wall + 1)), 0, 1)


def _lamina_midline(plan: Plan, controls: Controls) -> F64:
    """Midline section of the lamina (q, r, 3): a leaning plate whose front is the roof of the canal."""
    lattice = reference_lattice()
    dims, shape = plan.dimensions, plan.shape
    q, r = lattice.nodes("arch"), lattice.nodes("shelf", "pars", "low")
    v, w = np.meshgrid(np.linspace(0, 1, q.stop - q.start), np.linspace(0, 1, r.stop - r.start), indexing="ij")
    root = -0.5 * max(dims["EPDu"], dims["EPDl"])
    top = 0.5 * dims["VBHp"] - shape.lamina_top * dims["VBHp"]
    down = shape.lamina_height * (1.0 - w)
    x = root - controls.canal_depth - np.tan(shape.lamina_slope) * down - shape.lamina_thickness * (1.0 - v)
    z = top - down - 0.25 * shape.lamina_thickness * (1.0 - v)
    return np.stack([x, np.zeros_like(x), z], axis=-1)


def _sweep_lamina(points: F64, plan: Plan, controls: Controls) -> None:
    """From the midline, through half the spinous process's thickness, to the medial face of the pillar."""
    lattice = reference_lattice()
    q, r = lattice.nodes("arch"), lattice.nodes("shelf", "pars", "low")
    edge, medial = lattice.starts["lamina"]
    middle = _lamina_midline(plan, controls)
    half = 0.5 * plan.shape.spinous_thickness
    left = np.array([0.0, 1.0, 0.0])
    for p in range(edge + 1):
        points[p, q, r] = middle + half * p / edge * left
    face, behind = points[medial, q, r], points[medial + 1, q, r]
    start = middle + half * left
    span = np.linalg.norm(face - start, axis=-1, keepdims=True)
    chord = _unit(face - start)
    lead_in = 0.8 * _unit(left + [0.25, 0.0, 0.0]) * span
    lead_out = 0.7 * _unit(_unit(behind - face) + chord) * span
    for p in range(edge + 1, medial):
        points[p, q, r] = _hermite(start, face, lead_in, lead_out, (p - edge) / (medial - edge))


def _sweep_spinous(points: F64, plan: Plan, controls: Controls) -> None:
    """From the back of the lamina's midline part to the tip."""
    lattice = reference_lattice()
    dims, shape = plan.dimensions, plan.shape
    p, r = lattice.nodes("base"), lattice.nodes("shelf", "pars", "low")
    tip, base = lattice.starts["spinous"]
    root = points[p, base, r]
    u, v = np.meshgrid(np.linspace(0, 1, root.shape[0]), np.linspace(-1, 1, root.shape[1]), indexing="ij")
    corner = np.array([-0.5 * dims["EPDu"], 0.0, 0.5 * dims["VBHp"]])
    a = shape.spinous_angle
    reach = corner + controls.spinous_length * np.array([-np.cos(a), 0.0, -np.sin(a)])
    end = np.zeros((*u.shape, 3))
    end[..., 0] = reach[0] + 2.5 * (v + 0.2) ** 2 + 0.8 * u**2
    end[..., 1] = 0.5 * shape.spinous_tip_thickness * u * (1.0 - 0.2 * v**2)
    end[..., 2] = reach[2] + 0.5 * shape.spinous_height * (v + 0.75)
    middle = 0.5 * (root + end)
    middle[..., 1] = 0.42 * shape.spinous_thickness * u * (1.0 - 0.25 * v**2)
    squeeze = middle[..., 2].mean()
    middle[..., 2] = squeeze + 0.97 * (middle[..., 2] - squeeze)
    spline = CubicSpline([tip, 0.5 * (tip + base), base], np.stack([end, middle, root]), bc_type="natural")
    points[p, tip : base + 1, r] = np.moveaxis(spline(np.arange(tip, base + 1)), 0, 1)


def _sweep_transverse(points: F64, plan: Plan, controls: Controls) -> None:
    """From the lateral face of the pillar to the tip."""
    lattice = reference_lattice()
    dims, shape = plan.dimensions, plan.shape
    q, r = lattice.nodes("arch"), lattice.nodes("low", "high")
    first, last = lattice.starts["transverse"]
    face = points[first, q, r]
    v, w = np.meshgrid(np.linspace(-1, 1, face.shape[0]), np.linspace(-1, 1, face.shape[1]), indexing="ij")
    v, w = rounded(v, w, 0.15)
    root = -0.5 * max(dims["EPDu"], dims["EPDl"])
    middle = face.mean(axis=(0, 1))
    height = pedicle_centre(plan, controls)[2]
    tip = np.array([root - shape.transverse_sweep, controls.span, height + shape.transverse_rise])
    along = _unit(tip - middle)
    ahead = _unit(np.cross(along, np.array([0.0, 0.0, 1.0])))
    up = np.cross(ahead, along)
    stations, at = [face], [float(first)]
    for t, size in ((0.35, 1.2), (0.7, 1.0), (1.0, 0.9)):
        centre = middle + t * (tip - middle) + (1.0 - t) * np.array([shape.transverse_lead, 0.0, 0.0])
        grid = centre + 0.5 * size * shape.transverse_thickness * v[..., None] * ahead
        grid = grid + 0.5 * size * shape.transverse_height * w[..., None] * up
        if t == 1.0:
            grid = grid - 1.5 * (v**2 + w**2)[..., None] * along
        stations.append(grid)
        at.append(first + t * (last - first))
    outwards = _unit(points[first, q, r] - points[first - 1, q, r])
    lead = outwards * float(np.linalg.norm(tip - middle)) / (last - first)
    spline = CubicSpline(at, np.stack(stations), bc_type=((1, lead), (2, np.zeros_like(lead))))
    points[first : last + 1, q, r] = spline(np.arange(first, last + 1))


def _hermite(a: F64, b: F64, da: F64, db: F64, t: float) -> F64:
    """Cubic Hermite interpolation at t in [0, 1]."""
    s = 1.0 - t
    return np.asarray(a * s * s * (1 + 2 * t) + b * t * t * (3 - 2 * t) + da * t * s * s - db * t * t * s)


def _unit(v: F64) -> F64:
    """Vectors (..., 3) at unit length."""
    return np.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True))
