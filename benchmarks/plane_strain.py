"""Reference solutions in plane strain by finite elements of high degree, apart from the package.

One curvilinear quadrilateral is divided by tensor-product lines that crowd towards its corners, where stresses are
singular; on each cell displacements are polynomials of degree p in both directions. Neo-Hookean material,
W = mu/2 (J^(-2/3) tr C - 3) + K/4 (J^2 - 1 - 2 ln J); Newton's method; SciPy's LU. Nothing of spinefix is imported, so
the figures that `spinefix.verification` quotes from here are independent of its elements, law and solver.

    python benchmarks/plane_strain.py

prints each figure for rising degree, so that its digits can be judged.

Source of the method: Szabo B, Babuska I (1991), Finite Element Analysis, Wiley, chapter 10 (meshes for corners).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu


def crowded(layers: int, middle: int, ends: tuple[bool, bool], factor: float = 0.15) -> np.ndarray:
    """Break points of [0, 1] that crowd geometrically towards the ends asked for."""
    inner = np.linspace(0.0, 1.0, middle + 1)
    first = inner[1] * factor ** np.arange(layers, 0, -1) if ends[0] else np.zeros(0)
    last = 1.0 - (1.0 - inner[-2]) * factor ** np.arange(1, layers + 1) if ends[1] else np.zeros(0)
    return np.unique(np.concatenate([inner, first, last]))


def lobatto(p: int) -> np.ndarray:
    """Gauss-Lobatto-Legendre points on [0, 1]."""
    inner = np.polynomial.legendre.Legendre.basis(p).deriv().roots()
    return (np.concatenate([[-1.0], np.sort(inner.real), [1.0]]) + 1) / 2


def lagrange(nodes: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives (q, m) of the Lagrange polynomials of `nodes` at x."""
    V = np.polynomial.legendre.legvander(2 * nodes - 1, len(nodes) - 1)
    A = np.linalg.inv(V)
    coefficients = np.eye(len(nodes))
    slopes = np.stack(
        [np.polynomial.legendre.legval(2 * x - 1, np.polynomial.legendre.legder(c)) for c in coefficients]
    )
    return np.polynomial.legendre.legvander(2 * x - 1, len(nodes) - 1) @ A, 2 * slopes.T @ A


