"""Supports, rigid couplings and ties at finite rotation by elimination; loads spread over nodes.

Slaves follow masters exactly in every configuration; forces reach the masters through the transpose of the current
derivative T, and the change of T adds a geometric stiffness at the rotation of each reference point.

- Rigid coupling: ``u_i = u_ref + (R - I) d_i`` and ``R_i = R``.
- Tie: the slave keeps its place in the material of the master element, ``u_i = sum of w_m u_m`` with constant weights
  that reproduce its position, ``sum of w_m X_m = X_i``. So it follows any rigid rotation exactly, gap included, and no
  geometric stiffness arises.
- Distributing coupling (`DistributedLoad`): a reference point that only carries loads and otherwise follows the
  best-fit motion of its nodes; these stay free to deform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array, csr_array

from spinefix.errors import ConstraintError
from spinefix.fem import rotations
from spinefix.fem.constraints import Coupling, Elimination, Support, Tie, build_elimination
from spinefix.fem.items import Configuration, Program, State, Terms
from spinefix.fem.kinematics import cross_matrix
from spinefix.mesh.core import F64, I32, Bool, Mesh
from spinefix.mesh.locate import project


@dataclass(frozen=True)
class Motion:
    """A prescribed motion of a node on dofs that a support holds.

    Parameters
    ----------
    node : int
    translation : Program of (3,) [mm]
    rotation : Program of (3,) [rad] or None
        Rotation vector; all three rotations of the node must be held.
    """

    node: int
    translation: Program
    rotation: Program | None = None


@dataclass(frozen=True)
class _Bodies:
    """Nodes that follow a reference point rigidly: node, reference, its rotation row, arm at rest; same for rotations.

    node, reference, turn (s,) int32; arm (s, 3) float64 [mm]; spinning, spinner (t,) int32: rotation rows of slave
    nodes with rotations and of their reference points.
    """

    node: I32
    reference: I32
    turn: I32
    arm: F64
    spinning: I32
    spinner: I32


@dataclass(frozen=True)
class FiniteConstraints:
    """All constraints of a model; see `finite_constraints`.

    Attributes
    ----------
    n_points, n_rotations : int
    dofs : Elimination
        The sets of free, slave, fixed and orphan dofs (and the map of the undeformed configuration).
    bodies : rigid couplings, nested ones flattened
    tie_nodes : (k,) int32
    tie_map : csr (n_points, n_points)
        Weights of the masters of each tied node; identity on all other nodes.
    motions : tuple of Motion
    """

    n_points: int
    n_rotations: int
    dofs: Elimination
    bodies: _Bodies
    tie_nodes: I32
    tie_map: csr_array
    motions: tuple[Motion, ...] = ()
    _is_fixed: Bool = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def n_blocks(self) -> int:
        """Number of 3-component blocks."""
        return self.n_points + self.n_rotations

    def place(self, x: Configuration) -> Configuration:
        """Return the configuration with all slaves where their masters put them."""
        b = self.bodies
        u, R = x.u.copy(), x.R.copy()
        u[b.node] = u[b.reference] + self.arms(x) - b.arm
        R[b.spinning] = R[b.spinner]
        if len(self.tie_nodes):
            u = np.asarray(self.tie_map @ u)
        return Configuration(u, R)

    def arms(self, x: Configuration) -> F64:
        """Return the current vectors (s, 3) [mm] from reference points to the nodes they carry."""
        return np.asarray(np.einsum("sij,sj->si", x.R[self.bodies.turn], self.bodies.arm))

    def prescribed(self, x: Configuration, time: float, rotation_index: I32) -> F64:
        """Return the displacements and spins (n_blocks, 3) that take the fixed dofs from `x` to where they belong."""
        step = np.zeros((self.n_blocks, 3))
        for motion in self.motions:
            step[motion.node] = motion.translation.at(time) - x.u[motion.node]
            if motion.rotation is not None:
                row = int(rotation_index[motion.node])
                target = rotations.exp(motion.rotation.at(time))
                step[self.n_points + row] = rotations.log(target @ x.R[row].T)
        return np.where(self._is_fixed.reshape(-1, 3), step, 0.0)

    def slave_map(self, x: Configuration) -> csr_array:
        """Return the slave dofs (n_slave, n_dof) as linear functions of masters, in displacements and spins."""
        b, n = self.bodies, self.n_points
        three = np.arange(3)
        s, t = len(b.node), len(b.spinning)
        same = np.concatenate([b.node, n + b.spinning]), np.concatenate([b.reference, n + b.spinner])
        lever = -cross_matrix(self.arms(x))
        i, j = (a.ravel() for a in np.where(~np.eye(3, dtype=bool)))
        row = [(3 * same[0][:, None] + three).ravel(), (3 * b.node[:, None] + i).ravel()]
        col = [(3 * same[1][:, None] + three).ravel(), (3 * (n + b.turn)[:, None] + j).ravel()]
        value = [np.ones(3 * (s + t)), lever[:, i, j].ravel()]
        size = 3 * self.n_blocks
        masters = np.setdiff1d(np.arange(size), self.dofs.slave, assume_unique=True)
        row, col, value = [*row, masters], [*col, masters], [*value, np.ones(len(masters))]
        rigid = csr_array(
            coo_array((np.concatenate(value), (np.concatenate(row), np.concatenate(col))), shape=(size, size))
        )
        if len(self.tie_nodes):
            rigid = csr_array(self._tie_dofs() @ rigid)
        return rigid[self.dofs.slave]

    def _tie_dofs(self) -> csr_array:
        """`tie_map` on dofs."""
        table = coo_array(self.tie_map)
        row = (3 * table.row[:, None] + np.arange(3)).ravel()
        col = (3 * table.col[:, None] + np.arange(3)).ravel()
        turning = np.arange(3 * self.n_points, 3 * self.n_blocks)
        size = 3 * self.n_blocks
        data = np.concatenate([np.repeat(table.data, 3), np.ones(len(turning))])
        return csr_array(
            coo_array((data, (np.concatenate([row, turning]), np.concatenate([col, turning]))), shape=(size, size))
        )

    def geometric(self, x: Configuration, force: F64) -> csr_array:
        """Return the stiffness (n_dof, n_dof) from the turning of the levers, symmetric part.

        Parameters
        ----------
        force : (n_blocks, 3) float64 [N, N mm]
            Gradient of the potential, internal less external forces, on all blocks.
        """
        on = np.asarray(self.tie_map.T @ force[: self.n_points]) if len(self.tie_nodes) else force
        f, r = on[self.bodies.node], self.arms(x)
        outer = r[:, :, None] * f[:, None, :]
        dot = np.einsum("si,si->s", r, f)
        block = 0.5 * (outer + outer.transpose(0, 2, 1)) - dot[:, None, None] * np.eye(3)
        total = np.zeros((self.n_rotations, 3, 3))
        np.add.at(total, self.bodies.turn, block)
        where = np.unique(self.bodies.turn)
        base = 3 * (self.n_points + where)[:, None, None]
        row = np.broadcast_to(base + np.arange(3)[:, None], (len(where), 3, 3))
        col = np.broadcast_to(base + np.arange(3), (len(where), 3, 3))
        size = 3 * self.n_blocks
        return csr_array(coo_array((total[where].ravel(), (row.ravel(), col.ravel())), shape=(size, size)))


def finite_constraints(
    mesh: Mesh,
    rotation_index: I32,
    active: Bool,
    *,
    supports: Sequence[Support] = (),
    couplings: Sequence[Coupling] = (),
    ties: Sequence[Tie] = (),
    motions: Sequence[Motion] = (),
) -> FiniteConstraints:
    """Collect all constraints; arguments as in `spinefix.fem.constraints.build_elimination`.

    A support that holds one or two rotations of a node holds the spin about those fixed axes.

    Raises
    ------
    ConstraintError
        As there; besides, couplings form a circle, or a motion acts on dofs that no support holds.
    """
    dofs = build_elimination(mesh, rotation_index, active, supports=supports, couplings=couplings, ties=ties)
    index = np.asarray(rotation_index)
    n, n_rotations = mesh.n_points, int(index.max(initial=-1)) + 1
    is_fixed = np.zeros(dofs.n_dof, bool)
    is_fixed[dofs.fixed] = True
    for motion in motions:
        _check_motion(motion, is_fixed.reshape(-1, 3), index, n)
    bodies = _flatten(mesh, index, couplings)
    rows = [tie_weights(mesh, tie) for tie in ties]
    tie_nodes = np.concatenate([np.zeros(0, np.int32), *(r[0] for r in rows)]).astype(np.int32)
    tie_map = _resolve(n, rows)
    return FiniteConstraints(n, n_rotations, dofs, bodies, tie_nodes, tie_map, tuple(motions), is_fixed)


def _check_motion(motion: Motion, is_fixed: Bool, index: I32, n_points: int) -> None:
    moving = motion.translation.values.reshape(-1, 3).any(axis=0)
    if (moving & ~is_fixed[motion.node]).any():
        raise ConstraintError(f"motion of node {motion.node}: no support holds the displacement that it prescribes")
    if motion.rotation is not None:
        row = int(index[motion.node])
        if row < 0 or not is_fixed[n_points + row].all():
            raise ConstraintError(f"motion of node {motion.node}: a support must hold all its rotations")


def _flatten(mesh: Mesh, index: I32, couplings: Sequence[Coupling]) -> _Bodies:
    """Let nodes of nested couplings follow the outermost reference point."""
    parent: dict[int, int] = {}
    pairs = []
    for c in couplings:
        nodes = np.unique(c.nodes)
        nodes = nodes[nodes != c.reference]
        parent.update((int(node), int(c.reference)) for node in nodes)
        pairs.append((nodes, int(c.reference)))
    node, reference = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for nodes, top in pairs:
        outer = top
        while outer in parent:
            outer = parent[outer]
        node.append(nodes.astype(np.int32))
        reference.append(np.full(len(nodes), outer, np.int32))
    nodes, refs = np.concatenate(node), np.concatenate(reference)
    turning = index[nodes] >= 0
    arm = mesh.points[nodes] - mesh.points[refs]
    return _Bodies(nodes, refs, index[refs], arm, index[nodes[turning]], index[refs[turning]])


def tie_weights(mesh: Mesh, tie: Tie) -> tuple[I32, I32, F64]:
    """Return tied nodes (s,), their masters (s, m) and constant weights (s, m) that reproduce position.

    The weights are those of the facet at the closest point, corrected as little as possible over all nodes of the
    facet's element so that ``sum of w = 1`` and ``sum of w X = X_i``; without a gap nothing needs correction.

    Raises
    ------
    ConstraintError
        A node is farther from the surface than the tolerance.
    """
    nodes = np.unique(tie.nodes).astype(np.int32)
    near = project(mesh, tie.facets, mesh.points[nodes])
    far = int(np.argmax(near.distance))
    if near.distance[far] > tie.tolerance:
        raise ConstraintError(
            f"tie {tie.name!r}: node {nodes[far]} is {near.distance[far]:.3g} mm from the surface, "
            f"farther than the tolerance of {tie.tolerance:.3g} mm"
        )
    parts = [part for part in mesh.split(np.asarray(tie.facets)[near.facet, 0]) if len(part[1])]
    width = max(block.conn.shape[1] for block, _, _ in parts)
    masters, weights = np.zeros((len(nodes), width), np.int32), np.zeros((len(nodes), width))
    for block, local, where in parts:
        m = block.conn.shape[1]
        own = block.conn[local]
        on = np.einsum("pf,pfm->pm", near.weights[where], near.nodes[where][:, :, None] == own[:, None, :])
        X = mesh.points[own]
        centre = X.mean(axis=1, keepdims=True)
        rows = np.concatenate([np.ones((len(own), 1, m)), (X - centre).transpose(0, 2, 1)], axis=1)
        target = np.concatenate([np.ones((len(own), 1)), mesh.points[nodes[where]] - centre[:, 0]], axis=1)
        missing = target - np.einsum("prm,pm->pr", rows, on)
        weights[where, :m] = on + np.einsum("pmr,pr->pm", np.linalg.pinv(rows), missing)
        masters[where, :m] = own
    weights[np.abs(weights) < 1e-12] = 0.0
    return nodes, masters, weights


def _resolve(n_points: int, ties: Sequence[tuple[I32, I32, F64]]) -> csr_array:
    """Weights (n_points, n_points) of all ties, ties on tied nodes replaced until none is left."""
    tied = np.concatenate([np.zeros(0, np.int32), *(t[0] for t in ties)])
    kept = np.setdiff1d(np.arange(n_points), tied)
    row, col, value = [kept], [kept], [np.ones(len(kept))]
    for nodes, masters, weights in ties:
        i, j = np.nonzero(weights)
        row.append(nodes[i])
        col.append(masters[i, j])
        value.append(weights[i, j])
    shape = (n_points, n_points)
    W = csr_array(coo_array((np.concatenate(value), (np.concatenate(row), np.concatenate(col))), shape=shape))
    for _ in ties:
        if not W[:, tied].nnz:
            break
        W = csr_array(W @ W)
        W.eliminate_zeros()
    return W


# --- distributing coupling ---


def best_fit_motion(X: F64, x: F64, weights: F64) -> tuple[F64, F64]:
    """Return the rotation (3, 3) and the shift (3,) [mm] of the rigid motion that best fits points X -> x.

    Least squares: the centroid moves with the points, the rotation maximizes ``sum of w (x - x_c) . R (X - X_c)``.

    Source: Kabsch W (1976), A solution for the best rotation to relate two sets of vectors, Acta Crystallogr A
    32:922-923.
    """
    w = weights / weights.sum()
    centre, now = w @ X, w @ x
    U, _, Vt = np.linalg.svd((w[:, None] * (x - now)).T @ (X - centre))
    U[:, -1] *= np.linalg.det(U @ Vt)
    return U @ Vt, now - centre


@dataclass(frozen=True)
class DistributedLoad:
    """A force and a moment on a reference point, spread over nodes that stay free to deform.

    The point moves with the best-fit rigid motion of its nodes (`best_fit_motion`). Nodal forces are conjugate to that
    motion: ``f_i = w_i (F + a x R d_i)``, ``J a = M``, ``J = tr P I - P``, ``P = sum of w r_i (R d_i)^T``, where d and
    r lead from the centroid to the node, at rest and now. So they sum up to F and M exactly in every configuration, and
    the work of M is M times the spin of the reference point.

    Parameters
    ----------
    name : str
    nodes : (k,) int32
    weights : (k,) float64
        Positive; area shares for a surface.
    points : (n, 3) float64 [mm]
        At rest.
    position : (3,) float64 [mm]
        The reference point at rest.
    force, moment : Program of (3,) [N], [N mm]
        The force keeps its direction; the moment keeps its axis, or turns with the point if `follows`.
    """

    name: str
    nodes: I32
    weights: F64
    points: F64
    position: F64
    force: Program
    moment: Program
    follows: bool = False

    def __post_init__(self) -> None:
        X = self.points[self.nodes]
        w = self.weights / self.weights.sum()
        if not (self.weights > 0.0).all():
            raise ConstraintError(f"{self.name}: weights must be positive")
        spread = np.linalg.svd(np.sqrt(w)[:, None] * (X - w @ X), compute_uv=False)
        if len(X) < 3 or spread[1] < 1e-6 * spread[0]:
            raise ConstraintError(f"{self.name}: {len(X)} nodes on one line cannot carry a moment about it")

    def cliques(self) -> Sequence[I32]:
        """No coupling within the pattern; the tangent has low rank."""
        return ()

    def start(self) -> State:
        """No history."""
        return ()

    def energy(self, x: Configuration, state: State) -> float:
        """Loads store nothing."""
        return 0.0

    def motion(self, x: Configuration) -> tuple[F64, F64]:
        """Return rotation (3, 3) and displacement (3,) [mm] of the reference point."""
        X = self.points[self.nodes]
        R, shift = best_fit_motion(X, X + x.u[self.nodes], self.weights)
        centre = self.weights @ X / self.weights.sum()
        return R, shift + (R - np.eye(3)) @ (self.position - centre)

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        w = self.weights / self.weights.sum()
        X = self.points[self.nodes]
        R, _ = best_fit_motion(X, X + x.u[self.nodes], w)
        d = X - w @ X
        s = d @ R.T
        r = d + x.u[self.nodes] - w @ x.u[self.nodes]
        P = (w[:, None] * r).T @ s
        P = 0.5 * (P + P.T)
        J = np.trace(P) * np.eye(3) - P
        F, M = self.force.at(time), self.moment.at(time)
        if self.follows:
            M = R @ M
        lever = R @ (self.position - w @ X)
        a = np.linalg.solve(J, M + np.cross(lever, F))
        np.add.at(out.external, self.nodes, w[:, None] * (F + np.cross(a, s)))
        if out.wants_tangent and (F.any() or M.any()):
            turn = cross_matrix(F) @ cross_matrix(lever)  # change of the moment with the spin of the point
            if self.follows:
                turn = turn - cross_matrix(M)
            out.low_rank.append(self._tangent(w, s, np.linalg.inv(J), P, a, turn, 3 * x.n_blocks))
        return ()

    def _tangent(self, w: F64, s: F64, Ji: F64, P: F64, a: F64, turn: F64, n_dof: int) -> tuple[F64, F64]:
        """Factors U, V (n_dof, 7) of the load stiffness, minus the derivative of the nodal forces.

        With the functionals ``b = sum w s x du``, ``c = sum w s . du``, ``g = sum w (s . a) du`` the spin of the point
        is J^-1 b, and the change of a is J^-1 ((turn + P [a]) spin - a c + g).
        """
        S = cross_matrix(s) * w[:, None, None]
        V = np.concatenate(
            [
                S.transpose(0, 2, 1),
                (w[:, None] * s)[:, :, None],
            ],
            axis=2,
        )
        V = np.concatenate([V, (w * (s @ a))[:, None, None] * np.broadcast_to(np.eye(3), S.shape)], axis=2)
        spin = np.concatenate([Ji, np.zeros((3, 4))], axis=1)
        rest = np.concatenate([np.zeros((3, 3)), -a[:, None], np.eye(3)], axis=1)
        change = Ji @ ((turn + P @ cross_matrix(a)) @ spin + rest)
        U = S @ change + cross_matrix(a) @ S @ spin
        dofs = (3 * self.nodes[:, None] + np.arange(3)).ravel()
        full_U, full_V = np.zeros((n_dof, 7)), np.zeros((n_dof, 7))
        np.add.at(full_U, dofs, U.reshape(-1, 7))
        np.add.at(full_V, dofs, V.reshape(-1, 7))
        return full_U, full_V
