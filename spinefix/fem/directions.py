"""How a Newton step is found: full factorization, a stale one inside Krylov iterations, or BFGS updates of it.

All three solve K d = -r with K = S + U V^T, S symmetric and sparse, U V^T of low rank (loads).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

from spinefix.errors import ConvergenceError
from spinefix.fem import linsolve
from spinefix.fem.equilibrium import Tangent
from spinefix.fem.turns import Turns

F64 = NDArray[np.float64]

Apply = Callable[[F64], F64]


@dataclass
class Work:
    """What was spent.

    Attributes
    ----------
    factorizations, solves : int
        Factorizations; right-hand sides sent through a factor.
    seconds_factorize, seconds_solve : float
    method : str
        Linear solver used.
    note : str
        Such as a fall-back to an indefinite factorization.
    """

    factorizations: int = 0
    solves: int = 0
    seconds_factorize: float = 0.0
    seconds_solve: float = 0.0
    method: str = ""
    note: str = ""


class _Factor:
    """A factorization of S with the low-rank part by the formula of Sherman, Morrison and Woodbury."""

    def __init__(self, solver: str, work: Work, *, rough: bool = False) -> None:
        self.solver, self.work, self._rough = solver, work, rough
        self._factor: linsolve.Factor | None = None
        self._nnz = self._size = 0
        self._sound = False  # a factorization that broke down keeps its analysis for the next one
        self._Z: F64 = np.zeros((0, 0))
        self._V: F64 = np.zeros((0, 0))
        self._small: F64 = np.zeros((0, 0))

    @property
    def ready(self) -> bool:
        """True once there is a factor."""
        return self._factor is not None and self._sound

    @property
    def worth(self) -> float:
        """See `spinefix.fem.linsolve.Factor.worth`; 0 without a factor."""
        return 0.0 if self._factor is None else self._factor.worth

    def fits(self, tangent: Tangent) -> bool:
        """Tell whether there is a factor, of as many unknowns."""
        return self.ready and self._size == tangent.matrix.shape[0]

    def renew(self, tangent: Tangent) -> None:
        """Factorize a tangent."""
        self.replace(tangent.symmetric())
        self._V = tangent.V
        if tangent.U.shape[1]:
            self._Z = self._plain(tangent.U)
            self._small = np.eye(tangent.U.shape[1]) + tangent.V.T @ self._Z

    def replace(self, S: csr_array, *, indefinite: bool = True) -> None:
        """Factorize a symmetric matrix, with the analysis of the last one if the pattern is the same."""
        began = time.perf_counter()
        self._sound = False
        self._renew(S, indefinite)
        self._sound = True
        self.work.factorizations += 1
        self.work.seconds_factorize += time.perf_counter() - began
        self._Z = np.zeros((S.shape[0], 0))

    def _renew(self, K: csr_array, indefinite: bool) -> None:
        if self._factor is not None and K.nnz == self._nnz and self._factor.allow_indefinite == indefinite:
            try:
                self._factor.refactorize(K)
                self._tell()
                return
            except ValueError:
                pass
        self.release()
        self._factor = linsolve.factorize(K, self.solver, allow_indefinite=indefinite, rough=self._rough)
        self._nnz, self._size = K.nnz, K.shape[0]
        self._tell()

    def _tell(self) -> None:
        if self._factor is not None:
            self.work.method, self.work.note = self._factor.report.method, self._factor.report.note

    def __call__(self, b: F64) -> F64:
        """Return (S + U V^T)^-1 b."""
        y = self._plain(b)
        if self._Z.shape[1]:
            y = y - self._Z @ np.linalg.solve(self._small, self._V.T @ y)
        return y

    def _plain(self, b: F64) -> F64:
        if self._factor is None or not self._sound:
            raise ConvergenceError("there is no factorization")
        began = time.perf_counter()
        y = self._factor.apply(b)
        self.work.seconds_solve += time.perf_counter() - began
        self.work.solves += b.size // len(b)
        return y

    def release(self) -> None:
        """Free the factorization."""
        if self._factor is not None:
            self._factor.release()
        self._factor = None


class Direction(ABC):
    """Finds steps; keeps a factorization between calls."""

    def __init__(self, solver: str = "auto") -> None:
        self.work = Work()
        self._factor = _Factor(solver, self.work)

    careful = False
    """Whether steps need a line search from the first iteration on."""

    @abstractmethod
    def find(self, residual: F64, tangent: Callable[[], Tangent]) -> F64:
        """Return the step d (n_free,) from ``K d = -residual``; `tangent` assembles K when called."""

    def learn(self, step: F64, change: F64) -> None:
        """Take note of the change of the residual (n_free,) over a step (n_free,)."""
        return

    def restart(self) -> None:
        """Forget what was learnt: a new increment begins or the last step was bad."""
        return

    def release(self) -> None:
        """Free the factorization."""
        self._factor.release()


class FullNewton(Direction):
    """Factorize the tangent at every iteration."""

    def find(self, residual: F64, tangent: Callable[[], Tangent]) -> F64:
        """See `Direction.find`."""
        self._factor.renew(tangent())
        return -self._factor(residual)


class FrozenKrylov(Direction):
    """Full Newton tangent, solved by Krylov iterations with a stale factorization that turns with the nodes.

    Iterations stop when the energy of the error, as the preconditioner sees it, has fallen by `tolerance`. (Norms of
    the residual hide the errors of soft parts beside stiff ones, so they had to be a thousand times as tight.) The
    factorization is renewed when the iterations beyond `fresh` per solution, which a new one would save, have added up
    to what a factorization is worth (`spinefix.fem.linsolve.Factor.worth`), and at once when `most` are not enough.
    Counts, not seconds, decide, so that results do not depend on how busy the machine is.

    Parameters
    ----------
    tolerance : float
    fresh : int
        Iterations that a new factorization would take.
    most : int
    """

    def __init__(self, solver: str = "auto", *, tolerance: float = 3e-3, fresh: int = 4, most: int = 60) -> None:
        super().__init__(solver)
        self.tolerance, self.fresh, self.most = tolerance, fresh, most
        self._wasted = 0.0
        self._made: Turns | None = None

    def find(self, residual: F64, tangent: Callable[[], Tangent]) -> F64:
        """See `Direction.find`."""
        K = tangent()
        if self._fits(K) and not self._spent:
            step, iterations = self._krylov(K, -residual, K.turns.since(self._made or K.turns))
            self._wasted += max(iterations - self.fresh, 0)
            if step is not None:
                return step
        return self._exact(K, residual)

    def _fits(self, K: Tangent) -> bool:
        return self._made is not None and self._factor.fits(K)

    @property
    def _spent(self) -> bool:
        return self._wasted > self._factor.worth

    def _exact(self, K: Tangent, residual: F64) -> F64:
        """Factorize the tangent itself and use it."""
        self._factor.renew(K)
        self._made, self._wasted = K.turns, 0.0
        if K.unsymmetric is not None:  # which the factorization leaves out
            step, _ = self._krylov(K, -residual, K.turns.since(K.turns))
            if step is not None:
                return step
        return -self._factor(residual)

    def _krylov(self, K: Tangent, b: F64, turns: Turns) -> tuple[F64 | None, int]:
        """Solve by conjugate gradients, or GMRES where K is not symmetric; None if that takes too long."""

        def precondition(r: F64) -> F64:
            return turns.turn(self._factor(turns.back(r)))

        run = conjugate_gradients if K.is_symmetric else gmres
        return run(K.__matmul__, precondition, b, self.tolerance, self.most)


def conjugate_gradients(
    A: Apply, precondition: Apply, b: F64, tolerance: float, most: int, energy: float = 0.0
) -> tuple[F64 | None, int]:
    """Return x with ``r . M r <= tolerance^2 (b . M b + energy)``, ``r = b - A x``, and the iterations.

    None for x after `most` iterations. `energy` is that of a part of the answer that was found before.

    M is the preconditioner; if it is close to the inverse of A, the norm is that of the error in energy. Directions of
    negative curvature end it as well: neither A nor M need be positive definite then.
    """
    x, r = np.zeros_like(b), b.copy()
    z = precondition(r)
    p, rz = z, float(r @ z)
    goal = tolerance**2 * (rz + energy)
    if not b.any() or 0.0 <= rz <= goal:
        return x, 0
    for i in range(1, most + 1):
        Ap = A(p)
        curvature = float(p @ Ap)
        if not (curvature > 0.0 and rz > 0.0):
            return None, i
        alpha = rz / curvature
        x += alpha * p
        r -= alpha * Ap
        z = precondition(r)
        rz, old = float(r @ z), rz
        if abs(rz) <= goal:
            return x, i
        p = z + (rz / old) * p
    return None, most


def gmres(
    A: Apply, precondition: Apply, b: F64, tolerance: float, most: int, energy: float = 0.0
) -> tuple[F64 | None, int]:
    """As `conjugate_gradients`, in the same norm, for any A; without restarts.

    The basis V is orthogonal in the inner product of the preconditioner M, whose images it needs anyway. M should be
    positive definite and nearly symmetric; what it lacks only makes the norm less sharp.
    """
    if not b.any():
        return np.zeros_like(b), 0
    basis, images = np.empty((most + 1, len(b))), np.empty((most + 1, len(b)))
    H, turns, rhs = np.zeros((most + 1, most)), np.zeros((most, 2)), np.zeros(most + 1)
    z = precondition(b)
    square = float(b @ z)
    if not square > 0.0:
        return None, 0
    rhs[0] = size = square**0.5
    goal = tolerance * (square + energy) ** 0.5
    if size <= goal:
        return np.zeros_like(b), 0
    basis[0], images[0] = b / size, z / size
    for j in range(most):
        w = A(images[j])
        for _ in range(2):  # orthogonalize twice
            h = images[: j + 1] @ w
            w = w - h @ basis[: j + 1]
            H[: j + 1, j] += h
        z = precondition(w)
        square = float(w @ z)
        last = max(square, 0.0) ** 0.5
        rest = _givens(H, turns, rhs, j, last)
        if rest <= goal and square >= 0.0:
            return np.asarray(solve_triangular(H[: j + 1, : j + 1], rhs[: j + 1]) @ images[: j + 1]), j + 1
        if not square > 0.0:
            return None, j + 1
        basis[j + 1], images[j + 1] = w / last, z / last
    return None, most


def _givens(H: F64, turns: F64, rhs: F64, j: int, last: float) -> float:
    """Make column j of the Hessenberg matrix upper triangular; returns what is left of the right-hand side."""
    for i in range(j):
        c, s = turns[i]
        H[i, j], H[i + 1, j] = c * H[i, j] + s * H[i + 1, j], c * H[i + 1, j] - s * H[i, j]
    length = float(np.hypot(H[j, j], last))
    if length == 0.0:
        return float("inf")
    c, s = turns[j] = H[j, j] / length, last / length
    H[j, j] = length
    rhs[j], rhs[j + 1] = c * rhs[j], -s * rhs[j]
    return abs(float(rhs[j + 1]))


@dataclass
class Updates:
    """Pairs of steps and changes of the residual, newest last (limited-memory BFGS)."""

    steps: list[F64] = field(default_factory=list)
    changes: list[F64] = field(default_factory=list)

    def inverse(self, apply: Apply, r: F64) -> F64:
        """Return H r for the inverse H that `apply` gives, updated by all pairs (two-loop recursion).

        Source: Nocedal J (1980), Updating quasi-Newton matrices with limited storage, Math Comput 35:773-782.
        """
        r = r.copy()
        alphas = []
        for s, y in zip(reversed(self.steps), reversed(self.changes), strict=True):
            a = float(s @ r) / float(s @ y)
            alphas.append(a)
            r -= a * y
        z = apply(r)
        for (s, y), a in zip(zip(self.steps, self.changes, strict=True), reversed(alphas), strict=True):
            z += s * (a - float(y @ z) / float(s @ y))
        return z


class BFGS(Direction):
    """A stale factorization corrected by what the residual did over the last steps; no tangent in between.

    The factorization is renewed at the start of each increment if `each_increment`, after `most` updates, and when the
    solver asks for it. Steps along which the residual does not grow (negative curvature) are not learnt from.

    Source: Matthies H, Strang G (1979), The solution of nonlinear finite element equations, Int J Numer Methods Eng
    14:1613-1626.
    """

    careful = True

    def __init__(self, solver: str = "auto", most: int = 12, *, each_increment: bool = True) -> None:
        super().__init__(solver)
        self.most, self.each_increment = most, each_increment
        self._updates = Updates()
        self._stale = True

    def restart(self) -> None:
        """See `Direction.restart`."""
        self._stale = self._stale or self.each_increment
        if self._stale:
            self._updates = Updates()

    def find(self, residual: F64, tangent: Callable[[], Tangent]) -> F64:
        """See `Direction.find`."""
        if self._stale or not self._factor.ready or len(self._updates.steps) >= self.most:
            self._updates = Updates()
            self._factor.renew(tangent())
            self._stale = False
        return -self._updates.inverse(self._factor, residual)

    def learn(self, step: F64, change: F64) -> None:
        """See `Direction.learn`."""
        if float(step @ change) > 0.0:
            self._updates.steps.append(step)
            self._updates.changes.append(change)
        else:
            self._stale = True