def dyad(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a_ij b_kl."""
    return np.einsum("...ij,...kl->...ijkl", a, b)


@dataclass
class Sheet:
    """A quadrilateral given by a map of the unit square, its grid and its material."""

    shape: Callable[[np.ndarray], np.ndarray]
    s: np.ndarray
    t: np.ndarray
    p: int
    mu: float
    K: float

    def __post_init__(self) -> None:
        z = lobatto(self.p)
        lines = [np.append((c[:-1, None] + np.diff(c)[:, None] * z[:-1]).ravel(), c[-1]) for c in (self.s, self.t)]
        S, T = np.meshgrid(*lines, indexing="ij")
        self.st = np.column_stack([S.ravel(), T.ravel()])
        self.X = self.shape(self.st)
        ids = np.arange(S.size).reshape(S.shape)
        n, m = len(self.s) - 1, len(self.t) - 1
        k = self.p
        corners = [(i * k, j * k) for i in range(n) for j in range(m)]
        self.conn = np.array([ids[i : i + k + 1, j : j + k + 1].ravel() for i, j in corners])
        g, w = np.polynomial.legendre.leggauss(self.p + 2)
        g, w = (g + 1) / 2, w / 2
        self.line = (g, w, *lagrange(z, g))
        N, dN = self.line[2:]
        dS, dT = np.einsum("ai,bj->abij", dN, N), np.einsum("ai,bj->abij", N, dN)
        d = np.stack([dS, dT], axis=-1).reshape(len(g) ** 2, -1, 2)
        J = np.einsum("emi,qmd->eqid", self.X[self.conn], d)
        self.dv = np.linalg.det(J) * np.outer(w, w).ravel()
        assert (self.dv > 0).all()
        self.G = np.einsum("qmd,eqdi->eqmi", d, np.linalg.inv(J))

    def law(self, F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P (..., 2, 2) and dP/dF (..., 2, 2, 2, 2)."""
        mu, K = self.mu, self.K
        J = np.linalg.det(F)
        if (J <= 0).any():
            raise FloatingPointError("inverted")
        T = np.swapaxes(np.linalg.inv(F), -1, -2)
        I1 = (F**2).sum(axis=(-1, -2)) + 1.0
        dev = F - (I1 / 3)[..., None, None] * T
        iso = mu * J ** (-2 / 3)
        P = iso[..., None, None] * dev + (K / 2 * (J**2 - 1))[..., None, None] * T
        unit = np.einsum("ik,jl->ijkl", np.eye(2), np.eye(2))
        I1, iso, J = (a[..., None, None, None, None] for a in (I1, iso, J))
        cross = np.einsum("...il,...kj->...ijkl", T, T)  # dT_ij = -T_il T_kj dF_kl
        A = iso * (unit - 2 / 3 * dyad(T, F) + I1 / 3 * cross - 2 / 3 * dyad(dev, T))
        A += K * J**2 * dyad(T, T) - K / 2 * (J**2 - 1) * cross
        return P, A

    def solve(
        self, fixed: np.ndarray, values: np.ndarray, load: np.ndarray, first: float = 1.0, *, linear: bool = False
    ) -> np.ndarray:
        """Displacements (n, 2) in increments that start with `first` and shrink on trouble; `linear`: one iteration."""
        u, done, step = np.zeros_like(self.X), 0.0, first
        while done < 1.0:
            goal = min(done + step, 1.0)
            try:
                u = self._newton(u, fixed, values * goal, load * goal, linear)
            except FloatingPointError:
                step /= 2
                if step < 1e-4:
                    raise
                continue
            done = goal
        return u

    def _newton(
        self, u: np.ndarray, fixed: np.ndarray, values: np.ndarray, load: np.ndarray, linear: bool
    ) -> np.ndarray:
        n = len(self.X)
        free = np.flatnonzero(~fixed.ravel())
        dofs = (2 * self.conn[:, :, None] + np.arange(2)).reshape(len(self.conn), -1)
        row, col = np.repeat(dofs, dofs.shape[1], axis=1), np.tile(dofs, (1, dofs.shape[1]))
        change = np.where(fixed, values - u, 0.0)
        for _ in range(12):
            P, A = self.law(np.eye(2) + np.einsum("emi,eqmj->eqij", u[self.conn], self.G))
            self.force = np.zeros((n, 2))
            np.add.at(self.force, self.conn, np.einsum("eqij,eqmj,eq->emi", P, self.G, self.dv))
            AG = np.einsum("eqijkl,eqnl,eq->eqijnk", A, self.G, self.dv)
            blocks = np.einsum("eqmj,eqijnk->emink", self.G, AG, optimize=True).reshape(len(dofs), -1)
            K = sp.csc_array((blocks.ravel(), (row.ravel(), col.ravel())), shape=(2 * n, 2 * n))
            r = (load - self.force).ravel() - K @ change.ravel()
            d = np.zeros(2 * n)
            d[free] = splu(K[free][:, free].tocsc()).solve(r[free])
            moved = change.any()
            u = u + change + d.reshape(n, 2)
            if linear or (not moved and np.abs(d).max() < 1e-9 * np.abs(u).max()):
                return u
            change = np.zeros_like(u)
        raise FloatingPointError("no convergence")


def cook(p: int, mu: float, K: float, total: float, *, linear: bool, layers: int = 4) -> float:
    """Vertical displacement of the upper right corner of Cook's membrane."""

    def shape(st):
        s, t = st.T
        return np.column_stack([48 * s, 44 * s * (1 - t) + (44 + 16 * s) * t])

    lines = crowded(layers, 4, (True, True)), crowded(layers, 4, (True, True))
    sheet = Sheet(shape, *lines, p, mu, K)
    load = np.zeros_like(sheet.X)
    g, w, N, _ = sheet.line
    end = np.flatnonzero(sheet.st[:, 0] == 1.0)
    for j, (a, b) in enumerate(zip(sheet.t[:-1], sheet.t[1:], strict=True)):
        load[end[j * p : j * p + p + 1], 1] += total * (b - a) * (w @ N)
    fixed = np.repeat((sheet.st[:, 0] == 0.0)[:, None], 2, axis=1)
    u = sheet.solve(fixed, 0 * sheet.X, load, 1.0 if linear else 0.125, linear=linear)
    return float(u[-1, 1])


def bonded(p: int, mu: float, K: float, part: float, half_width: float = 0.5, layers: int = 0) -> tuple[float, float]:
    """Force per thickness on a bonded block of height 1, by `part` shorter, and the bulge of its middle."""
    lines = crowded(layers, 3, (False, True)), crowded(layers, 3, (False, True))
    sheet = Sheet(lambda st: st * [half_width, 0.5], *lines, p, mu, K)
    top = sheet.st[:, 1] == 1.0
    fixed = np.column_stack([top | (sheet.st[:, 0] == 0.0), top | (sheet.st[:, 1] == 0.0)])
    values = np.zeros_like(sheet.X)
    values[top, 1] = -part / 2
    u = sheet.solve(fixed, values, 0 * sheet.X, 0.1)
    middle = (sheet.st[:, 0] == 1.0) & (sheet.st[:, 1] == 0.0)
    return 2 * sheet.force[top, 1].sum(), u[middle, 0].item()


def moduli(E: float, nu: float) -> tuple[float, float]:
    """mu and K."""
    return E / 2 / (1 + nu), E / 3 / (1 - 2 * nu)


def main() -> None:
    """Print all figures for rising degree."""

    def tell(what: str, solve: Callable[[], object]) -> None:
        try:
            answer = solve()
        except FloatingPointError as error:
            answer = error
        sys.stdout.write(f"{what}: {answer}\n")
        sys.stdout.flush()

    for p in (3, 5, 7):
        for nu in (1 / 3, 0.4999):
            tell(f"Cook, linear, E 1, nu {nu:.4f}, p {p}", lambda: cook(p, *moduli(1.0, nu), 1.0, linear=True))  # noqa: B023
    for layers in (1, 2):
        for p in (4, 6):
            name = f"Cook, finite strain, mu 80.194, K 400942, load 100, layers {layers}, p {p}"
            tell(name, lambda: cook(p, 80.194, 400942.0, 100.0, linear=False, layers=layers))  # noqa: B023
    for p in (4, 5, 6, 7):
        for part in (0.2, 0.25):
            name = f"square block, bonded, mu 1, K 1000, {part:.0%} shorter, p {p}: force, bulge"
            tell(name, lambda: bonded(p, 1.0, 1000.0, part))  # noqa: B023


if __name__ == "__main__":
    main()
