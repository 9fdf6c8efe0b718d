"""The coarse problem of structures with condensed parts: few motions of each part, and all that deforms between them.

Parts move rigidly, and in the shapes in which they give way more easily than what surrounds them resists: a vertebra
whose inside is destroyed bends with its discs. Without those shapes Krylov iterations would have to find them.

Source: Spillane N et al. (2014), Abstract robust coarse spaces for systems of PDEs via generalized eigenproblems in the
overlaps, Numer Math 126:741-770, for the choice of shapes by an eigenproblem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import block_array, coo_array, csr_array
from scipy.sparse.linalg import spsolve

from spinefix.errors import ConvergenceError
from spinefix.fem.constraints import _extract
from spinefix.fem.equilibrium import Dense, Tangent

if TYPE_CHECKING:
    from spinefix.fem.directions import _Factor

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

WEAK = 0.3
"""Shapes of a part whose stiffness is below this share of that of the soft material around it (held still inside) are
unknowns. Bone has one or none, a vertebra with half its body destroyed about fifteen. At 3 there are forty in each
part, which halves the Krylov iterations and costs more than that."""
BLOCK, STEPS = 24, 4
"""Vectors and steps of the search for such shapes. They need not be exact."""
SHIFTS = (0.0, 0.03, 0.15, 0.75)
"""Shares of the stiffness at rest on the diagonal that are tried until a coarse problem is positive definite. Far from
equilibrium (a guess from another mesh, the first step from rest) elements that are distorted make it indefinite. Held
back like that a step still goes downhill and straightens them first (Levenberg-Marquardt; Nocedal J, Wright SJ 2006,
Numerical Optimization, section 3.4), where smaller increments would only lead to the same place by a longer way.
Smaller shares than these make longer detours."""


@dataclass(frozen=True)
class Layout:
    """The unknowns of the coarse problem and of the stiff one.

    Parameters
    ----------
    plain : (p,) int32
        Free dofs that no condensed part depends on: unknowns of the coarse problem as they are.
    modes : (n_free, k) float64
        Motions at rest of the parts, rigid ones where no support holds them: the other unknowns of the coarse problem.
    part : (k,) int32
        To which part each mode belongs.
    touched : tuple of (k_i,) int32
        Modes that move each part.
    stiff : (s,) int32
        Free dofs of the stiff problem.
    """

    plain: I32
    modes: F64
    part: I32
    touched: tuple[I32, ...]
    stiff: I32

    @classmethod
    def of(cls, rest: Tangent, dense: Dense) -> Layout:
        """Find out from the tangent at rest and its dense parts."""
        slaves, n = dense.carry.shape
        every = dense.every()
        owner = np.full(n + slaves + 1, -1)
        for i, place in enumerate(dense.places):
            owner[place[place < n]] = i
        used = np.zeros(n, bool)
        modes, belongs = [np.zeros((n, 0))], [np.zeros(0, np.int32)]
        for i, (part, place) in enumerate(zip(dense.parts, dense.places, strict=True)):
            rows = csr_array(every[place])
            dofs = np.unique(rows.indices)
            used[dofs] = True
            if not (owner[dofs] == i).any():
                continue  # moved by others alone
            own = dofs[(owner[dofs] == -1) | (owner[dofs] == i)]
            inner = csr_array(rows[:, own])
            held = (place == n + slaves).any()
            rigid = np.zeros((len(own), 0))
            if not held:
                rigid = spsolve((inner.T @ inner).tocsc(), inner.T @ part.stiffness.rigid)
            around = _extract(rest.matrix, own.astype(np.int32), own.astype(np.int32)).toarray()
            own_stiffness = np.asarray(inner.T @ (inner.T @ part.stiffness.matrix).T)
            shapes = np.hstack([rigid, weak_shapes(own_stiffness, around, rigid)])
            motion = np.zeros((n, shapes.shape[1]))
            motion[own] = shapes
            modes.append(motion)
            belongs.append(np.full(shapes.shape[1], i, np.int32))
        moves = np.hstack(modes)
        touched = tuple(np.flatnonzero((every[place] @ moves).any(axis=0)).astype(np.int32) for place in dense.places)
        plain, stiff = np.flatnonzero(~used).astype(np.int32), np.flatnonzero(~dense.soft | used).astype(np.int32)
        return cls(plain, moves, np.concatenate(belongs), touched, stiff)


def weak_shapes(own: F64, around: F64, rigid: F64) -> F64:
    """Return the shapes (n, k) of a part with x^T own x < `WEAK` x^T around x, but for rigid ones, about.

    Parameters
    ----------
    own, around : (n, n) float64, symmetric, positive semidefinite, of positive definite sum
        Stiffness of the part and of what surrounds it.
    rigid : (n, r) float64
        Null space of `own`.

    Notes
    -----
    A block Krylov space of (own + around)^-1 around, in single precision. The least eigenvalues are found first, which
    are those that matter.
    """
    n = len(own)
    total, outer = (own + around).astype(np.float32), around.astype(np.float32)
    scale = 1.0 / np.sqrt(total.diagonal())
    factor = cho_factor((total * scale).T * scale, lower=True, overwrite_a=True, check_finite=False)
    R = np.linalg.qr(rigid)[0].astype(np.float32)
    back = np.linalg.pinv(R.T @ (total @ R)) @ (total @ R).T if R.shape[1] else np.zeros((0, n), np.float32)
    X = np.random.default_rng(0).standard_normal((n, min(BLOCK, n))).astype(np.float32)
    found = []
    for _ in range(STEPS):
        X = scale[:, None] * cho_solve(factor, scale[:, None] * (outer @ X), check_finite=False)
        X, _ = np.linalg.qr(X - R @ (back @ X))
        found.append(X)
    basis = np.linalg.qr(np.hstack(found))[0]
    vectors, size, _ = np.linalg.svd(basis - R @ (back @ basis), full_matrices=False)
    basis = vectors[:, size > 1e-2].astype(np.float64)
    inner = basis.T @ (own @ basis)
    outside = basis.T @ (around @ basis)
    ratio, coefficients = eigh(outside, inner + outside)
    weak = ratio > 1.0 / (1.0 + WEAK)
    return np.asarray(basis @ coefficients[:, weak])


class Border:
    """What coarse problems have in common: where plain dofs meet modes, found once for each pattern of K.

    Parameters
    ----------
    layout : Layout
    diagonal : (n_free,) float64 [N/mm]
        Of the matrix at rest.
    """

    def __init__(self, layout: Layout, diagonal: F64) -> None:
        self.layout = layout
        self.plain_diagonal = np.abs(diagonal[layout.plain])
        self._known: csr_array | None = None
        self._row: I64 = np.zeros(0, np.int64)
        self._col: I64 = np.zeros(0, np.int64)

    def __call__(self, K: csr_array, force: F64) -> csr_array:
        """Return the entries (p, k) of K times the modes, `force` (n_free, k), that are not zero by structure."""
        layout = self.layout
        if self._known is None or self._known.indices is not K.indices:
            self._known = K
            parts, group = np.unique(layout.part, return_inverse=True)
            moves = np.zeros((len(force), len(parts)), bool)
            for i in range(len(parts)):
                moves[:, i] = layout.modes[:, group == i].any(axis=1)
            met = csr_array((np.ones(K.nnz, np.int32), K.indices, K.indptr), shape=K.shape) @ csr_array(moves)
            self._row, self._col = np.nonzero(met.toarray()[layout.plain][:, group])
        shape = (len(layout.plain), force.shape[1])
        return csr_array((force[layout.plain[self._row], self._col], (self._row, self._col)), shape=shape)


def _stiffened(A: csr_array, dofs: I32, more: F64) -> csr_array:
    """Return A with more on the diagonal of some dofs, whose entries it holds already: in the same pattern."""
    if not more.any():
        return A
    diagonal = A.diagonal()
    diagonal[dofs] += more
    out = csr_array((A.data.copy(), A.indices, A.indptr), shape=A.shape)
    out.setdiag(diagonal)
    return out


class Coarse:
    """The coarse problem of one tangent K: V^T K V with V = unknowns of the layout in the configuration of K.

    Attributes
    ----------
    tangent : Tangent
        K, or K with a share of the diagonal at rest that makes the coarse problem positive definite, see `SHIFTS`.

    Raises
    ------
    ConvergenceError
        No such share does.
    """

    def __init__(self, K: Tangent, dense: Dense, border: Border, factor: _Factor) -> None:
        self.layout = layout = border.layout
        self._dense, self._factor = dense, factor
        k = layout.modes.shape[1]
        self._modes = np.stack([K.turns.turn(m) for m in layout.modes.T], axis=1) if k else layout.modes
        moved = [dense.spread(m) for m in self._modes.T]
        self._pulls = []  # force of each part per unit of the modes that move it
        moving = np.zeros((k, k))
        for i, (part, touched) in enumerate(zip(dense.parts, layout.touched, strict=True)):
            own = np.array([moved[j][i] for j in touched]).reshape(len(touched), len(part.dofs)).T
            self._pulls.append(part.of_modes(own))
            moving[np.ix_(touched, touched)] += own.T @ self._pulls[-1]
        force = K.matrix @ self._modes
        moving += self._modes.T @ force
        inner = _extract(K.matrix, layout.plain, layout.plain)
        side = border(K.matrix, force)
        corner = coo_array(0.5 * (moving + moving.T) + np.finfo(float).tiny)  # all entries stay in the pattern
        A = csr_array(block_array([[inner, side], [side.T, corner]], format="csr"))
        A.sort_indices()
        shift = self._factorize(A, border.plain_diagonal) * border.plain_diagonal
        self.tangent = replace(K, matrix=_stiffened(K.matrix, layout.plain, shift))
        self._left = self._restrict(K.V).T
        self._right = factor(self._restrict(K.U)) if K.U.shape[1] else self._restrict(K.U)
        self._small = np.eye(len(self._left)) + self._left @ self._right

    def _factorize(self, A: csr_array, diagonal: F64) -> float:
        """Factorize with the least share of the diagonal at rest that makes it positive definite; returns the share."""
        dofs = np.arange(len(diagonal), dtype=np.int32)
        for share in SHIFTS[:-1]:
            try:
                self._factor.replace(_stiffened(A, dofs, share * diagonal), indefinite=False)
            except ConvergenceError:
                continue
            return share
        self._factor.replace(_stiffened(A, dofs, SHIFTS[-1] * diagonal), indefinite=False)
        return SHIFTS[-1]

    def answer(self, b: F64) -> tuple[F64, F64]:
        """Return x (n_free,) in the space of V and b - K x, which does no work on it."""
        c = self._solve(self._restrict(b))
        plain = len(self.layout.plain)
        x = self._extend(c)
        pulls = [p @ c[plain:][t] for p, t in zip(self._pulls, self.layout.touched, strict=True)]
        K = self.tangent
        return x, b - np.asarray(K.matrix @ x + self._dense.gather(pulls) + K.U @ (K.V.T @ x))

    def correction(self, y: F64) -> F64:
        """Return x in the space of V with V^T K (y - x) = 0."""
        K = self.tangent
        force = self._restrict(np.asarray(K.matrix @ y + K.U @ (K.V.T @ y)))
        moving = force[len(self.layout.plain) :]
        for pull, touched, own in zip(self._pulls, self.layout.touched, self._dense.spread(y), strict=True):
            moving[touched] += pull.T @ own
        return self._extend(self._solve(force))

    def _solve(self, c: F64) -> F64:
        """Return the coefficients for the coarse right-hand side c."""
        x = self._factor(c)
        return x - self._right @ np.linalg.solve(self._small, self._left @ x) if len(self._left) else x

    def _restrict(self, r: F64) -> F64:
        """Return V^T r for r (n_free,) or (n_free, m)."""
        return np.concatenate([r[self.layout.plain], self._modes.T @ r])

    def _extend(self, c: F64) -> F64:
        """Return V c."""
        plain = self.layout.plain
        v = np.asarray(self._modes @ c[len(plain) :])
        v[plain] += c[: len(plain)]
        return v
