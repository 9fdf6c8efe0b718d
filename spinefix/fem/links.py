"""Springs between points, surfaces, and between beams and the solids that hold them.

A link stores energy k (B u)^2 / 2, with one sparse row of B and one stiffness k each. Every row vanishes for a common
rigid motion of what it joins, also across gaps, so no link resists rigid motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from spinefix.errors import ConstraintError
from spinefix.fem.kinematics import cross_matrix, facet_motion
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.locate import Located, locate, project
from spinefix.mesh.quality import volumes
from spinefix.mesh.topology import facet_points


class PointSprings(Protocol):
    """What `spinefix.model.core.PointSprings` offers; data classes live above this layer."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def nodes(self) -> I32: ...  # noqa: D102
    @property
    def stiffness(self) -> F64: ...  # noqa: D102


class SurfaceSprings(Protocol):
    """What `spinefix.model.core.SurfaceSprings` offers."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def facets(self) -> I32: ...  # noqa: D102
    @property
    def onto(self) -> I32: ...  # noqa: D102
    @property
    def stiffness_normal(self) -> float: ...  # noqa: D102
    @property
    def stiffness_tangential(self) -> float: ...  # noqa: D102


class Embedding(Protocol):
    """What `spinefix.model.core.Embedding` offers."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def beams(self) -> I32: ...  # noqa: D102
    @property
    def hosts(self) -> I32: ...  # noqa: D102
    @property
    def radius(self) -> float: ...  # noqa: D102
    @property
    def stiffness_normal(self) -> float: ...  # noqa: D102
    @property
    def stiffness_tangential(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Links:
    """Generalized springs.

    Attributes
    ----------
    name : str
    rows : csr (n_links, n_dof)
        Elongation of each link = rows @ u.
    stiffness : (n_links,) float64 [N/mm]
    """

    name: str
    rows: csr_array
    stiffness: F64

    def forces(self, u: F64) -> F64:
        """Return the force in each link, (n_links,) or (n_links, cases) [N]; positive in tension."""
        elongation = self.rows @ u
        return np.asarray((self.stiffness * elongation.T).T)

    def nodal_forces(self, u: F64) -> F64:
        """Return the forces that nodes must exert on the links, (n_dof,) [N, N mm]."""
        return np.asarray(self.rows.T @ self.forces(u))

    def energy(self, u: F64) -> float:
        """Return the stored energy [N mm] for u (n_dof,)."""
        return float(0.5 * (self.stiffness * (self.rows @ u) ** 2).sum())


@dataclass(frozen=True)
class PointLinks(Links):
    """Springs between nodes; one link each, in the order of `PointSprings.nodes`."""


@dataclass(frozen=True)
class SurfaceLinks(Links):
    """An elastic foundation: three links for each quadrature point, one normal and two tangential.

    Attributes
    ----------
    facet : (p,) int32
        Row of `SurfaceSprings.facets` of each point.
    position, normal : (p, 3) float64 [mm], [1]
        Middle of the gap; from the projected surface towards the one that carries the points.
    area, gap : (p,) float64 [mm^2], [mm]
    skipped : int
        Quadrature points without a facing surface within the greatest gap.
    """

    facet: I32
    position: F64
    normal: F64
    area: F64
    gap: F64
    skipped: int

    def pressure(self, u: F64) -> F64:
        """Return the contact pressure at each point, (p,) [MPa]; negative where the foundation pulls."""
        return np.asarray(-self.forces(u).reshape(len(self.area), 3)[:, 0] / self.area)


def link_stiffness(links: Sequence[Links], n_dof: int) -> csr_array:
    """Return the stiffness matrix of all links, csr (n_dof, n_dof)."""
    total = csr_array((n_dof, n_dof))
    for link in links:
        total = total + link.rows.T @ diags_array(link.stiffness) @ link.rows
    return csr_array(total)


def point_links(mesh: Mesh, springs: PointSprings, n_dof: int) -> PointLinks:
    """Build springs between pairs of nodes along the line that joins them.

    Raises
    ------
    ConstraintError
        Two nodes of a spring coincide, so it has no direction.
    """
    a, b = np.asarray(springs.nodes).T
    axis = mesh.points[b] - mesh.points[a]
    length = np.linalg.norm(axis, axis=1)
    if (length <= 0.0).any():
        i = int(np.argmin(length))
        raise ConstraintError(f"springs {springs.name!r}: nodes {a[i]} and {b[i]} coincide")
    axis = axis / length[:, None]
    blocks = np.column_stack([a, b])
    rows = _rows(blocks, np.stack([-axis, axis], axis=1)[:, :, None, :], n_dof)
    return PointLinks(springs.name, rows, np.array(springs.stiffness, np.float64))


def surface_links(mesh: Mesh, springs: SurfaceSprings, n_dof: int, *, max_gap: float = 5.0) -> SurfaceLinks:
    """Build an elastic foundation between two facing surfaces.

    Quadrature points of `springs.facets` are joined to the closest points of `springs.onto`. Both are carried rigidly
    by their facets to the middle of the gap, where the relative displacement is taken.

    Parameters
    ----------
    max_gap : float [mm]
        Points farther than this from the other surface, and points whose closest facet does not face them, are skipped.

    Raises
    ------
    ConstraintError
        No point has a facing surface.
    """
    p = facet_points(mesh, springs.facets)
    near = project(mesh, springs.onto, p.position)
    keep = np.flatnonzero((near.distance <= max_gap) & (np.einsum("pi,pi->p", p.normal, near.normal) < 0.0))
    if not keep.size:
        raise ConstraintError(
            f"surface springs {springs.name!r}: none of {len(p.area)} points faces the other surface within {max_gap} mm; "
            f"the closest is {near.distance.min():.3g} mm away"
        )
    half = 0.5 * (near.foot - p.position)[keep]
    here = facet_motion(mesh.points, p.nodes[keep], p.weights[keep], p.gradients[keep], half)
    there = facet_motion(mesh.points, near.nodes[keep], near.weights[keep], near.gradients[keep], -half)
    normal = (near.normal - p.normal)[keep]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    axes = _frames(normal)
    blocks = np.concatenate([p.nodes[keep], near.nodes[keep]], axis=1)
    values = np.einsum("pki,pmij->pmkj", axes, np.concatenate([here, -there], axis=1))
    area = p.area[keep]
    k = np.array([springs.stiffness_normal, springs.stiffness_tangential, springs.stiffness_tangential])
    stiffness = (area[:, None] * k).ravel()
    rows = _rows(blocks, values, n_dof)
    return SurfaceLinks(
        springs.name, rows, stiffness, p.facet[keep], p.position[keep] + half, normal, area, near.distance[keep],
        len(p.area) - len(keep),
    )  # fmt: skip


# --- beams in solids ---


@dataclass(frozen=True)
class EmbeddedLinks(Links):
    """A beam held round its circumference: six links for each cross-section.

    Attributes
    ----------
    beam : (g,) int32
        Element id of the beam of each section.
    position, axis : (g, 3) float64 [mm], [1]
        Section centre and beam direction.
    length : (g,) float64 [mm]
        Length of beam that the section stands for.
    fraction : (g,) float64 [1]
        Part of the circumference that lies in a host.
    radius : float [mm]
    modes : (g, 6, 6) float64
        Rows are the links in terms of mean translation [1] and mean rotation times radius [1].
    beams : (k,) int32
        The embedded beam elements.
    embedded_length : (k,) float64 [mm]
        Length of each of them inside hosts, weighted by `fraction`.
    """

    beam: I32
    position: F64
    axis: F64
    length: F64
    fraction: F64
    radius: float
    modes: F64
    beams: I32
    embedded_length: F64

    def section_loads(self, u: F64) -> tuple[F64, F64]:
        """Return force (g, 3) [N] and moment (g, 3) [N mm] that the beam exerts on the host at each section."""
        scaled = -np.einsum("gl,gli->gi", self.forces(u).reshape(-1, 6), self.modes)
        return scaled[:, :3], scaled[:, 3:] * self.radius


def embedded_links(
    mesh: Mesh, rotation_index: I32, embedding: Embedding, n_dof: int, *, around: int = 16
) -> EmbeddedLinks:
    """Join beams to the solids that hold them, over the true circumference; see docs/explanation/screw_coupling.md.

    Parameters
    ----------
    mesh : Mesh
    rotation_index : (n_points,) int32
    embedding : Embedding
    n_dof : int
    around : int
        Points round the circumference.

    Raises
    ------
    ConstraintError
        No point of the circumference lies in a host.
    """
    sections = _sections(mesh, embedding)
    ring = _ring(sections.axis, around) * embedding.radius
    x = (sections.position[:, None] + ring).reshape(-1, 3)
    found = locate(mesh, embedding.hosts, x)
    if not found.found.any():
        raise ConstraintError(
            f"embedding {embedding.name!r}: none of {len(x)} points round the beams lies in one of its "
            f"{len(embedding.hosts)} host elements"
        )
    inside = found.found.reshape(-1, around)
    keep = np.flatnonzero(inside.any(axis=1))
    sections, inside, ring = sections.take(keep), inside[keep], ring[keep]
    r = embedding.radius
    area = sections.length * 2.0 * np.pi * r / around
    w = inside * area[:, None]
    # A gap moves rigidly with the section by R q, q = (translation, rotation x radius).
    R = np.concatenate([np.broadcast_to(np.eye(3), (*ring.shape, 3)), -cross_matrix(ring) / r], axis=-1)
    M = np.einsum("gp,gpia,gpib->gab", w, R, R)
    M_inv = np.linalg.pinv(M, rcond=1e-6, hermitian=True)
    e_r = ring / r
    radial = np.einsum("gp,gpi,gpia->gpa", np.sqrt(w), e_r, R)
    S = embedding.stiffness_tangential * M + (embedding.stiffness_normal - embedding.stiffness_tangential) * np.einsum(
        "gpa,gpb->gab", radial, radial
    )
    onto = np.einsum("gab,gbc->gac", M_inv, M)  # identity, or a projector where a few points cannot turn
    stiffness, vectors = np.linalg.eigh(np.einsum("gba,gbc,gcd->gad", onto, S, onto))
    modes = vectors.transpose(0, 2, 1)
    mean = np.einsum("gla,gab,gp,gpib->gpli", modes, M_inv, w, R, optimize=True)
    rows = _host_rows(found, keep, around, mean, n_dof) - _beam_rows(mesh, rotation_index, sections, modes, onto, r, n_dof)
    fraction = inside.mean(axis=1)
    beams = np.unique(embedding.beams).astype(np.int32)
    held = np.bincount(np.searchsorted(beams, sections.beam), fraction * sections.length, minlength=len(beams))
    return EmbeddedLinks(
        embedding.name, csr_array(rows), np.maximum(stiffness, 0.0).ravel(), sections.beam, sections.position,
        sections.axis, sections.length, fraction, r, modes, beams, held,
    )  # fmt: skip


@dataclass(frozen=True)
class _Sections:
    """Cross-sections along beams: element id, its nodes, local coordinate s in [0, 1], centre, direction, length."""

    beam: I32
    nodes: I32
    s: F64
    position: F64
    axis: F64
    length: F64

    def take(self, keep: I32) -> _Sections:
        return _Sections(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def _sections(mesh: Mesh, embedding: Embedding) -> _Sections:
    """Cut beams into slices no longer than half the radius and no longer than the hosts' typical size."""
    ids = np.unique(np.asarray(embedding.beams, np.int32))
    hosts = np.asarray(embedding.hosts, np.int32)
    if not len(ids) or not len(hosts):
        raise ConstraintError(f"embedding {embedding.name!r} has {len(ids)} beams and {len(hosts)} host elements")
    size = min(0.5 * embedding.radius, float(np.cbrt(np.median(volumes(mesh)[hosts]))))
    conn = np.empty((len(ids), 2), np.int32)
    for block, local, where in mesh.split(ids):
        if len(local) and block.kind != "beam2":
            raise ConstraintError(f"embedding {embedding.name!r}: element {ids[where[0]]} is a {block.kind}, not a beam")
        if len(local):
            conn[where] = block.conn[local]
    a, b = mesh.points[conn[:, 0]], mesh.points[conn[:, 1]]
    L = np.linalg.norm(b - a, axis=1)
    n = np.maximum(np.ceil(L / size - 1e-9), 1).astype(int)
    e = np.repeat(np.arange(len(ids)), n)
    first = np.concatenate([[0], np.cumsum(n)[:-1]])
    s = (np.arange(n.sum()) - first[e] + 0.5) / n[e]
    axis = (b - a) / L[:, None]
    return _Sections(ids[e], conn[e], s, a[e] + s[:, None] * (b - a)[e], axis[e], (L / n)[e])


def _ring(axis: F64, around: int) -> F64:
    """Unit vectors (g, around, 3) across `axis` (g, 3), evenly spaced."""
    frames = _frames(axis)
    angle = 2.0 * np.pi * (np.arange(around) + 0.5) / around
    turn = np.stack([np.cos(angle), np.sin(angle)])
    return np.einsum("gki,kp->gpi", frames[:, 1:], turn)


def _frames(x: F64) -> F64:
    """Right-handed orthonormal frames (p, 3, 3) whose first row is the unit vector `x` (p, 3)."""
    y = np.eye(3)[np.argmin(np.abs(x), axis=1)]
    y = y - np.einsum("pi,pi->p", x, y)[:, None] * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _host_rows(found: Located, keep: I32, around: int, mean: F64, n_dof: int) -> csr_array:
    """Mean motion of the host round each section."""
    nodes = found.nodes.reshape(-1, around, found.nodes.shape[1])[keep]
    weights = found.weights.reshape(-1, around, found.weights.shape[1])[keep]
    values = np.einsum("gpm,gpli->gpmli", weights, mean)
    g, p, m = nodes.shape
    return _rows(nodes.reshape(g, p * m), values.reshape(g, p * m, 6, 3), n_dof)


def _beam_rows(
    mesh: Mesh, rotation_index: I32, sections: _Sections, modes: F64, onto: F64, radius: float, n_dof: int
) -> csr_array:
    """Motion of the beam section: rotation linear along the element, deflection quadratic.

    u = (1 - s) u_0 + s u_1 + L s (1 - s) / 2 (theta_0 - theta_1) x axis is the part of the Timoshenko beam's own
    interpolation that does not depend on its section; it is exact for constant curvature and for rigid motion.

    Source: linked interpolation, Tessler, Dong (1981), Comput Struct 14:361-374.
    """
    s, axis = sections.s, sections.axis
    L = np.linalg.norm(mesh.points[sections.nodes[:, 1]] - mesh.points[sections.nodes[:, 0]], axis=1)
    g = len(s)
    bulge = -cross_matrix(axis) * (L * s * (1.0 - s) / 2.0)[:, None, None]
    eye, zero = np.broadcast_to(np.eye(3), (g, 3, 3)), np.zeros((g, 3, 3))
    n0, n1 = (1.0 - s)[:, None, None], s[:, None, None]
    motion = np.stack(
        [
            np.concatenate([n0 * eye, zero], axis=1),
            np.concatenate([bulge, radius * n0 * eye], axis=1),
            np.concatenate([n1 * eye, zero], axis=1),
            np.concatenate([-bulge, radius * n1 * eye], axis=1),
        ],
        axis=1,
    )
    turn = mesh.n_points + np.asarray(rotation_index)[sections.nodes]
    blocks = np.stack([sections.nodes[:, 0], turn[:, 0], sections.nodes[:, 1], turn[:, 1]], axis=1)
    return _rows(blocks, np.einsum("gla,gab,gmbi->gmli", modes, onto, motion), n_dof)


def _rows(blocks: I32, values: F64, n_dof: int) -> csr_array:
    """Rows of links: for each group (g) of k links, values (g, m, k, 3) at its blocks (g, m); csr (g k, n_dof)."""
    g, m, k, _ = values.shape
    row = (np.arange(g) * k)[:, None, None, None] + np.arange(k)[:, None]
    col = 3 * np.asarray(blocks, np.int64)[:, :, None, None] + np.arange(3)
    keep = values != 0.0
    shape = values.shape
    entries = (values[keep], (np.broadcast_to(row, shape)[keep], np.broadcast_to(col, shape)[keep]))
    return csr_array(coo_array(entries, shape=(g * k, n_dof)))
