"""Intervertebral discs: the endplate section swept from one vertebra to the next, with annulus fibre directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinefix.anatomy.vertebra_section import Section
from spinefix.mesh.core import F64, I32

BULGE = 1.0
"""Outward bulge of the unloaded disc at mid-height [mm]. Assumed; plausible 0-2."""


@dataclass(frozen=True)
class Disc:
    """A swept disc in the numbering of its own layers.

    Parameters
    ----------
    points : (layers + 1, k, 3) float64 [mm]
        Node layers from the lower to the upper endplate; the first and last are the endplates themselves.
    conn : (layers * m, 8) int32
        Hexahedra; node i of layer j is ``j * k + i``.
    ring : (layers * m,) int32
        0 in the nucleus, 1 and up in the annulus rings from the inside.
    """

    points: F64
    conn: I32
    ring: I32


def sweep(section: Section, lower: F64, upper: F64, layers: int, bulge: float = BULGE) -> Disc:
    """Sweep the section from the lower to the upper endplate.

    Parameters
    ----------
    section : Section
    lower, upper : (k, 3) float64 [mm]
        The section's nodes on the two endplates.
    layers : int
        Number of elements over the height.
    bulge : float [mm]
        Outward shift of the outer surface at mid-height; it falls to zero at the nucleus.
    """
    t = np.linspace(0.0, 1.0, layers + 1)[:, None, None]
    points = (1.0 - t) * lower + t * upper
    points = points + 4.0 * t * (1.0 - t) * bulge * _outward(section, (lower + upper) / 2.0)
    points = (points + points[:, section.mirror] * np.array([1.0, -1.0, 1.0])) / 2.0
    # The endplates are shared with the bone, to the last digit.
    points[0], points[-1] = lower, upper
    base = np.hstack([section.quads, section.quads + section.n_nodes])
    conn = np.concatenate([base + j * section.n_nodes for j in range(layers)]).astype(np.int32)
    return Disc(points, conn, np.tile(section.ring, layers).astype(np.int32))


def fibre_directions(disc: Disc, section: Section, ventral: float, dorsal: float) -> F64:
    """Return unit directions (cells, 2, 3) of the two fibre families; zero in the nucleus.

    Both lie in the tangent plane of the ring (its own circumferential and axial mesh directions) and rise at plus and
    minus an angle that changes linearly round the circumference from the ventral to the dorsal midline, without a
    radial trend: Holzapfel GA et al., Biomech Model Mechanobiol 2005;3:125-140 (L1-L2 discs).

    Parameters
    ----------
    disc : Disc
    section : Section
        What it was swept from.
    ventral, dorsal : float [rad]
        Angle to the circumferential direction at the two midlines.
    """
    layers = len(disc.points) - 1
    corners = disc.points.reshape(-1, 3)[disc.conn]
    around = np.tile(_circumferential_edges(section), (layers, 1, 1))
    row = np.arange(len(disc.conn))[:, None]
    edges = [corners[row, around[:, :, 1] + k] - corners[row, around[:, :, 0] + k] for k in (0, 4)]
    c = _unit((edges[0] + edges[1]).sum(axis=1))
    axial = (corners[:, 4:] - corners[:, :4]).sum(axis=1)
    a = _unit(axial - (axial * c).sum(axis=1)[:, None] * c)
    turn = np.abs(np.tile(section.angle, layers)) / np.pi
    angle = (ventral + (dorsal - ventral) * turn)[:, None]
    families = np.stack([np.cos(angle) * c + np.sin(angle) * a, np.cos(angle) * c - np.sin(angle) * a], axis=1)
    families[disc.ring == 0] = 0.0
    return np.asarray(families)


def rings_inside(section: Section) -> I32:
    """Return how many rings lie inside each section node (k,): 0 in the nucleus and on its border, n on the rim."""
    out = np.full(section.n_nodes, section.n_rings, np.int32)
    np.minimum.at(out, section.quads.ravel(), np.repeat(section.ring, 4).astype(np.int32))
    return out


def _outward(section: Section, middle: F64) -> F64:
    """Bulge directions (k, 3): away from the centre in the plane of the disc, growing from the nucleus to the rim."""
    arm = middle - middle[rings_inside(section) == 0].mean(axis=0)
    a, b, c, d = (middle[section.quads[:, i]] for i in range(4))
    normal = _unit(np.cross(c - a, d - b).sum(axis=0))
    arm = arm - np.outer(arm @ normal, normal)
    return np.asarray(_annulus_share(section, middle)[:, None] * _unit(arm))


def _annulus_share(section: Section, middle: F64) -> F64:
    """Position of each node between the border of the nucleus (0) and the rim (1)."""
    loops = _loops(section)
    step = np.linalg.norm(np.diff(middle[loops], axis=0), axis=-1)
    travelled = np.concatenate([np.zeros((1, loops.shape[1])), np.cumsum(step, axis=0)])
    share = np.zeros(section.n_nodes)
    share[loops] = travelled / travelled[-1]
    return share


def _loops(section: Section) -> I32:
    """Node loops (n_rings + 1, c) round the border of the nucleus and outside each ring, from the inside."""
    outer, inner = np.moveaxis(_circumferential_edges(section)[:, :, 0], 1, 0)
    cell = np.flatnonzero(section.ring > 0)
    inward = np.zeros(section.n_nodes, np.int32)
    inward[section.quads[cell, outer[cell]]] = section.quads[cell, inner[cell]]
    loops = [section.boundary]
    for _ in range(section.n_rings):
        loops.append(inward[loops[-1]])
    return np.array(loops[::-1], np.int32)


def _circumferential_edges(section: Section) -> I32:
    """Local corners (m, 2, 2) of the outer and inner edge of each annulus cell, both counterclockwise."""
    outer = rings_inside(section)[section.quads] == section.ring[:, None]
    # Going round a cell counterclockwise, its outer edge runs counterclockwise about the disc.
    start = np.argmax(outer & np.roll(outer, -1, axis=1), axis=1)
    corner = (start[:, None] + np.arange(4)) % 4
    return np.stack([corner[:, [0, 1]], corner[:, [3, 2]]], axis=1).astype(np.int32)


def _unit(v: F64) -> F64:
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.asarray(v / np.where(length > 0.0, length, 1.0))
