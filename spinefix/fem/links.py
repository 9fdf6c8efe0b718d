"""Springs between points, surfaces, and between beams and the solids that hold them.

A link stores energy k (B u)^2 / 2, with one sparse row of B and one stiffness k each. Every row vanishes for a common
rigid motion of what it joins, also across gaps, so no link resists rigid motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import bsr_array, coo_array, csr_array, diags_array

from spinefix.errors import ConstraintError
from spinefix.fem.kinematics import cross_matrix, facet_motion
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.locate import locate, project
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


MAX_GAP = 5.0
"""Greatest distance between the facing surfaces of a joint [mm]."""


def surface_links(mesh: Mesh, springs: SurfaceSprings, n_dof: int, *, max_gap: float = MAX_GAP) -> SurfaceLinks:
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
            f"surface springs {springs.name!r}: none of {len(p.area)} points faces the other surface within "
            f"{max_gap} mm; the closest is {near.distance.min():.3g} mm away"
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
        Rows are the links in terms of the gap's translation [1] and its rotation times radius [1].
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


_DISC_TRANSLATION = float(np.exp(0.25))
_DISC_ROTATION = float(2.0 / np.sqrt(3.0))
"""Radius of the evenly loaded disc that gives way like a rigid section of unit radius: translation, rotation."""

_SPREAD = 1.5
"""Part of the second moments of interpolation (of force and of displacement, two in all) that a coarse mesh keeps.

