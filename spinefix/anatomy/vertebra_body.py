"""Outline, height and node positions of the vertebral body, in the frame centred between the endplate rims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from spinefix.anatomy.vertebra_section import Divisions, build_section, place_section
from spinefix.anatomy.vertebra_shape import ShapeParameters, half_wedge
from spinefix.mesh.core import F64

_OUTLINE = np.array(
    [
        [0.500, 0.000],
        [0.497, 0.090],
        [0.478, 0.200],
        [0.430, 0.300],
        [0.353, 0.372],
        [0.255, 0.430],
        [0.132, 0.473],
        [-0.020, 0.498],
        [-0.130, 0.497],
        [-0.235, 0.468],
        [-0.333, 0.420],
        [-0.420, 0.350],
        [-0.475, 0.260],
        [-0.495, 0.150],
        [-0.500, 0.000],
    ]
)
"""Left half of a lumbar endplate without dorsal concavity: x over depth, y over width, front to back. Drawn by eye."""


@lru_cache(maxsize=1)
def _half_outline() -> tuple[CubicSpline, float]:
    """Spline of the normalised half outline over arc length in [0, 1], and where it is widest."""
    points = _OUTLINE
    for _ in range(4):  # re-parametrise by arc length; width counts 1.3 times the depth
        fine_t = np.linspace(0.0, 1.0, 801)
        step = np.linalg.norm(np.diff(points * [1.0, 1.3], axis=0), axis=1)
        t = np.concatenate([[0.0], np.cumsum(step)])
        spline = CubicSpline(t / t[-1], points, bc_type=((1, [0.0, t[-1] / 1.3]), (1, [0.0, -t[-1] / 1.3])))
        points = spline(fine_t[::20])
    fine = spline(np.linspace(0.0, 1.0, 4001))
    widest = int(np.argmax(fine[:, 1]))
    scale = np.array([1.0, 0.5 / fine[widest, 1]])
    scaled = CubicSpline(fine_t, spline(fine_t) * scale)
    return scaled, widest / 4000.0


@dataclass(frozen=True)
class Body:
    """Geometry of one vertebral body: `points` evaluates it at any position of its O-grid.

    Parameters
    ----------
    dimensions : mapping of str to float [mm]
    shape : ShapeParameters
    edges : (5,) float64
        Outline parameters of the left half: front midline, front corner, widest point, lateral and medial edge of the
        pedicle's root; the back midline is 1.
    heights : (3,) float64
        Height fractions of the lower edge, middle and upper edge of the pedicle's root.
    """

    dimensions: Mapping[str, float]
    shape: ShapeParameters
    edges: F64
    heights: F64

    def outline(self, t: F64, zeta: F64) -> F64:
        """Half outline at parameters t (l, k) of the layers zeta (l,) in [0, 1] from below: (l, k, 2) [mm]."""
        dims, shape = self.dimensions, self.shape
        spline, _ = _half_outline()
        x, y = np.moveaxis(np.asarray(spline(np.clip(t, 0.0, 1.0))), -1, 0)
        width = dims["EPWl"] + (dims["EPWu"] - dims["EPWl"]) * zeta
        depth = dims["EPDl"] + (dims["EPDu"] - dims["EPDl"]) * zeta
        waist = (np.sin(np.pi * np.clip(zeta, 0.0, 1.0)) ** 1.6)[:, None]
        front = np.clip(x + 0.5, 0.0, 1.0) ** 2
        # The dorsal concavity widens the corners and leaves the depth in the midline as it is.
        hollow = shape.posterior_flattening * np.clip(-2.0 * x, 0.0, 1.0) ** 3 * (1.0 - np.cos(np.pi * y / 0.32)) / 2.0
        hollow = np.where(y < 0.32, hollow, shape.posterior_flattening * np.clip(-2.0 * x, 0.0, 1.0) ** 3)
        forward = depth[:, None] * (x - hollow)
        forward -= waist * depth[:, None] * (shape.waist_anterior * front - shape.waist_posterior * (1.0 - front))
        left = width[:, None] * y * (1.0 - shape.waist_lateral * waist)
        mound = self._mound(t, zeta)
        return np.stack(
            [forward - np.cos(shape.pedicle_angle) * mound, left + np.sin(shape.pedicle_angle) * mound], axis=-1
        )

    def _mound(self, t: F64, zeta: F64) -> F64:
        """How far the wall comes towards the pedicle (l, k) [mm], so that the root has a fillet and no sharp edge."""
        low, middle, top = self.heights
        if top <= low:
            return np.zeros_like(t)
        half_girth = 0.78 * (self.dimensions["EPWu"] + self.dimensions["EPDu"])
        beside = half_girth * np.maximum(self.lateral_edge(zeta)[:, None] - t, t - self.edges[4])
        beyond = self.dimensions["VBHp"] * (np.abs(zeta - middle) - 0.5 * (top - low))
        ends = np.clip(np.minimum(zeta, 1.0 - zeta) * self.dimensions["VBHp"] - self.shape.endplate_thickness, 0.0, 1.0)
        height = _fade(beside, 4.0) * (_fade(beyond, 3.5) * ends)[:, None]
        return np.asarray(self.shape.pedicle_fillet * height)

    def rim_height(self, x: F64, top: bool) -> F64:
        """Height of the plane through an endplate's outer edges at x [mm]."""
        slope = np.tan(half_wedge(self.dimensions))
        mean = 0.25 * (self.dimensions["VBHa"] + self.dimensions["VBHp"])
        return np.asarray((mean + slope * x) if top else -(mean + slope * x))

    def between(self, bottom: F64, ceiling: F64, zeta: F64) -> F64:
        """Heights (l, k) at fractions zeta (l,) between two endplates whose layers keep their thickness."""
        plate = self.shape.endplate_thickness
        thin = plate / self.dimensions["VBHp"]
        share = ((zeta - thin) / (1.0 - 2.0 * thin))[:, None]
        return np.asarray(bottom + plate + (ceiling - bottom - 2.0 * plate) * share)

    def lateral_edge(self, zeta: F64) -> F64:
        """Outline parameter of the root's lateral edge in the layers zeta: the root is rounded, not a rectangle."""
        low, middle, top = self.heights
        v = np.clip((zeta - middle) / (0.5 * (top - low)), -1.0, 1.0)
        return np.asarray(self.edges[4] + (self.edges[3] - self.edges[4]) * (1.0 - 0.25 * v**2))

    def patch_parameters(self, u: F64, zeta: F64) -> F64:
        """Outline parameters (l, k) of the pedicle's root from its medial (u = 0) to its lateral edge (u = 1)."""
        return np.asarray(self.edges[4] + (self.lateral_edge(zeta)[:, None] - self.edges[4]) * u)

    def centres(self) -> tuple[F64, F64]:
        """Middle of the upper and of the lower endplate surface (3,) [mm], half-way between front and back."""
        mean = 0.25 * (self.dimensions["VBHa"] + self.dimensions["VBHp"])
        upper, lower = (mean + float(self.relief(np.zeros(()), top)) for top in (True, False))
        return np.array([0.0, 0.0, upper]), np.array([0.0, 0.0, -lower])

    def relief(self, rho: F64, top: bool) -> F64:
        """Height of an endplate above the plane through its outer edges [mm], positive out of the bone.

        From the rounded edge (rho = 1) up to the flat crest of the epiphyseal ring, and inside the ring down to the
        middle (rho = 0). The concavity is counted from the crest, as it is measured.

        Parameters
        ----------
        rho : float64
            Distance from the centre over that of the outline in the same direction [1].
        """
        shape = self.shape
        radius = 0.25 * (self.dimensions["EPWu"] + self.dimensions["EPDu"])
        crest = shape.crest_superior if top else shape.crest_inferior
        depth = shape.concavity_superior if top else shape.concavity_inferior
        slope = np.clip(1.0 - (1.0 - rho) * radius / shape.crest_inset, 0.0, 1.0)
        dish = np.clip(1.0 - (rho / (1.0 - shape.rim_width / radius)) ** 3, 0.0, 1.0)
        return np.asarray(crest * (1.0 - slope**2) - depth * dish**2)

    def wall(self, t: F64, zeta: F64) -> F64:
        """Points (l, k, 3) [mm] of the left outer wall at parameters t (l, k)."""
        xy = self.outline(t, zeta)
        z = self.between(self.rim_height(xy[..., 0], False), self.rim_height(xy[..., 0], True), zeta)
        return np.concatenate([xy, z[..., None]], axis=-1)


