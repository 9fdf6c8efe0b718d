"""Contact surfaces: points on one side, their closest points on the other, and derivatives of the gap between them.

The slave side is a set of quadrature points, the master side a set of facets taken by their corner nodes. The gap is
the signed distance along the normal of the master facet, positive where the surfaces are apart. It does not change
under rigid motion, so forces derived from it balance in force and moment whatever the meshes are.

Where facets meet at an angle, the direction of the force jumps, and where a point rests in the valley between two there
is no equilibrium that Newton's method could find. Parts of a master surface that are known to be smooth, such as
articular surfaces, can be taken as quadratic patches instead (`smooth`): the fit is linear in the positions of their
nodes, so a patch moves and deforms with them.

Source of the second derivative: Wriggers P (2006), Computational Contact Mechanics, 2nd ed., Springer, section 4.1;
Laursen TA (2002), Computational Contact and Impact Mechanics, Springer, chapter 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack
from scipy.spatial import cKDTree

from spinefix.errors import ConvergenceError, UsageError
from spinefix.jit import kernel
from spinefix.mesh.core import F64, I32, Bool, Mesh
from spinefix.mesh.elements import FACET_ELEMENTS, gradient, shape
from spinefix.mesh.locate import closest_facets, facet_functions
from spinefix.mesh.quality import volumes
from spinefix.mesh.topology import facet_areas, facet_corners

_TWIST = 0.25 * np.array([1.0, -1.0, 1.0, -1.0])
"""Mixed second derivative of the shape functions of a quadrilateral."""

_SIDEWAYS = 0.5
"""Facets that a patch is fitted to look at the slave side: cosine of the angle between normals, signs apart."""

_SLACK = 1e-6
"""How far beyond an outer edge of the master surface a foot may lie, in facet coordinates."""

_MARGIN = 0.02
"""How far beyond an edge a foot may lie before it leaves its facet, in facet coordinates."""


@dataclass(frozen=True)
class Surfaces:
    """Two surfaces that may touch; see `surfaces`.

    Attributes
    ----------
    points : (n, 3) float64 [mm]
        All nodes at rest.
    nodes, weights, gradients : (q, 4) int32, (q, 4), (q, 4, 2) float64
        Slave quadrature points: corner nodes of their facet, shape functions and derivatives.
    area : (q,) float64 [mm^2]
        At rest.
    size : (q,) float64 [mm]
        Volume over facet area of the slave element: its height below the surface.
    facet : (q,) int32
        Row in the slave facet table.
    corners : (f, 4) int32
        Master facets; triangles repeat their last node.
    outer : (f, 4) bool
        Edges (from corner i to the next) where the master surface ends.
    carry : csr (c, n) or None
        Coefficients of patches as sums of positions of nodes; `corners` (f, 6) then count on from the nodes.
    patch : (q,) int32 or None
        Row of `corners` that a slave point faces, whatever its distance.
    """

    points: F64
    nodes: I32
    weights: F64
    gradients: F64
    area: F64
    size: F64
    facet: I32
    corners: I32
    outer: Bool
    carry: csr_array | None = None
    patch: I32 | None = None

    def __len__(self) -> int:
        return len(self.area)

    @property
    def triangular(self) -> Bool:
        """Which master facets are triangles (f,)."""
        return np.asarray(self.corners[:, 2] == self.corners[:, 3])

    def at(self, u: F64) -> F64:
        """Return positions of nodes and coefficients of patches (n + c, 3) [mm] at displacements u (n, 3) [mm]."""
        x = self.points + u
        return x if self.carry is None else np.concatenate([x, self.carry @ x])

    def place(self, x: F64) -> tuple[F64, F64]:
        """Return position and area vector per unit area at rest (q, 3) of the slave points for nodes at x (n, 3)."""
        own = x[self.nodes]
        t = np.einsum("qma,qmi->qai", self.gradients, own)
        rest = np.einsum("qma,qmi->qai", self.gradients, self.points[self.nodes])
        scale = np.linalg.norm(np.cross(rest[:, 0], rest[:, 1]), axis=1)
        return np.einsum("qm,qmi->qi", self.weights, own), np.cross(t[:, 0], t[:, 1]) / scale[:, None]


def surfaces(mesh: Mesh, slave: I32, master: I32, *, per_side: int = 4) -> Surfaces:
    """Prepare two surfaces for contact.

    Parameters
    ----------
    mesh : Mesh
    slave, master : (k, 2) int32
        Facets, element id and local facet. The finer or softer side should be the slave.
    per_side : int
        Gauss points along each side of slave quadrilaterals; triangles carry three points up to two, else six. Two
        pass a uniform pressure exactly where the meshes match. Where they do not, the error falls with the number of
        points: with four, the mean pressure of facets is wrong by about 1.5 % if the slave side is the finer one, up
        to 4 % if the coarser.

    Raises
    ------
    UsageError
        A side has no facets, or both share nodes.
    """
    own, corners = facet_corners(mesh, slave), facet_corners(mesh, master)
    if not len(own) or not len(corners):
        raise UsageError("both sides of a contact need facets")
    if np.intersect1d(own, corners).size:
        raise UsageError("the two sides of a contact share nodes")
    parts = []
    triangle = own[:, 2] == own[:, 3]
    for kind, rows in (("quad4", np.flatnonzero(~triangle)), ("tri3", np.flatnonzero(triangle))):
        m = 3 if kind == "tri3" else 4
        xi, w = _rule(kind, per_side)
        N, dN = np.zeros((len(xi), 4)), np.zeros((len(xi), 4, 2))
        N[:, :m], dN[:, :m] = shape(kind, xi), gradient(kind, xi)
        t = np.einsum("qma,kmi->kqai", dN, mesh.points[own[rows]])
        area = np.linalg.norm(np.cross(t[:, :, 0], t[:, :, 1]), axis=2) * w
        k = len(rows)
        parts.append((np.repeat(rows, len(xi)), np.tile(N, (k, 1)), np.tile(dN, (k, 1, 1)), area.ravel()))
    facet, weights, gradients, area = (np.concatenate(p) for p in zip(*parts, strict=True))
    height = volumes(mesh)[np.asarray(slave)[:, 0]] / facet_areas(mesh, slave)
    return Surfaces(
        mesh.points, own[facet], weights, gradients, area, height[facet], facet.astype(np.int32), corners,
        _outer_edges(corners),
    )  # fmt: skip


def smooth(mesh: Mesh, sides: Sequence[tuple[I32, I32]], *, per_side: int = 2) -> Surfaces:
    """Prepare pairs of surfaces whose master sides are smooth: each is a quadratic patch, for its own slave side.

    Parameters
    ----------
    mesh : Mesh
    sides : sequence of ((k, 2) int32, (k, 2) int32)
        Slave and master facets of each pair. Master facets that look aside do not count.
    per_side : int
        See `surfaces`.

    Raises
    ------
    UsageError
        As `surfaces`.
    """
    parts = [surfaces(mesh, slave, master, per_side=per_side) for slave, master in sides]
    fits = [_fitted(part) for part in parts]
    first = np.cumsum([0, *(part.facet.max() + 1 for part in parts)])
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("nodes", "weights", "gradients", "area", "size")
    }
    return Surfaces(
        points=mesh.points,
        facet=np.concatenate([part.facet + start for part, start in zip(parts, first[:-1], strict=True)]).astype(
            np.int32
        ),
        corners=(mesh.n_points + np.arange(6 * len(parts), dtype=np.int32)).reshape(-1, 6),
        outer=np.ones((len(parts), 4), bool),
        carry=csr_array(vstack(fits)),
        patch=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
        **joined,
    )


def _fitted(surf: Surfaces) -> csr_array:
    """Fit a patch to the master side: coefficients of 1, s, t, s^2, s t, t^2 as sums (6, n) of positions of nodes.

    The axes s and t lie in the mean plane, along the principal directions; the nodes lie between -1 and 1. Nodes count
    by the area around them. With fewer than eight nodes the patch is plane.
    """
    x = surf.points[surf.corners]
    vector = 0.5 * np.cross(x[:, 2] - x[:, 0], x[:, 3] - x[:, 1])
    area = np.linalg.norm(vector, axis=1)
    towards = -(surf.area @ surf.place(surf.points)[1])
    looks = vector @ towards > _SIDEWAYS * area * np.linalg.norm(towards)
    chosen = looks if looks.any() else np.ones(len(area), bool)
    weight = np.zeros(len(surf.points))
    np.add.at(weight, surf.corners[chosen], 0.25 * area[chosen, None])
    nodes = np.flatnonzero(weight)
    w, own = weight[nodes], surf.points[nodes]
    own = own - w @ own / w.sum()
    normal = vector[chosen].sum(axis=0) / np.linalg.norm(vector[chosen].sum(axis=0))
    flat = own - (own @ normal)[:, None] * normal
    _, _, axes = np.linalg.svd(np.sqrt(w)[:, None] * flat)
    first = axes[0]
    st = flat @ np.stack([first, np.cross(normal, first)], axis=1)
    low, high = st.min(axis=0), st.max(axis=0)
    st = (2.0 * st - low - high) / (high - low)
    terms = _monomials(st)[0][:, : 6 if len(nodes) >= 8 else 3]
    fit = np.zeros((6, len(nodes)))
    fit[: terms.shape[1]] = np.linalg.pinv(np.sqrt(w)[:, None] * terms) * np.sqrt(w)
    rows = np.repeat(np.arange(6), len(nodes))
    return csr_array((fit.ravel(), (rows, np.tile(nodes, 6))), shape=(6, len(surf.points)))


def _monomials(st: F64) -> tuple[F64, F64, F64]:
    """Terms of a quadratic patch (p, 6), their first (p, 6, 2) and second derivatives (p, 6, 2, 2)."""
    s, t = st.T
    one, none = np.ones_like(s), np.zeros_like(s)
    first = np.stack([[none, none], [one, none], [none, one], [2.0 * s, none], [t, s], [none, 2.0 * t]])
    second = np.zeros((len(s), 6, 2, 2))
    second[:, 3, 0, 0] = second[:, 5, 1, 1] = 2.0
    second[:, 4, 0, 1] = second[:, 4, 1, 0] = 1.0
    return np.stack([one, s, t, s * s, s * t, t * t], axis=1), first.transpose(2, 0, 1), second


def master_functions(corners: I32, uv: F64) -> tuple[F64, F64, F64]:
    """Shape functions of facets (p, 4) or patches (p, 6), their first (.., 2) and second derivatives (.., 2, 2)."""
    if corners.shape[1] == 6:
        return _monomials(uv)
    N, dN = facet_functions(corners, uv)
    mixed = _TWIST * (corners[:, 2] != corners[:, 3])[:, None]
    return N, dN, mixed[:, :, None, None] * np.array([[0.0, 1.0], [1.0, 0.0]])


def _rule(kind: str, per_side: int) -> tuple[F64, F64]:
    """Quadrature points and weights of a facet."""
    if kind == "tri3":
        element = FACET_ELEMENTS["tri3" if per_side < 3 else "tri6"]
        return element.points, element.weights
    x, w = np.polynomial.legendre.leggauss(per_side)
    return np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2), np.outer(w, w).ravel()


def _outer_edges(corners: I32) -> Bool:
    """Edges (f, 4) that belong to one facet only; the edge of no length of a triangle does not count."""
    edges = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2)
    edges[corners[:, 2] == corners[:, 3], 3, 0] = corners[corners[:, 2] == corners[:, 3], 2]
    keys = np.sort(edges.reshape(-1, 2), axis=1)
    _, inverse, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    single = (count[inverse.ravel()] == 1).reshape(-1, 4) & (edges[:, :, 0] != edges[:, :, 1])
    return np.asarray(single)


@dataclass(frozen=True)
class Pairs:
    """Slave points that face a master facet, and the gap between them.

    Attributes
    ----------
    point : (p,) int32
        Number of the slave point.
    facet : (p,) int32
        Master facet.
    uv : (p, 2) float64
        Facet coordinates of the foot.
    nodes : (p, m) int32
        Corners of the slave facet, then of the master facet or coefficients of its patch; m is 8 or 10.
    weights : (p, m) float64
        What multiplies positions of `nodes` in (slave point - foot).
    slopes : (p, m, 2) float64
        Derivatives of the foot with respect to `uv`, by node.
    tangents : (p, 2, 3) float64 [mm]
        Of the master facet at the foot.
    normal : (p, 3) float64
        Of the master facet, outward.
    gap : (p,) float64 [mm]
    curvature : (p, 2, 2) float64 [mm]
        Normal component of the second derivatives of the master facet.
    share : (p,) float64 [1]
        Part of the slave point that counts: 1, less beyond the border of a master surface that fades.
    fading : (p, 2) float64 [1]
        Derivatives of `share` with respect to `uv`.
    bend : (p, 2, 2) float64 [1]
        Second derivatives.
    """

    point: I32
    facet: I32
    uv: F64
    nodes: I32
    weights: F64
    slopes: F64
    tangents: F64
    normal: F64
    gap: F64
    curvature: F64
    share: F64
    fading: F64
    bend: F64

    def __len__(self) -> int:
        return len(self.gap)

    def take(self, rows: I32 | Bool) -> Pairs:
        """Return some of the pairs."""
        return Pairs(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def gradient(self) -> F64:
        """Return the derivative of the gap with respect to the nodes, (p, m, 3)."""
        return np.asarray(self.weights[:, :, None] * self.normal[:, None, :])

    @property
    def fades(self) -> Bool:
        """Which pairs lie beyond the border (p,)."""
        return np.asarray(self.fading.any(axis=1) | self.bend.any(axis=(1, 2)))

    def share_gradient(self) -> F64:
        """Return the derivative of `share` with respect to the nodes, (p, 3 m) [1/mm]."""
        return np.asarray(np.einsum("pa,pad->pd", self.fading, self.foot_gradient()))

    def share_hessian(self) -> F64:
        """Return the second derivative of `share`, (p, 3 m, 3 m) [1/mm^2], but for that of the foot's coordinates."""
        foot = self.foot_gradient()
        return np.asarray(np.einsum("pad,pab,pbe->pde", foot, self.bend, foot))

    def _metric(self) -> F64:
        return np.asarray(np.einsum("pai,pbi->pab", self.tangents, self.tangents))

    def foot_gradient(self) -> F64:
        """Return the derivative of `uv` with respect to the nodes, (p, 2, 3 m) [1/mm]."""
        metric = self._metric() - self.gap[:, None, None] * self.curvature
        force = np.einsum("pm,pai->pami", self.weights, self.tangents)
        force += np.einsum("p,pi,pma->pami", self.gap, self.normal, self.slopes)
        try:
            return np.asarray(np.linalg.solve(metric, force.reshape(len(self), 2, 3 * self.nodes.shape[1])))
        except np.linalg.LinAlgError as error:
            raise ConvergenceError("a contact point lies at the centre of curvature of its master facet") from error

    def hessian(self) -> F64:
        """Return the second derivative of the gap, (p, 3 m, 3 m) [1/mm]."""
        X = self.foot_gradient()
        L = np.einsum("pi,pma->pami", self.normal, self.slopes).reshape(X.shape)
        k = L + self.curvature @ X
        half = -L.transpose(0, 2, 1) @ X
        H = half + half.transpose(0, 2, 1)
        H -= X.transpose(0, 2, 1) @ self.curvature @ X
        H += self.gap[:, None, None] * (k.transpose(0, 2, 1) @ np.linalg.solve(self._metric(), k))
        return np.asarray(H)


