"""Supports, rigid couplings and ties by elimination, u = T q: no penalty, and T^T K T stays positive definite.

Dofs fall into four sets: *free* (the unknowns q), *slave* (a linear function of free ones), *fixed* (zero) and
*orphan* (no element, coupling or tie gives them stiffness; dropped and zero). T is the identity on the free dofs and
differs from it only in the few slave rows, which is what makes `Elimination.reduce` cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import bsr_array, coo_array, csr_array

from spinefix.errors import ConstraintError
from spinefix.fem.kinematics import cross_matrix, facet_motion
from spinefix.jit import kernel
from spinefix.mesh.core import F64, I32, Bool, Mesh
from spinefix.mesh.locate import project


class Support(Protocol):
    """What `spinefix.model.core.Support` offers; data classes live above this layer."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def nodes(self) -> I32: ...  # noqa: D102
    @property
    def translations(self) -> tuple[bool, bool, bool]: ...  # noqa: D102
    @property
    def rotations(self) -> tuple[bool, bool, bool]: ...  # noqa: D102


class Coupling(Protocol):
    """What `spinefix.model.core.Coupling` offers."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def reference(self) -> int: ...  # noqa: D102
    @property
    def nodes(self) -> I32: ...  # noqa: D102


class Tie(Protocol):
    """What `spinefix.model.core.Tie` offers."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def nodes(self) -> I32: ...  # noqa: D102
    @property
    def facets(self) -> I32: ...  # noqa: D102
    @property
    def tolerance(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Elimination:
    """The map u = T q and what belongs to it.

    Attributes
    ----------
    n_dof : int
        Three times the number of blocks.
    free, slave, fixed, orphan : int32 arrays, ascending
        Dof numbers; together all dofs.
    slave_map : csr (n_slave, n_dof)
        Slave dofs as functions of free and fixed dofs.
    T : csr (n_dof, n_free)
    """

    n_dof: int
    free: I32
    slave: I32
    fixed: I32
    orphan: I32
    slave_map: csr_array
    T: csr_array

    def expand(self, q: F64) -> F64:
        """Return all displacements u = T q; q is (n_free,) or (n_free, cases)."""
        return np.asarray(self.T @ q)

    def reduce_force(self, f: F64) -> F64:
        """Return the forces on the unknowns, T^T f; f is (n_dof,) or (n_dof, cases).

        Raises
        ------
        ConstraintError
            A force acts on a dof that nothing holds.
        """
        lost = np.abs(f[self.orphan].reshape(len(self.orphan), f.size // len(f))).any(axis=1)
        if lost.any():
            block, axis = divmod(int(self.orphan[np.argmax(lost)]), 3)
            raise ConstraintError(f"a load acts on component {'xyz'[axis]} of block {block}, which has no stiffness")
        return np.asarray(self.T.T @ f)

    def reduce(self, K: bsr_array | csr_array, links: csr_array | None = None) -> csr_array:
        """Return T^T (K + links) T for symmetric K.

        Parameters
        ----------
        K : bsr or csr (n_dof, n_dof)
            Full symmetric matrix with sorted indices.
        links : csr (n_dof, n_dof), optional
            A matrix with few entries, e.g. from `spinefix.fem.links.link_stiffness`.

        Returns
        -------
        csr (n_free, n_free), sorted indices
        """
        inner = _extract(K, self.free, self.free)
        C = self.slave_map[:, self.free]
        one_sided = C.T @ _extract(K, self.slave, self.free)
        more = one_sided + one_sided.T + C.T @ _extract(K, self.slave, self.slave) @ C
        if links is not None:
            more = more + self.T.T @ links @ self.T
        out = csr_array(inner + csr_array(more)) if more.nnz else inner
        out.sort_indices()
        return out

    def reactions(self, residual: F64) -> F64:
        """Return the forces that the supports exert, (n_dof,) [N, N mm]; zero on dofs that are not fixed.

        Parameters
        ----------
        residual : (n_dof,) float64
            K u + link forces - applied forces. What remains on slaves of fixed dofs is carried to those.
        """
        out = np.zeros(self.n_dof)
        out[self.fixed] = residual[self.fixed] + self.slave_map[:, self.fixed].T @ residual[self.slave]
        return out


def build_elimination(
    mesh: Mesh,
    rotation_index: I32,
    active: Bool,
    *,
    supports: Sequence[Support] = (),
    couplings: Sequence[Coupling] = (),
    ties: Sequence[Tie] = (),
) -> Elimination:
    """Build the elimination of all constraints.

    Parameters
    ----------
    mesh : Mesh
    rotation_index : (n_points,) int32
        Number of the rotation of each node, -1 if it has none.
    active : (n_blocks,) bool
        Blocks with stiffness of their own: translations of nodes of elements, rotations of beam nodes.
    supports, couplings, ties
        Constraints. A slave may depend on another slave; such chains are resolved.

    Raises
    ------
    ConstraintError
        A dof is eliminated twice or both eliminated and fixed, a chain is circular, a reference point has no
        rotations or too few nodes to hold its rotation, a tied node is too far from its surface.
    """
    n_dof = 3 * len(active)
    rows = _Rows(n_dof, mesh, rotation_index)
    supported = [(s.name, _support_dofs(s, mesh.n_points, rotation_index)) for s in supports]
    is_fixed = np.zeros(n_dof, bool)
    for _, dofs in supported:
        is_fixed[dofs] = True
    for coupling in couplings:
        _add_coupling(rows, coupling, is_fixed)
    for tie in ties:
        _add_tie(rows, tie)
    for name, dofs in supported:
        rows.reject_slaves(dofs, f"support {name!r}")
    is_slave = rows.owner >= 0
    slave = np.flatnonzero(is_slave).astype(np.int32)
    slave_map = rows.resolve(slave)
    has_stiffness = np.repeat(active, 3)
    used = slave_map[has_stiffness[slave]]
    has_stiffness[used.indices[used.data != 0.0]] = True
    is_free = has_stiffness & ~is_fixed & ~is_slave
    free = np.flatnonzero(is_free).astype(np.int32)
    C = coo_array(slave_map[:, free])
    T = coo_array(
        (
            np.concatenate([np.ones(len(free)), C.data]),
            (np.concatenate([free, slave[C.row]]), np.concatenate([np.arange(len(free)), C.col])),
        ),
        shape=(n_dof, len(free)),
    )
    orphan = np.flatnonzero(~(is_free | is_fixed | is_slave)).astype(np.int32)
    return Elimination(n_dof, free, slave, np.flatnonzero(is_fixed).astype(np.int32), orphan, slave_map, csr_array(T))


class _Rows:
    """Collects slave rows and who made them."""

    def __init__(self, n_dof: int, mesh: Mesh, rotation_index: I32) -> None:
        self.mesh, self.rotation_index = mesh, np.asarray(rotation_index)
        self.owner = np.full(n_dof, -1, np.int32)
        self.names: list[str] = []
        self.entries: list[tuple[I32, I32, F64]] = []

    def rotation_blocks(self, nodes: I32) -> I32:
        """Rotation block of nodes; only for nodes that have one."""
        return self.mesh.n_points + self.rotation_index[nodes]

    def describe(self, dof: int) -> str:
        """Say in words which dof it is."""
        block, axis = divmod(int(dof), 3)
        if block < self.mesh.n_points:
            return f"displacement {'xyz'[axis]} of node {block}"
        node = int(np.flatnonzero(self.rotation_index == block - self.mesh.n_points)[0])
        return f"rotation {'xyz'[axis]} of node {node}"

    def add(self, name: str, slave_blocks: I32, terms: Sequence[tuple[I32, F64]]) -> None:
        """Add block rows: slave = sum over terms of A (s, 3, 3) times master blocks (s,)."""
        dofs = (3 * slave_blocks[:, None] + np.arange(3)).ravel()
        values, counts = np.unique(dofs, return_counts=True)
        if (counts > 1).any():
            raise ConstraintError(f"{name} eliminates {self.describe(values[np.argmax(counts)])} twice")
        self.reject_slaves(dofs, name)
        self.owner[dofs] = len(self.names)
        self.names.append(name)
        for blocks, A in terms:
            shape = (len(blocks), 3, 3)
            row = np.broadcast_to(3 * slave_blocks[:, None, None] + np.arange(3)[:, None], shape)
            col = np.broadcast_to(3 * blocks[:, None, None] + np.arange(3), shape)
            A = np.broadcast_to(A, shape)
            keep = A != 0.0
            self.entries.append((row[keep], col[keep], A[keep]))

    def reject_slaves(self, dofs: I32, name: str) -> None:
        """Raise if one of `dofs` is a slave already."""
        taken = dofs[self.owner[dofs] >= 0]
        if len(taken):
            other = self.names[self.owner[taken[0]]]
            raise ConstraintError(f"{name} holds {self.describe(taken[0])}, which {other} has eliminated already")

    def resolve(self, slave: I32) -> csr_array:
        """Return the slave rows (s, n_dof) with slaves on the right replaced until none is left."""
        n = len(self.owner)
        none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        row, col, value = (np.concatenate(parts) for parts in zip(none, *self.entries, strict=True))
        rank = np.full(n, -1, np.int64)
        rank[slave] = np.arange(len(slave))
        C = csr_array(coo_array((value, (rank[row], col)), shape=(len(slave), n)))
        keep = np.ones(n)
        keep[slave] = 0.0
        for _ in range(len(self.names) + 1):
            chained = C[:, slave]
            chained.eliminate_zeros()
            if not chained.nnz:
                C.eliminate_zeros()
                return C
            C = csr_array(C.multiply(keep[None, :]) + chained @ C)
            C.eliminate_zeros()
        dof = slave[int(chained.indices[0])]
        raise ConstraintError(
            f"{self.names[self.owner[dof]]} is part of a circle: {self.describe(dof)} depends on itself"
        )


def _add_coupling(rows: _Rows, coupling: Coupling, is_fixed: Bool) -> None:
    """Add u_i = u_ref + theta_ref x (x_i - x_ref), and theta_i = theta_ref where node i has rotations.

    Nodes on one line (a hinge pin) do not hold the turn about that line, so the supports must hold all rotations.
    """
    name = f"coupling {coupling.name!r}"
    points, reference = rows.mesh.points, int(coupling.reference)
    if rows.rotation_index[reference] < 0:
        raise ConstraintError(f"{name}: reference node {reference} has no rotations")
    nodes = np.unique(coupling.nodes)
    nodes = nodes[nodes != reference]
    turning = nodes[rows.rotation_index[nodes] >= 0]
    arm = points[nodes] - points[reference]
    held = is_fixed[3 * rows.rotation_blocks(np.array([reference])) + np.arange(3)].all()
    if not (held or len(turning)) and np.linalg.matrix_rank(arm - arm[:1] if len(arm) else arm, tol=1e-9) < 2:
        raise ConstraintError(f"{name}: {len(nodes)} nodes on one line cannot hold the rotation of its reference point")
    here, turn = np.full(len(nodes), reference), rows.rotation_blocks(np.full(len(nodes), reference))
    rows.add(name, nodes, [(here, np.eye(3)), (turn, -cross_matrix(arm))])
    if len(turning):
        rows.add(name, rows.rotation_blocks(turning), [(turn[: len(turning)], np.eye(3))])


def _add_tie(rows: _Rows, tie: Tie) -> None:
    """Add u_i = displacement of the closest surface point, carried over the gap by the rotation of its facet."""
    name = f"tie {tie.name!r}"
    mesh, nodes = rows.mesh, np.unique(tie.nodes)
    if not len(nodes):
        raise ConstraintError(f"{name} has no nodes")
    near = project(mesh, tie.facets, mesh.points[nodes])
    far = int(np.argmax(near.distance))
    if near.distance[far] > tie.tolerance:
        raise ConstraintError(
            f"{name}: node {nodes[far]} is {near.distance[far]:.3g} mm from the surface, "
            f"farther than the tolerance of {tie.tolerance:.3g} mm"
        )
    offset = mesh.points[nodes] - near.foot
    offset[near.distance < 1e-9] = 0.0  # below rounding of the projection
    A = facet_motion(mesh.points, near.nodes, near.weights, near.gradients, offset)
    rows.add(name, nodes, [(near.nodes[:, m], A[:, m]) for m in range(4)])


def _support_dofs(support: Support, n_points: int, rotation_index: I32) -> I32:
    nodes = np.unique(support.nodes)
    turning = nodes[rotation_index[nodes] >= 0]
    held = 3 * nodes[:, None] + np.flatnonzero(support.translations)
    turned = 3 * (n_points + rotation_index[turning])[:, None] + np.flatnonzero(support.rotations)
    return np.concatenate([held.ravel(), turned.ravel()])


# --- submatrices ---


def _extract(K: bsr_array | csr_array, rows: I32, cols: I32) -> csr_array:
    """Return K[rows][:, cols] as CSR; both ascending. Much faster than SciPy's indexing of block matrices."""
    size = K.blocksize[0] if K.format == "bsr" else 1
    data = K.data.reshape(-1, size, size)
    number = np.full(K.shape[1], -1, np.int32)
    number[cols] = np.arange(len(cols), dtype=np.int32)
    indptr = np.zeros(len(rows) + 1, np.int64)
    pattern = (K.indptr.astype(np.int32, copy=False), K.indices.astype(np.int32, copy=False))
    count_entries(*pattern, size, rows, number, indptr)
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
    fill_entries(*pattern, data, rows, number, indptr, indices, values)
    if indptr[-1] < np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return csr_array((values, indices, indptr), shape=(len(rows), len(cols)))


@kernel
def count_entries(indptr, indices, size, rows, number, out_indptr):  # type: ignore[no-untyped-def]
    """Row pointers (r + 1,) int64 of the submatrix with dof `rows` and the columns whose `number` is not negative."""
    for r in range(rows.shape[0]):
        block = rows[r] // size
        n = 0
        for at in range(indptr[block], indptr[block + 1]):
            for j in range(size):
                if number[indices[at] * size + j] >= 0:
                    n += 1
        out_indptr[r + 1] = out_indptr[r] + n
    return 0


@kernel
def fill_entries(indptr, indices, data, rows, number, start, out_indices, out_values):  # type: ignore[no-untyped-def]
    """Column numbers and values of the submatrix; `data` (blocks, size, size)."""
    size = data.shape[1]
    for r in range(rows.shape[0]):
        block = rows[r] // size
        i = rows[r] - block * size
        at_out = start[r]
        for at in range(indptr[block], indptr[block + 1]):
            for j in range(size):
                column = number[indices[at] * size + j]
                if column >= 0:
                    out_indices[at_out] = column
                    out_values[at_out] = data[at, i, j]
                    at_out += 1
    return 0