def _fade(distance: F64, width: float) -> F64:
    """Fall smoothly from 1 at -width to 0 at +width."""
    x = np.clip(0.5 - 0.5 * distance / width, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def build_body(dimensions: Mapping[str, float], shape: ShapeParameters) -> Body:
    """Place the pedicle's root on the wall of the body, then return the body."""
    _, widest = _half_outline()
    back, plate = dimensions["VBHp"], shape.endplate_thickness
    room = back - 2.0 * plate
    height = min(1.08 * dimensions["PDH"], room - 2.6)
    upper = max(shape.pedicle_drop * (room - height), 1.0)
    top = 1.0 - (plate + upper) / back
    low = top - height / back

    t = np.linspace(widest, 1.0, 2001)
    zeta = np.linspace(low, top, 5)
    probe = Body(dimensions, shape, np.zeros(5), np.zeros(3))
    wall = probe.outline(np.broadcast_to(t, (5, len(t))), zeta)
    # The root's medial edge leaves the canal its width wherever the waist is narrowest.
    medial = int(np.flatnonzero(wall[..., 1].min(axis=0) >= 0.5 * dimensions["SCW"] + 0.4)[-1])
    wall = wall[2]
    across = np.array([np.sin(shape.pedicle_angle), np.cos(shape.pedicle_angle)])
    reach = (wall - wall[medial]) @ across
    wide = np.flatnonzero(reach[:medial] >= 1.07 * dimensions["PDW"])
    foremost = int(np.argmin(np.abs(wall[:, 0] + 0.14 * dimensions["EPDu"])))
    lateral = max(int(wide[-1]) if len(wide) else 0, foremost, 160)
    edges = np.array([0.0, 0.5 * widest, widest, t[lateral], t[medial]])
    return Body(dimensions, shape, edges, np.array([low, 0.5 * (low + top), top]))


def body_points(body: Body, d: Divisions, n: int) -> F64:
    """Return the body's nodes (layers + 1, section nodes, 3) [mm], layers from below."""
    section = build_section(n)
    zeta = _layer_fractions(body, d)
    t = _outline_parameters(body, d, zeta)
    half = body.outline(t, zeta)
    half[:, 0, 1] = half[:, -1, 1] = 0.0
    right = half[:, -2:0:-1] * [1.0, -1.0]
    loop = np.concatenate([half, right], axis=1)
    shape = body.shape
    xy = place_section(d, loop, shape.cortical_thickness, shape.nucleus_area, shape.nucleus_offset)
    xy = 0.5 * (xy + xy[:, section.mirror] * [1.0, -1.0])
    return _with_heights(body, xy, zeta, loop)


def _outline_parameters(body: Body, d: Divisions, zeta: F64) -> F64:
    """Parameters (l, k) of the left half of the outer loop in each layer, front midline to back midline."""
    front, corner, widest, _, medial = body.edges
    lateral = body.lateral_edge(zeta)
    corner, widest = np.full_like(zeta, corner), np.full_like(zeta, widest)
    parts = [
        np.linspace(front, corner, d.pedicle + d.canal + 1, axis=1)[:, :-1],
        np.linspace(corner, widest, d.flank // 2 + 1, axis=1)[:, :-1],
        np.linspace(widest, lateral, d.flank // 2 + 1, axis=1)[:, :-1],
        body.patch_parameters(np.linspace(1.0, 0.0, d.pedicle + 1), zeta)[:, :-1],
        np.linspace(np.full_like(zeta, medial), 1.0, d.canal + 1, axis=1),
    ]
    return np.concatenate(parts, axis=1)


def _layer_fractions(body: Body, d: Divisions) -> F64:
    """Height fractions of the node layers at the dorsal wall, endplate layers included."""
    plate = body.shape.endplate_thickness / body.dimensions["VBHp"]
    low, middle, top = body.heights
    stops = [(plate, low, d.below), (low, middle, d.low), (middle, top, d.high), (top, 1.0 - plate, d.above)]
    inner = [np.linspace(a, b, k + 1)[:-1] for a, b, k in stops]
    return np.concatenate([[0.0], *inner, [1.0 - plate, 1.0]])


def _with_heights(body: Body, xy: F64, zeta: F64, loop: F64) -> F64:
    """Add z: between two concave endplates, the outermost layers of constant thickness."""
    rho = _radial_fraction(xy, loop)
    bottom = body.rim_height(xy[..., 0], False) - body.relief(rho, False)
    ceiling = body.rim_height(xy[..., 0], True) + body.relief(rho, True)
    z = body.between(bottom, ceiling, zeta)
    z[0], z[-1] = bottom[0], ceiling[-1]
    return np.concatenate([xy, z[..., None]], axis=-1)


def _radial_fraction(xy: F64, loop: F64) -> F64:
    """Distance of section nodes from the centre over that of the outline in the same direction, (l, s)."""
    out = np.empty(xy.shape[:2])
    for i, (points, edge) in enumerate(zip(xy, loop, strict=True)):
        centre = np.array([0.5 * (edge[0, 0] + edge[len(edge) // 2, 0]), 0.0])
        arm, rim = points - centre, edge - centre
        angle = np.unwrap(np.arctan2(rim[:, 1], rim[:, 0]))
        radius = np.linalg.norm(rim, axis=1)
        here = np.mod(np.arctan2(arm[:, 1], arm[:, 0]), 2.0 * np.pi)
        limit = PchipInterpolator(
            np.concatenate([angle, [2.0 * np.pi]]), np.concatenate([radius, radius[:1]]), extrapolate=True
        )(here)
        out[i] = np.linalg.norm(arm, axis=1) / limit
    return out
