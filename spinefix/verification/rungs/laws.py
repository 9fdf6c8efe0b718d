"""Constitutive laws at single points: derivatives and objectivity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.fem import voigt
from spinefix.materials.finite import FINITE_LAWS
from spinefix.mesh.core import F64
from spinefix.verification.ladder import Row, largest, rung
from spinefix.verification.samples import deformations, directions, green, old_state, respond, rotation

STEP = 1e-5


def _slopes(law: str, F: F64, state: F64) -> tuple[F64, F64, F64]:
    """Central differences in F: of W (n, 3, 3), of S (n, 6, 9) and of the Green-Lagrange strain (n, 6, 9)."""
    dW, dS, dE = np.empty_like(F), np.empty((len(F), 6, 9)), np.empty((len(F), 6, 9))
    for i in range(3):
        for j in range(3):
            h = np.zeros((3, 3))
            h[i, j] = STEP
            up, down = respond(law, F + h, state=state), respond(law, F - h, state=state)
            dW[:, i, j] = (up[0] - down[0]) / (2 * STEP)
            dS[..., 3 * i + j] = (up[1] - down[1]) / (2 * STEP)
            dE[..., 3 * i + j] = (green(F + h) - green(F - h)) / (2 * STEP)
    return dW, dS, dE


@rung("Stress and tangent of every law", "central differences of energy and stress, step 1e-5")
def law_tangent() -> Iterator[Row]:
    """P = F S is the derivative of W, C that of S, at random, biaxial and uniaxial deformations; with history too."""
    F = deformations()
    for law in FINITE_LAWS:
        state = old_state(law, len(F))
        _, S, C, _ = respond(law, F, state=state)
        dW, dS, dE = _slopes(law, F, state)
        size = np.abs(C).max()
        yield largest(f"stress, {law}", F @ voigt.stress_tensor(S) - dW, 1e-8, size)
        yield largest(f"tangent, {law}", C @ dE - dS, 1e-8, size)
        yield largest(f"symmetry of the tangent, {law}", C - C.transpose(0, 2, 1), 1e-13, size)


@rung("Objectivity of every law", "superposed rotation; turned material axes")
def law_objectivity() -> Iterator[Row]:
    """A rotation after the deformation changes neither W, S, C nor state; turned axes turn S; no stress from F = Q."""
    F, Q = deformations(), rotation(4)
    for law, found in FINITE_LAWS.items():
        state = old_state(law, len(F))
        before, after = respond(law, F, state=state), respond(law, Q @ F, state=state)
        gap = max(
            np.abs(a - b).max(initial=0.0) / max(np.abs(a).max(initial=0.0), 1.0)
            for a, b in zip(before, after, strict=True)
        )
        yield Row(f"energy, stress, tangent, state, {law}", 0.0, gap, 1e-11)
        stiff = np.abs(before[2]).max()
        at_rest = respond(law, np.stack([np.eye(3), Q]))[1]
        yield largest(f"stress at rest and turned, {law}", at_rest, 1e-13, stiff)
        if found.axes != "none":
            axes = directions(len(F))
            S = voigt.stress_tensor(respond(law, F, axes=axes)[1])
            turned = voigt.stress_tensor(respond(law, F @ Q.T, axes=axes @ Q.T)[1])
            yield largest(f"turned axes, {law}", turned - Q @ S @ Q.T, 1e-12, stiff)
