"""One material of every finite-strain law, and a driver of single integration points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spinefix.errors import MaterialError
from spinefix.fem import voigt
from spinefix.materials.finite import FINITE_LAWS, parameter_rows
from spinefix.materials.finite.law import Value
from spinefix.mesh.core import F64
from spinefix.verification.small import ORTHOTROPIC

SAMPLES: Mapping[str, Mapping[str, Value]] = {
    "saint_venant_kirchhoff": {"E_MPa": 10.0, "nu": 0.3},
    "orthotropic_saint_venant_kirchhoff": ORTHOTROPIC,
    "neo_hookean": {"mu_MPa": 2.0, "K_MPa": 30.0},
    "mooney_rivlin": {"C10_MPa": 0.6, "C01_MPa": 0.3, "K_MPa": 20.0, "volumetric": "quadratic"},
    "yeoh": {"C10_MPa": 0.6, "C20_MPa": -0.05, "C30_MPa": 0.2, "K_MPa": 25.0, "volumetric": "logarithmic"},
    "holzapfel_gasser_ogden": {"C10_MPa": 0.5, "K_MPa": 25.0, "k1_MPa": 3.0, "k2": 2.0, "kappa": 0.1},
    "fibres_exponential": {"C10_MPa": 0.5, "C01_MPa": 0.1, "K_MPa": 25.0, "k1_MPa": 3.0, "k2": 2.0},
    "fibres_tabulated": {
        "C10_MPa": 0.5,
        "C01_MPa": 0.1,
        "K_MPa": 25.0,
        "fibre_fraction": 0.2,
        "fibre_strain": [0.0, 0.03, 0.07, 0.2],
        "fibre_stress_MPa": [0.0, 2.0, 11.0, 60.0],
    },
    "hencky": {"E_MPa": 10.0, "nu": 0.3},
    "plastic_j2": {
        "E_MPa": 10.0,
        "nu": 0.3,
        "yield_MPa": 0.5,
        "hardening_MPa": 1.0,
        "saturation_MPa": 0.4,
        "saturation_rate": 5.0,
    },
    "crushable": {
        "E_MPa": 10.0,
        "nu": 0.3,
        "yield_tension_MPa": 0.4,
        "yield_compression_MPa": 0.6,
        "yield_hydrostatic_MPa": 0.5,
        "hardening_MPa": 0.5,
        "residual": 0.6,
        "softening_strain": 0.1,
        "densification_MPa": 3.0,
        "densification_strain": 0.3,
    },
}
"""Numbers chosen so that every term matters; none is a tissue."""


def sample(law: str) -> Mapping[str, Value]:
    """Return the sample of a law.

    Raises
    ------
    MaterialError
        The law has none: a new law must bring one, or it would go unverified.
    """
    if law not in SAMPLES:
        raise MaterialError(f"law {law!r} has no sample in spinefix.verification.samples; add one to verify it")
    return SAMPLES[law]


def rotation(seed: int = 0) -> F64:
    """Return some rotation matrix (3, 3)."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def deformations(n: int = 6, size: float = 0.25, seed: int = 1) -> F64:
    """Return gradients (n, 3, 3) with det F > 0, among them one of two equal stretches and a uniaxial one."""
    F = np.eye(3) + size * np.random.default_rng(seed).uniform(-1, 1, (n, 3, 3))
    R = rotation(7)
    F[1] = R @ np.diag([1.2, 0.9, 0.9])
    F[2] = np.diag([1.1, 1.0, 1.0])
    return np.asarray(F)


def directions(n: int, seed: int = 3) -> F64:
    """Return three unit directions per point (n, 3, 3), perpendicular to each other."""
    return np.tile(rotation(seed).T[None], (n, 1, 1))


def respond(
    law: str,
    F: F64,
    *,
    parameters: Mapping[str, Value] | None = None,
    axes: F64 | None = None,
    state: F64 | None = None,
    tangent: int = 1,
) -> tuple[F64, F64, F64, F64]:
    """Return W (n,), S (n, 6), C (n, 6, 6) and new state (n, s) of a law at deformation gradients F (n, 3, 3).

    Raises
    ------
    MaterialError
        The law has no answer at a point.
    """
    found = FINITE_LAWS[law]
    F = np.ascontiguousarray(F, np.float64)
    n = len(F)
    params = parameter_rows(found, [parameters or sample(law)])
    if axes is None:
        axes = directions(n) if found.axes != "none" else np.zeros((n, 0, 3))
    axes = np.ascontiguousarray(np.broadcast_to(axes, (n, *axes.shape[-2:])))
    if state is None:
        state = np.tile(np.array(found.virgin), (n, 1))
    W, S, C, new = np.empty(n), np.empty((n, 6)), np.zeros((n, 6, 6)), np.empty((n, found.n_state))
    status = found.update(F, np.zeros(n, np.int32), params, axes, state, tangent, W, S, C, new)
    if status != 0:
        raise MaterialError(f"{law} has no answer at point {status - 1}")
    return W, S, C, new


def old_state(law: str, n: int) -> F64:
    """Return the state (n, s) after a strong deformation, so that laws with history have one."""
    F = np.eye(3) + 0.15 * np.random.default_rng(5).uniform(-1, 1, (n, 3, 3))
    return respond(law, F)[3] if FINITE_LAWS[law].n_state else np.zeros((n, 0))


def green(F: F64) -> F64:
    """Return the Green-Lagrange strains (..., 6), engineering shears."""
    return np.asarray(voigt.strain_vector((np.swapaxes(F, -1, -2) @ F - np.eye(3)) / 2))


def kirchhoff(F: F64, S: F64) -> F64:
    """Return the Kirchhoff stresses (..., 3, 3) of second Piola-Kirchhoff stresses (..., 6)."""
    return np.asarray(F @ voigt.stress_tensor(S) @ np.swapaxes(F, -1, -2))