An asymptotic estimate for bilinear elements gives 0.75; 1.5 fits best where elements are as large as the radius.
"""

_LEAST_HOLD = 0.05
"""Sections held by less than this (least second moment of the points in hosts over radius squared) are free."""


def embedded_links(
    mesh: Mesh, rotation_index: I32, embedding: Embedding, n_dof: int, *, around: int = 16
) -> EmbeddedLinks:
    """Join beams to the solids that hold them, over the true circumference; see docs/explanation/screw_coupling.md.

    The beam is cut into slices. In each slice the mean translation and rotation of the host is tied to the section of
    the beam by the springs that the interface has on its circumference there. The mean is taken over discs that make
    the host give way as it would round a rigid section, instead of pinning the host point by point, which a mesh as
    coarse as the shaft answers much too stiffly.

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
        No section is held by a host, or an element is not a beam.
    """
    r = embedding.radius
    sections, rim, near, wide = _held_sections(mesh, embedding, around)
    gap = _host_rows(near, wide, r, n_dof) - _beam_rows(mesh, rotation_index, sections, r, n_dof)
    stiffness, vectors = np.linalg.eigh(_rim_stiffness(rim, sections.length, embedding))
    modes = np.ascontiguousarray(vectors.transpose(0, 2, 1))
    g = len(modes)
    diagonal = bsr_array((modes, np.arange(g), np.arange(g + 1)), shape=(6 * g, 6 * g))
    beams = np.unique(embedding.beams).astype(np.int32)
    held = np.zeros(len(beams))
    np.add.at(held, np.searchsorted(beams, sections.beam), rim.total * sections.length)
    return EmbeddedLinks(
        embedding.name, csr_array(diagonal @ gap), np.maximum(stiffness, 0.0).ravel(), sections.beam,
        sections.position, sections.axis, sections.length, rim.total, r, modes, beams, held,
    )  # fmt: skip


def _held_sections(mesh: Mesh, embedding: Embedding, around: int) -> tuple[_Sections, _Cloud, _Cloud, _Cloud]:
    """Sections in hosts, with the points on their circumference, on their translation and on their rotation disc."""
    r = embedding.radius
    ids, conn = _beam_nodes(mesh, embedding)
    hosts, size = _hosts_near(mesh, embedding.hosts, mesh.points[conn], 2.0 * r)
    sections = _sections(mesh, ids, conn, min(0.5 * r, size))
    n = len(sections.s)
    rim = _Cloud.locate(mesh, hosts, sections, _ring(sections.axis, around) * r, np.full(around, 1.0 / around))
    # Interpolation in the host spreads each force over nodes. The disc shrinks by the second moment of that spread,
    # but not below the shaft: there the mesh is too coarse for the correction to hold.
    spread = _SPREAD * _spread(mesh, rim, sections.axis)
    radius = np.sqrt(np.maximum((_DISC_TRANSLATION * r) ** 2 - spread, r**2))
    near = _Cloud.locate(mesh, hosts, sections, *_disc(sections.axis, radius))
    wide = _Cloud.locate(mesh, hosts, sections, *_disc(sections.axis, np.full(n, _DISC_ROTATION * r)))
    can_turn = np.linalg.eigvalsh(wide.inertia())[:, 0] > _LEAST_HOLD * r**2
    held: I32 = np.flatnonzero((rim.total > 0.0) & (near.total > _LEAST_HOLD) & can_turn).astype(np.int32)
    if not held.size:
        raise ConstraintError(
            f"embedding {embedding.name!r}: none of {n} sections of its beams lies in one of its "
            f"{len(embedding.hosts)} host elements"
        )
    return sections.take(held), rim.take(held), near.take(held), wide.take(held)


def _rim_stiffness(rim: _Cloud, length: F64, embedding: Embedding) -> F64:
    """Stiffness (g, 6, 6) of the interface round each section against a rigid gap (translation, rotation x radius)."""
    r, k_n, k_t = embedding.radius, embedding.stiffness_normal, embedding.stiffness_tangential
    R = np.concatenate([np.broadcast_to(np.eye(3), (*rim.offset.shape, 3)), -cross_matrix(rim.offset) / r], axis=-1)
    radial = np.einsum("gpi,gpia->gpa", rim.offset / r, R)
    area = rim.weights * (length * 2.0 * np.pi * r)[:, None]
    all_directions = np.einsum("gp,gpia,gpib->gab", area, R, R)
    return np.asarray(k_t * all_directions + (k_n - k_t) * np.einsum("gp,gpa,gpb->gab", area, radial, radial))


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


def _beam_nodes(mesh: Mesh, embedding: Embedding) -> tuple[I32, I32]:
    """Ids (k,) and nodes (k, 2) of the embedded beams."""
    ids = np.unique(np.asarray(embedding.beams, np.int32))
    if not len(ids) or not len(embedding.hosts):
        raise ConstraintError(f"embedding {embedding.name!r} has {len(ids)} beams and {len(embedding.hosts)} hosts")
    conn = np.empty((len(ids), 2), np.int32)
    for block, local, where in mesh.split(ids):
        if len(local) and block.kind != "beam2":
            raise ConstraintError(
                f"embedding {embedding.name!r}: element {ids[where[0]]} is a {block.kind}, not a beam"
            )
        if len(local):
            conn[where] = block.conn[local]
    return ids, conn


def _hosts_near(mesh: Mesh, hosts: I32, x: F64, margin: float) -> tuple[I32, float]:
    """Hosts whose bounding box comes within `margin` of that of the points `x`, and their typical size [mm]."""
    low, high = x.reshape(-1, 3).min(axis=0) - margin, x.reshape(-1, 3).max(axis=0) + margin
    ids, sizes = [np.zeros(0, np.int32)], [np.zeros(0)]
    for block, local, where in mesh.split(np.asarray(hosts, np.int32)):
        if len(local):
            corners = mesh.points[block.conn[local]]
            least, most = corners.min(axis=1), corners.max(axis=1)
            near = ((least <= high) & (most >= low)).all(axis=1)
            ids.append(np.asarray(hosts, np.int32)[where[near]])
            sizes.append(np.cbrt((most - least)[near].prod(axis=1)))
    found = np.concatenate(sizes)
    return np.concatenate(ids), float(np.median(found)) if len(found) else np.inf


def _sections(mesh: Mesh, ids: I32, conn: I32, size: float) -> _Sections:
    """Cut beams into slices no longer than `size`; the sections lie in their middles."""
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
    return np.asarray(np.einsum("gki,kp->gpi", frames[:, 1:], turn))


def _frames(x: F64) -> F64:
    """Right-handed orthonormal frames (p, 3, 3) whose first row is the unit vector `x` (p, 3)."""
    y = np.eye(3)[np.argmin(np.abs(x), axis=1)]
    y = y - np.einsum("pi,pi->p", x, y)[:, None] * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=1)


@dataclass(frozen=True)
class _Cloud:
    """Points round the sections of a beam and where they lie in the hosts.

    offset (g, p, 3) from the section centre; weights (g, p), zero outside hosts; nodes and shape (g, p, m).
    """

    offset: F64
    weights: F64
    nodes: I32
    shape: F64

    @classmethod
    def locate(cls, mesh: Mesh, hosts: I32, sections: _Sections, offset: F64, weights: F64) -> _Cloud:
        """Find the hosts of points at `offset` (g, p, 3) whose `weights` (p,) add up to one."""
        g, p, _ = offset.shape
        found = locate(mesh, hosts, (sections.position[:, None] + offset).reshape(-1, 3))
        inside = found.found.reshape(g, p)
        return cls(offset, inside * weights, found.nodes.reshape(g, p, -1), found.weights.reshape(g, p, -1))

    def take(self, keep: I32) -> _Cloud:
        return _Cloud(self.offset[keep], self.weights[keep], self.nodes[keep], self.shape[keep])

    @property
    def total(self) -> F64:
        """Part of the points that lies in hosts, by weight."""
        return np.asarray(self.weights.sum(axis=1))

    @property
    def centre(self) -> F64:
        """Mean position of the points in hosts, relative to the section centre."""
        total = np.maximum(self.total, 1e-300)[:, None]
        return np.asarray(np.einsum("gp,gpi->gi", self.weights, self.offset) / total)

    @property
    def arm(self) -> F64:
        """Position of each point relative to `centre`."""
        return np.asarray(self.offset - self.centre[:, None])

    def inertia(self) -> F64:
        """Second moments about the centre, (g, 3, 3): sum of w (|a|^2 I - a a^T)."""
        A = cross_matrix(self.arm)
        return np.asarray(np.einsum("gp,gpki,gpkj->gij", self.weights, A, A))

    def rows(self, values: F64, n_dof: int) -> csr_array:
        """Rows sum over points of values (g, p, 6, 3) times the displacement of the host at the point."""
        g, p, m = self.nodes.shape
        blocks = np.einsum("gpm,gpli->gpmli", self.shape, values).reshape(g, p * m, 6, 3)
        return _rows(self.nodes.reshape(g, p * m), blocks, n_dof)


def _disc(axis: F64, radius: F64, rings: int = 3, around: int = 12) -> tuple[F64, F64]:
    """Quadrature points (g, p, 3) and weights (p,) of discs of `radius` (g,) across `axis`; Gauss points in rho^2."""
    x, w = np.polynomial.legendre.leggauss(rings)
    rho = np.sqrt((1.0 + x) / 2.0)
    points = rho[:, None, None] * _ring(axis, around)[:, None] * radius[:, None, None, None]
    return points.reshape(len(axis), -1, 3), np.repeat(w / 2.0 / around, around)


def _spread(mesh: Mesh, cloud: _Cloud, axis: F64) -> F64:
    """Mean second moment across `axis` [mm^2], (g,), of the nodal forces that stand for a force at each point."""
    x = np.einsum("gpm,gpmi->gpi", cloud.shape, mesh.points[cloud.nodes])
    away = mesh.points[cloud.nodes] - x[:, :, None]
    away = away - np.einsum("gpmi,gi->gpm", away, axis)[..., None] * axis[:, None, None]
    moment = np.einsum("gpm,gpmi,gpmi->gp", cloud.shape, away, away)
    return np.asarray((cloud.weights * moment).sum(axis=1) / np.maximum(cloud.total, 1e-300))


def _host_rows(near: _Cloud, wide: _Cloud, radius: float, n_dof: int) -> csr_array:
    """Mean translation of the host at each section centre, then its mean rotation times `radius`.

    The rotation is the least-squares fit over the points `wide`, the translation the mean over the points `near`,
    carried to the section centre by that rotation where they do not lie evenly round it.
    """
    turn = radius * np.einsum("gij,gp,gpjk->gpik", np.linalg.inv(wide.inertia()), wide.weights, cross_matrix(wide.arm))
    carried = np.einsum("gij,gpjk->gpik", cross_matrix(near.centre) / radius, turn)
    mean = (near.weights / near.total[:, None])[..., None, None] * np.eye(3)
    by_turn = wide.rows(np.concatenate([carried, turn], axis=2), n_dof)
    return csr_array(by_turn + near.rows(np.concatenate([mean, np.zeros_like(mean)], axis=2), n_dof))


def _beam_rows(mesh: Mesh, rotation_index: I32, sections: _Sections, radius: float, n_dof: int) -> csr_array:
    """Translation and rotation times radius of the beam's sections: rotation linear, deflection quadratic.

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
    return _rows(blocks, motion, n_dof)


def _rows(blocks: I32, values: F64, n_dof: int) -> csr_array:
    """Rows of links: for each group (g) of k links, values (g, m, k, 3) at its blocks (g, m); csr (g k, n_dof)."""
    g, m, k, _ = values.shape
    row = (np.arange(g) * k)[:, None, None, None] + np.arange(k)[:, None]
    col = 3 * np.asarray(blocks, np.int64)[:, :, None, None] + np.arange(3)
    keep = values != 0.0
    shape = values.shape
    entries = (values[keep], (np.broadcast_to(row, shape)[keep], np.broadcast_to(col, shape)[keep]))
    return csr_array(coo_array(entries, shape=(g * k, n_dof)))