def find_pairs(surf: Surfaces, u: F64, reach: F64, known: I32 | None = None, fade: float = 0.0) -> Pairs:
    """Find the feet of all slave points at displacements u (n, 3) [mm].

    Points farther than `reach` (q,) [mm] from the master surface, beside it, or facing the same way as it have none.

    Parameters
    ----------
    fade : float [1]
        Beyond its border the master surface goes on and fades to nothing over this part of half a facet.
    known : (q,) int32, optional
        Facets that held the feet before, -1 for none. A foot leaves its facet only when it lies beyond by a margin,
        so that feet near an edge do not jump to and fro between iterations. All other points search.
    """
    x = surf.at(u)
    position, area = surf.place(x)
    facet, uv = _feet(surf, x, position, reach, known) if surf.patch is None else _feet_on_patches(surf, x, position)
    rows = np.flatnonzero(facet >= 0).astype(np.int32)
    inside = ~(_beyond(surf.corners[facet[rows]], uv[rows], max(fade, _SLACK)) & surf.outer[facet[rows]]).any(axis=1)
    rows = rows[inside]
    pairs = _pairs(surf, x, position, rows, facet[rows], uv[rows], fade)
    facing = np.einsum("pi,pi->p", pairs.normal, area[pairs.point]) < 0.0
    return pairs.take(facing & (np.abs(pairs.gap) <= reach[pairs.point]))


