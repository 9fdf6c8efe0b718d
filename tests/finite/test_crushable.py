"""Crushable bone: strengths, closed forms of bars, crushing, softening and its energy."""

import numpy as np
import pytest
from cases import CASES, kirchhoff, respond, rotation
from finitetools import Body, group, mesh_of
from test_solutions import pull

from spinefix.errors import MaterialError
from spinefix.materials.finite import finite_law, parameter_rows
from spinefix.materials.finite.crushable import softening_strain

PERFECT = {k: v for k, v in CASES["crushable"].items() if k in ("E_MPa", "nu") or k.startswith("yield")}
E, K, MU = 10.0, 10.0 / 3 / 0.4, 10.0 / 2 / 1.3
T, C, H = PERFECT["yield_tension_MPa"], PERFECT["yield_compression_MPa"], PERFECT["yield_hydrostatic_MPa"]


def elastic(tau):
    """Principal logarithmic strains of principal Kirchhoff stresses."""
    tau = np.asarray(tau)
    return tau / (2 * MU) - 0.3 / E * tau.sum()


@pytest.mark.parametrize("stress", [[T, 0, 0], [-C, 0, 0], [-H, -H, -H]])
def test_strengths_are_those_asked_for(stress):
    """Just inside the surface the state stays virgin, just outside it changes."""
    Q = rotation(3)
    for factor, yields in ((1 - 1e-9, False), (1 + 1e-9, True)):
        F = Q @ np.diag(np.exp(elastic(factor * np.array(stress)))) @ Q.T
        _, S, _, new = respond("crushable", F[None], parameters=PERFECT)
        np.testing.assert_allclose(kirchhoff(F[None], S)[0], Q @ np.diag(stress) @ Q.T, atol=1e-8)
        assert (new[0, 6] > 0.0) == yields


@pytest.mark.parametrize(("sign", "formulation"), [(1, "standard"), (-1, "mean_dilatation"), (-1, "enhanced")])
def test_bar_with_hardening(sign, formulation):
    """Kirchhoff stress s R(kappa) / compressive strength, plastic strain kappa times compressive strength over s."""
    parameters = PERFECT | {"hardening_MPa": 1.5}
    points, conn = mesh_of("hex8", (2.0, 1.0, 1.0), (2, 1, 1))
    body = Body(points, group("hex8", formulation, conn, "crushable", parameters))
    s = T if sign > 0 else C
    strains = sign * np.array([0.5 * s / E, 0.15, 0.25, 0.24])
    nominal, _ = pull(body, np.exp(strains), 2.0)
    # |eps| = tau / E + kappa C / s, tau = s / C (C + 1.5 kappa)
    kappa = (np.abs(strains[1:3]) - s / E) / (1.5 * s / C / E + C / s)
    tau = s / C * (C + 1.5 * kappa)
    expected = sign * np.array([0.5 * s, *tau, tau[-1] - 0.01 * E])
    np.testing.assert_allclose(nominal, expected / np.exp(strains), rtol=1e-8)
    np.testing.assert_allclose(body.state.old[..., 6], kappa[-1], rtol=1e-8)


def test_pores_that_close_carry_load_again():
    """Hydrostatic compression: -p = H + D (e / d)^3 with the plastic volume strain e = theta - p / K."""
    D, d = 3.0, 0.3
    parameters = PERFECT | {"densification_MPa": D, "densification_strain": d}
    plastic = np.array([-0.05, -0.2, -0.4])
    p = -H - D * (-plastic / d) ** 3
    theta = plastic + p / K
    F = np.exp(theta / 3)[:, None, None] * np.eye(3)
    _, S, C_, new = respond("crushable", F, parameters=parameters)
    np.testing.assert_allclose(kirchhoff(F, S), p[:, None, None] * np.eye(3), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(new[:, 7], plastic, rtol=1e-9)
    assert (np.linalg.eigvalsh(C_)[:, 0] > 0.0).any()


def test_compaction_and_dilation():
    """Uniaxial compression crushes (volume falls), tension opens; both are stored in the state and in det Fp."""
    for sign in (1, -1):
        F = np.diag(np.exp(sign * np.array([0.2, -0.05, -0.05])))
        new = respond("crushable", F[None], parameters=PERFECT)[3][0]
        tensor = np.array([[new[0], new[3], new[5]], [new[3], new[1], new[4]], [new[5], new[4], new[2]]])
        assert -0.5 * np.log(np.linalg.det(tensor)) == pytest.approx(new[7], rel=1e-10)
        assert sign * new[7] > 0.0


def test_softening_bar_spends_the_work_asked_for():
    """One layer of elements in compression: the work beyond the residual stress is work per area times area."""
    size, work, residual = 0.5, 0.12, 0.3
    k = softening_strain(work, C, residual, size)
    parameters = PERFECT | {"residual": residual, "softening_strain": k}
    strains = -np.concatenate([np.linspace(0.0, 1.2 * C / E, 10)[1:], np.linspace(1.2 * C / E, 2.0, 400)[1:]])
    state, spent, before = None, 0.0, 0.0
    lateral = 0.0
    for strain in strains:
        for _ in range(60):  # lateral stress vanishes
            F = np.diag(np.exp([strain, lateral, lateral]))[None]
            _, S, tangent, new = respond("crushable", F, parameters=parameters, state=state)
            step = S[0, 1] / (tangent[0, 1, 1] + tangent[0, 1, 2]) / np.exp(2 * lateral)
            lateral -= step
            if abs(step) < 1e-13:
                break
        tau = kirchhoff(F, S)[0, 0, 0]
        kappa = new[0, 6]
        assert tau == pytest.approx(-C * (residual + (1 - residual) * np.exp(-kappa / k)), rel=1e-7) or kappa == 0.0
        before_kappa = 0.0 if state is None else state[0, 6]
        spent += (kappa - before_kappa) * (0.5 * (abs(tau) + before) - residual * C)
        before, state = abs(tau), new
    assert state[0, 6] > 3.0 * k
    assert spent * size == pytest.approx(work * (1.0 - np.exp(-state[0, 6] / k)), rel=1e-3)


def test_unusable_numbers_are_refused():
    law = finite_law("crushable")
    for change, match in (
        ({"yield_hydrostatic_MPa": 0.15}, "must exceed a third"),
        ({"residual": 1.2, "softening_strain": 0.1}, "must not exceed 1"),
        ({"residual": 0.0, "softening_strain": 0.05}, "faster than the elements can unload"),
    ):
        with pytest.raises(MaterialError, match=match):
            parameter_rows(law, [PERFECT | change])
    with pytest.raises(MaterialError, match="must be positive"):
        softening_strain(0.0, 1.0, 0.0, 1.0)
