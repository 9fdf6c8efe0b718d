"""Plasticity: bar and beam section, loaded and unloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.optimize import brentq

from spinefix.fem import newton
from spinefix.materials.finite.law import Value
from spinefix.verification.bodies import TIGHT, body_problem, finite_group
from spinefix.verification.ladder import Row, rung
from spinefix.verification.meshes import solid_box
from spinefix.verification.samples import sample

_BARS = (("hex8", "standard"), ("hex8", "mean_dilatation"), ("hex8", "enhanced"), ("hex20", "standard"))


@rung("Elastic-plastic bar", "one-dimensional return mapping in logarithmic strain, solved by bisection")
def plastic_bar() -> Iterator[Row]:
    """Tension, unloading and compression: eps = tau / E + p, tau = yield stress of the plastic strain passed."""
    p = sample("plastic_j2")
    E, nu = 10.0, 0.3
    strains = np.array([0.03, 0.08, 0.2, 0.17, -0.1])

    def yield_stress(passed: float) -> float:
        return float(0.5 + 1.0 * passed + 0.4 * (1 - np.exp(-5.0 * passed)))

    plastic, passed, expected = 0.0, 0.0, []
    for eps in strains:
        tau = E * (eps - plastic)
        if abs(tau) > yield_stress(passed):
            sign, trial, before = np.sign(tau), abs(tau), passed
            step = float(brentq(_overshoot, 0.0, 1.0, args=(trial, E, before, yield_stress), xtol=1e-15))
            plastic, passed = plastic + sign * step, passed + step
            tau = sign * yield_stress(passed)
        expected.append(tau / np.exp(eps))
    width = np.exp(-nu * (strains[-1] - plastic) - 0.5 * plastic)
    for kind, formulation in _BARS:
        points, conn = solid_box(kind, (2.0, 1.0, 1.0), (2, 1, 1))
        end = points[:, 0] == 2.0
        fixed = points == 0.0
        fixed[end, 0] = True
        values = np.zeros((len(strains), *points.shape))
        values[:, end, 0] = 2.0 * np.expm1(strains)[:, None]
        problem = body_problem(points, [finite_group(kind, formulation, conn, "plastic_j2", p)], fixed, values=values)
        path = newton.solve(problem, [k + 1.0 for k in range(len(strains))], TIGHT)
        for eps, nominal, found in zip(strains, expected, path.increments, strict=True):
            force = float(found.reactions[: len(points)][end, 0].sum())
            yield Row(f"nominal stress at log strain {eps:g}, {kind} {formulation}", float(nominal), force, 1e-8)
        ours = 1.0 + path.increments[-1].x.u[points[:, 1] == 1.0, 1].mean()
        yield Row(f"width, {kind} {formulation}", float(width), float(ours), 1e-8)


def _overshoot(step: float, trial: float, E: float, passed: float, yield_stress: object) -> float:
    """Stress beyond the yield stress after a plastic step."""
    return trial - E * step - yield_stress(passed + step)  # type: ignore[operator,no-any-return]


@rung("Plastic bending of a section", "Prager W, Hodge PG (1951), Theory of perfectly plastic solids, Wiley, chapter 2")
def plastic_bending() -> Iterator[Row]:
    """A rectangular section bent to three times its elastic curvature and half way back, perfectly plastic.

    M / M_y = 3/2 - (k_y / k)^2 / 2 on the way out, elastic on the way back until twice M_y are taken off. The strains
    are of the order 1e-4, so that small-strain theory holds to 1e-3.
    """
    E, stress, n, length = 1e4, 1.0, 16, 0.25
    metal: Mapping[str, Value] = {
        "E_MPa": E, "nu": 0.3, "yield_MPa": stress, "hardening_MPa": 0.0, "saturation_MPa": 0.0, "saturation_rate": 0.0,
    }  # fmt: skip
    k_y, M_y = 2 * stress / E, stress / 6
    curvature = np.array([0.8, 1.5, 3.0, 1.5])
    exact = [0.8, 1.5 - 0.5 / 1.5**2, 1.5 - 0.5 / 3**2, 1.5 - 0.5 / 3**2 - 1.5]
    points, conn = solid_box("hex20", (length, 1.0, 1.0), (1, 1, n))
    points = points - [length / 2, 0.0, 0.5]
    ends = np.abs(points[:, 0]) > length / 2 - 1e-9
    fixed = np.zeros(points.shape, bool)
    fixed[ends, 0] = True
    fixed[points[:, 1] < 1e-9, 1] = True
    fixed[np.argmin(np.linalg.norm(points - [length / 2, 0.0, 0.0], axis=1)), 2] = True
    values = np.zeros((len(curvature), *points.shape))
    values[:, ends, 0] = -(k_y * curvature)[:, None] * points[ends, 2] * points[ends, 0]
    problem = body_problem(points, [finite_group("hex20", "standard", conn, "plastic_j2", metal)], fixed, values=values)
    path = newton.solve(problem, [1.0, 2.0, 3.0, 4.0])
    face = points[:, 0] > 0.0
    face &= ends
    for k, moment, found in zip(curvature, exact, path.increments, strict=True):
        ours = -(found.reactions[: len(points)][face, 0] * points[face, 2]).sum()
        yield Row(f"moment / M_y at curvature {k:g} k_y", moment, float(ours / M_y), 0.003, scale=1.0)