def _feet_on_patches(surf: Surfaces, x: F64, position: F64) -> tuple[I32, F64]:
    """Patch and coordinates of the foot of each slave point."""
    patch = surf.patch if surf.patch is not None else np.zeros(0, np.int32)
    corners = surf.corners[patch]
    return patch, _foot(x[corners], corners, position, np.zeros((len(surf), 2)))


def _feet(surf: Surfaces, x: F64, position: F64, reach: F64, known: I32 | None) -> tuple[I32, F64]:
    """Facet, -1 for none, and coordinates of the foot of each slave point."""
    x.flags.writeable = False  # as the points of a mesh are: the same compiled projection serves both
    facet, uv = np.full(len(surf), -1, np.int32), np.zeros((len(surf), 2))
    if known is not None:
        rows = np.flatnonzero(known >= 0).astype(np.int32)
        mine = known[rows]
        middle = np.where(surf.triangular[mine, None], 1.0 / 3.0, np.zeros(2))
        own = _foot(x[surf.corners[mine]], surf.corners[mine], position[rows], middle)
        stays = ~_beyond(surf.corners[mine], own, _MARGIN).any(axis=1)
        facet[rows[stays]], uv[rows[stays]] = mine[stays], own[stays]
    rows = _near(surf, x, position, reach, np.flatnonzero(facet < 0).astype(np.int32))
    if len(rows):
        facet[rows], uv[rows], _ = closest_facets(x, surf.corners, np.ascontiguousarray(position[rows]))
        corners = surf.corners[facet[rows]]
        held = rows[_at_edge(corners, uv[rows])]
        corners = surf.corners[facet[held]]
        uv[held] = _foot(x[corners], corners, position[held], uv[held])
    return facet, uv


