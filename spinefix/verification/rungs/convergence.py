"""Orders of convergence by manufactured solutions, displacement and its gradient, on smoothly distorted meshes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.fem import newton, voigt
from spinefix.mesh.core import F64, I32
from spinefix.verification.bodies import FINITE, body_problem, finite_group
from spinefix.verification.ladder import Row, convergence, rung
from spinefix.verification.meshes import ORDER, body_load, fine_rule, interpolated, on_boundary, solid_box
from spinefix.verification.samples import respond
from spinefix.verification.small import SMALL, isotropic, small_group, solve_linear, stiffness

K = np.pi / 2
AMPLITUDE = 0.15
"""Of the field at finite strain; its gradients reach 0.35."""

SOFT = {"mu_MPa": 2.0, "K_MPa": 6.0}

MANUFACTURED = "manufactured solution; order p + 1 in L2, p in the gradient"


def _mesh(kind: str, n: int) -> tuple[F64, I32]:
    """A unit cube whose inside is smoothly distorted, so that no element is a parallelepiped."""
    points, conn = solid_box(kind, (1.0, 1.0, 1.0), (n, n, n))
    s = np.sin(np.pi * points)
    bump = s[:, :1] * s[:, 1:2] * s[:, 2:]
    return points + 0.05 * bump * np.array([1.0, -0.8, 0.6]), conn


PART = 0.5
"""Of the sine of the own coordinate, which changes volume, beside that of the next one, which shears."""


def _displacement(x: F64, size: float) -> F64:
    """u_i = size (sin k x_(i+1) + PART sin k x_i)."""
    return np.asarray(size * (np.sin(K * x[..., [1, 2, 0]]) + PART * np.sin(K * x)))


def _derivatives(x: F64, size: float) -> tuple[F64, F64]:
    """Gradient (..., i, j) and second derivatives (..., i, j) by x_j twice; mixed ones vanish."""
    first, second = np.zeros((*x.shape, 3)), np.zeros((*x.shape, 3))
    for i in range(3):
        for j, part in ((i, PART), ((i + 1) % 3, 1.0)):
            first[..., i, j] = part * size * K * np.cos(K * x[..., j])
            second[..., i, j] = -part * size * K**2 * np.sin(K * x[..., j])
    return first, second


def _errors(points: F64, conn: I32, kind: str, u: F64, size: float) -> tuple[float, float]:
    """L2 norms of the errors of displacement and gradient, by a rule finer than the element's."""
    x, dv, value, slope = interpolated(points, conn, kind, u, fine_rule(kind))
    misses = value - _displacement(x, size), slope - _derivatives(x, size)[0]
    low, high = (float(np.sqrt((dv * (m**2).reshape(*dv.shape, -1).sum(axis=-1)).sum())) for m in misses)
    return low, high


def _case(kind: str, formulation: str) -> tuple[int, tuple[int, int], float]:
    """Degree p to expect, elements along an edge, tolerance of the orders.

    Quadratic elements with one dilatation hold constant volume changes only, so they are of first order in bodies that
    do change volume; at these sizes the orders still grow (gradient in hex20 at small strain: 0.66 from 2 to 4 elements
    an edge, 0.84 from 4 to 8).
    """
    if ORDER[kind] == 2 and formulation in ("bbar", "mean_dilatation"):
        return 1, ((4, 8) if kind == "hex20" else (3, 6)), 0.35
    if ORDER[kind] == 2:
        return 2, ((2, 4) if kind == "hex20" else (3, 6)), 0.1
    return 1, (3, 6), 0.1


def _orders(name: str, p: int, found: list[tuple[float, float]], tolerance: float) -> Iterator[Row]:
    for what, errors, expected in zip(("L2", "gradient"), zip(*found, strict=True), (p + 1, p), strict=True):
        yield convergence(f"order in {what}, {name}", expected, errors, tolerance)


@rung("Convergence, small strain", MANUFACTURED)
def convergence_small() -> Iterator[Row]:
    """Sines of two coordinates, with shear and change of volume, under their body force; nu = 0.3."""
    D = isotropic(1000.0, 0.3)
    shear, lame = D[0, 3, 3], D[0, 0, 1]

    def force(x: F64) -> F64:
        """-(mu lap u + (lambda + mu) grad div u)."""
        second = _derivatives(x, 1.0)[1]
        return np.asarray(-shear * second.sum(axis=-1) - (lame + shear) * np.einsum("...ii->...i", second))

    for kind, formulation in SMALL:
        found = []
        degree, sizes, tolerance = _case(kind, formulation)
        for n in sizes:
            points, conn = _mesh(kind, n)
            load = body_load(points, conn, kind, force)
            fixed = np.repeat(on_boundary(points)[:, None], 3, axis=1)
            matrix = stiffness(points, small_group(kind, formulation, conn, D))
            u = solve_linear(matrix, fixed, _displacement(points, 1.0), load)
            found.append(_errors(points, conn, kind, u, 1.0))
        yield from _orders(f"{kind} {formulation}", degree, found, tolerance)


def _body_force(x: F64, size: float) -> F64:
    """-Div P of neo-Hookean material: P = F S, dP = dF S + F (C : F^T dF)."""
    first, second = _derivatives(x.reshape(-1, 3), size)
    F = np.eye(3) + first
    _, S, C, _ = respond("neo_hookean", F, parameters=SOFT)
    stress = voigt.stress_tensor(S)
    out = np.zeros((len(F), 3))
    for j in range(3):
        dF = np.zeros_like(F)
        dF[:, :, j] = second[:, :, j]
        strain = np.swapaxes(F, 1, 2) @ dF
        dE = voigt.strain_vector((strain + np.swapaxes(strain, 1, 2)) / 2)
        dS = voigt.stress_tensor(np.einsum("nab,nb->na", C, dE))
        out -= (dF @ stress + F @ dS)[:, :, j]
    return out.reshape(x.shape)


@rung("Convergence, finite strain", MANUFACTURED)
def convergence_finite() -> Iterator[Row]:
    """The same field, but large, in neo-Hookean material under its body force."""
    size = AMPLITUDE
    for kind, formulation in FINITE:
        if formulation.startswith("corotational"):  # another problem: linear elasticity of the stretch
            continue
        found = []
        degree, sizes, tolerance = _case(kind, formulation)
        for n in sizes:
            points, conn = _mesh(kind, n)
            load = body_load(points, conn, kind, lambda x: _body_force(x, size))
            fixed = np.repeat(on_boundary(points)[:, None], 3, axis=1)
            group = finite_group(kind, formulation, conn, "neo_hookean", SOFT)
            problem = body_problem(points, [group], fixed, values=_displacement(points, size), load=load)
            u = newton.solve(problem, [1.0]).increments[-1].x.u
            found.append(_errors(points, conn, kind, u, size))
        yield from _orders(f"{kind} {formulation}", degree, found, tolerance)
