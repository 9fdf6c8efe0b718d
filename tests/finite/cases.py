"""One material of every finite-strain law, and a driver of single integration points."""

from __future__ import annotations

import numpy as np

from spinefix.fem import voigt
from spinefix.materials.finite import FINITE_LAWS, parameter_rows

CASES = {
    "saint_venant_kirchhoff": {"E_MPa": 10.0, "nu": 0.3},
    "orthotropic_saint_venant_kirchhoff": dict(
        E1_MPa=20.0, E2_MPa=12.0, E3_MPa=9.0, G12_MPa=4.0, G23_MPa=3.0, G31_MPa=5.0, nu12=0.3, nu23=0.2, nu31=0.1
    ),
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

assert set(CASES) == set(FINITE_LAWS)


def rotation(seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def deformations(n=6, size=0.25, seed=1):
    """Gradients with det F > 0, among them the identity, a uniaxial stretch and one with two equal stretches."""
    F = np.eye(3) + size * np.random.default_rng(seed).uniform(-1, 1, (n, 3, 3))
    R = rotation(7)
    F[1] = R @ np.diag([1.2, 0.9, 0.9])
    F[2] = np.diag([1.1, 1.0, 1.0])
    assert (np.linalg.det(F) > 0).all()
    return F


def directions(n, seed=3):
    """Three unit directions per point, the first two perpendicular."""
    return np.tile(rotation(seed).T[None], (n, 1, 1))


def respond(name, F, *, parameters=None, axes=None, state=None, tangent=1):
    """W, S, C, new state of the law at deformation gradients F (n, 3, 3)."""
    law = FINITE_LAWS[name]
    F = np.ascontiguousarray(F, np.float64)
    n = len(F)
    params = parameter_rows(law, [parameters or CASES[name]])
    if axes is None:
        axes = directions(n) if law.axes != "none" else np.zeros((n, 0, 3))
    axes = np.ascontiguousarray(np.broadcast_to(axes, (n, *axes.shape[-2:])))
    if state is None:
        state = np.tile(np.array(law.virgin), (n, 1))
    W, S, C, new = np.empty(n), np.empty((n, 6)), np.zeros((n, 6, 6)), np.empty((n, law.n_state))
    status = law.update(F, np.zeros(n, np.int32), params, axes, state, tangent, W, S, C, new)
    assert status == 0
    return W, S, C, new


def small_strain_elasticity(name):
    """Tangent (6, 6) at F = I."""
    return respond(name, np.eye(3)[None])[2][0]


def green(F):
    return voigt.strain_vector((np.swapaxes(F, -1, -2) @ F - np.eye(3)) / 2)


def kirchhoff(F, S):
    return F @ voigt.stress_tensor(S) @ np.swapaxes(F, -1, -2)