def pairs_on(surf: Surfaces, u: F64, point: I32, facet: I32) -> Pairs:
    """Return the pairs of slave points (p,) with given master facets (p,) at displacements u (n, 3) [mm].

    The facets go on beyond their borders, so feet move smoothly, and no pair is lost.
    """
    x = surf.points + u
    position, _ = surf.place(x)
    corners = surf.corners[facet]
    middle = np.where(surf.triangular[facet, None], 1.0 / 3.0, np.zeros(2))
    return _pairs(surf, x, position, point, facet, _foot(x[corners], corners, position[point], middle), 0.0)


def _near(surf: Surfaces, x: F64, position: F64, reach: F64, rows: I32) -> I32:
    """Those of the points that may be within reach of a facet."""
    if not len(rows):
        return rows
    centre = x[surf.corners].mean(axis=1)
    radius = float(np.linalg.norm(x[surf.corners] - centre[:, None], axis=2).max())
    distance, _ = cKDTree(centre).query(position[rows], distance_upper_bound=radius + float(reach.max()))
    return np.asarray(rows[np.isfinite(distance)])


def _pairs(surf: Surfaces, x: F64, position: F64, point: I32, facet: I32, uv: F64, fade: float) -> Pairs:
    corners = surf.corners[facet]
    N, dN, ddN = master_functions(corners, uv)
    own = x[corners]
    tangents = np.einsum("pma,pmi->pai", dN, own)
    normal = np.cross(tangents[:, 0], tangents[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    gap = np.einsum("pi,pi->p", normal, position[point] - np.einsum("pm,pmi->pi", N, own))
    share, fading, bend = _faded(corners, uv, surf.outer[facet], fade)
    return Pairs(
        point=point.astype(np.int32),
        facet=facet,
        uv=uv,
        nodes=np.hstack([surf.nodes[point], corners]),
        weights=np.hstack([surf.weights[point], -N]),
        slopes=np.concatenate([np.zeros((len(point), 4, 2)), dN], axis=1),
        tangents=tangents,
        normal=normal,
        gap=gap,
        curvature=np.einsum("pi,pmi,pmab->pab", normal, own, ddN),
        share=share,
        fading=fading,
        bend=bend,
    )


def _faded(corners: I32, uv: F64, outer: Bool, fade: float) -> tuple[F64, F64, F64]:
    """Share (p,) of each foot with first (p, 2) and second derivatives (p, 2, 2).

    Its factors are smooth steps from 1 at each outer edge to 0 at `fade`.
    """
    share, slope, bend = np.ones(len(uv)), np.zeros((len(uv), 2)), np.zeros((len(uv), 2, 2))
    if not fade:
        return share, slope, bend
    beyond, ways = _distances(corners, uv)
    t = np.where(outer, np.clip(beyond / fade, 0.0, 1.0), 0.0)
    for edge in range(4):
        s, way = t[:, edge], ways[:, edge]
        step = (1.0 - s) ** 2 * (1.0 + 2.0 * s)
        first = (-6.0 * s * (1.0 - s) / fade)[:, None] * way
        second = np.where((0.0 < s) & (s < 1.0), (12.0 * s - 6.0) / fade**2, 0.0)
        cross = slope[:, :, None] * first[:, None, :]
        bend = bend * step[:, None, None] + cross + cross.transpose(0, 2, 1)
        bend += (share * second)[:, None, None] * way[:, :, None] * way[:, None, :]
        slope = slope * step[:, None] + share[:, None] * first
        share = share * step
    return share, slope, bend


def _at_edge(corners: I32, uv: F64) -> Bool:
    """Which feet were held at an edge of their facet."""
    return np.asarray(_beyond(corners, uv, -1e-12).any(axis=1))


def _foot(own: F64, corners: I32, target: F64, uv: F64) -> F64:
    """Solve for the feet of `target` (p, 3) on facets continued beyond their edges, by Newton's method from `uv`.

    The distance to the continued facet is smooth. Distances to edges are not, and would need another tangent.
    """
    out = uv.copy()
    if corners.shape[1] == 4:
        feet_on_planes(np.ascontiguousarray(own), corners[:, 2] == corners[:, 3], np.ascontiguousarray(target), out)
        return out
    for _ in range(12):
        N, dN, ddN = master_functions(corners, out)
        r = target - np.einsum("pm,pmi->pi", N, own)
        t = np.einsum("pma,pmi->pai", dN, own)
        metric = np.einsum("pai,pbi->pab", t, t)
        bends = np.einsum("pi,pmi,pmab->pab", r, own, ddN)
        # Newton's matrix only where it stays well conditioned; Gauss-Newton far off the facet.
        length = np.sqrt(np.einsum("paa->pa", metric))
        bound = 0.5 * length[:, :, None] * length[:, None, :]
        metric -= np.clip(bends, -bound, bound)
        step = np.linalg.solve(metric, np.einsum("pai,pi->pa", t, r)[:, :, None])[:, :, 0]
        out = np.clip(out + step, -3.0, 3.0)
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    return out


def _beyond(corners: I32, uv: F64, s: float) -> Bool:
    """Edges (p, 4) beyond which a foot lies by more than s, in facet coordinates."""
    return np.asarray(_distances(corners, uv)[0] > s)


_QUAD_WAYS = np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
_TRIANGLE_WAYS = np.array([[0.0, -1.0], [1.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])


def _distances(corners: I32, uv: F64) -> tuple[F64, F64]:
    """Distances (p, 4) of a foot beyond each edge in facet coordinates, and their derivatives (p, 4, 2).

    The edge of no length of a triangle is far.
    """
    triangle = (corners[:, 2] == corners[:, 3])[:, None]
    ways = np.where(triangle[:, :, None], _TRIANGLE_WAYS, _QUAD_WAYS)
    offset = np.where(triangle, [0.0, 1.0, 0.0, 9.0], 1.0)
    return np.einsum("pea,pa->pe", ways, uv) - offset, ways


# --- kernel ---


@kernel
def feet_on_planes(own, triangular, target, out_uv):  # type: ignore[no-untyped-def]
    """Move the facet coordinates (p, 2) to the feet of `target` (p, 3) on facets (p, 4, 3) without borders."""
    for p in range(target.shape[0]):
        a, b, c, d = own[p, 0], own[p, 1], own[p, 2], own[p, 3]
        u, v = out_uv[p, 0], out_uv[p, 1]
        for _ in range(12):
            guu = gvv = guv = mixed = ru = rv = 0.0
            for i in range(3):
                if triangular[p]:
                    s, su, sv, suv = a[i], b[i] - a[i], c[i] - a[i], 0.0
                else:
                    s = 0.25 * (a[i] + b[i] + c[i] + d[i])
                    su = 0.25 * (-a[i] + b[i] + c[i] - d[i])
                    sv = 0.25 * (-a[i] - b[i] + c[i] + d[i])
                    suv = 0.25 * (a[i] - b[i] + c[i] - d[i])
                tu, tv = su + v * suv, sv + u * suv
                r = target[p, i] - (s + u * su + v * sv + u * v * suv)
                guu += tu * tu
                gvv += tv * tv
                guv += tu * tv
                ru += r * tu
                rv += r * tv
                mixed += r * suv
            # Newton's matrix only where it stays well conditioned; Gauss-Newton far off the facet.
            bound = 0.5 * np.sqrt(guu * gvv)
            guv -= min(max(mixed, -bound), bound)
            det = guu * gvv - guv * guv
            if not det > 0.0:
                break
            du, dv = (gvv * ru - guv * rv) / det, (guu * rv - guv * ru) / det
            u, v = min(max(u + du, -3.0), 3.0), min(max(v + dv, -3.0), 3.0)
            if max(abs(du), abs(dv)) < 1e-13:
                break
        out_uv[p, 0], out_uv[p, 1] = u, v
    return 0
