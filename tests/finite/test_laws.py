"""Promises of every finite-strain law, and closed forms of single laws."""

import numpy as np
import pytest
from cases import CASES, deformations, directions, kirchhoff, respond, rotation, small_strain_elasticity

from spinefix import materials
from spinefix.errors import MaterialError
from spinefix.fem import voigt
from spinefix.materials.finite import FINITE_LAWS, VOLUMETRIC, finite_law, parameter_rows
from spinefix.materials.finite.volumetric import volumetric


@pytest.mark.parametrize("name", CASES)
def test_no_stress_at_rest_and_none_from_rotation(name):
    F = np.stack([np.eye(3), rotation(1), rotation(2)])
    W, S, C, new = respond(name, F)
    size = np.abs(C).max()
    np.testing.assert_allclose(S, 0.0, atol=1e-14 * size)
    np.testing.assert_allclose(W, 0.0, atol=1e-14 * size)
    np.testing.assert_allclose(new, np.tile(FINITE_LAWS[name].virgin, (3, 1)), atol=1e-14)
    symmetric = C if name not in ("holzapfel_gasser_ogden", "fibres_exponential", "fibres_tabulated") else C[:1]
    assert np.linalg.eigvalsh(symmetric).min() > 0.0


@pytest.mark.parametrize("name", CASES)
def test_stress_without_tangent_is_the_same(name):
    F = deformations()
    W, S, _, new = respond(name, F)
    W0, S0, C0, new0 = respond(name, F, tangent=0)
    np.testing.assert_array_equal(W, W0)
    np.testing.assert_array_equal(S, S0)
    np.testing.assert_array_equal(new, new0)
    assert not C0.any()


@pytest.mark.parametrize("name", CASES)
def test_collapsed_points_are_reported(name):
    law = FINITE_LAWS[name]
    F = np.stack([np.eye(3), np.diag([1.0, 1.0, -0.1]), np.eye(3)])
    state = np.tile(np.array(law.virgin), (3, 1))
    W, S, C, new = np.empty(3), np.empty((3, 6)), np.empty((3, 6, 6)), np.empty_like(state)
    params = parameter_rows(law, [CASES[name]])
    assert law.update(F, np.zeros(3, np.int32), params, directions(3), state, 1, W, S, C, new) == 2


def test_small_strain_limits_are_the_linear_laws():
    iso = materials.elasticity("isotropic", {"E_MPa": 10.0, "nu": 0.3})[0]
    for name in ("saint_venant_kirchhoff", "hencky", "plastic_j2", "crushable"):
        np.testing.assert_allclose(small_strain_elasticity(name), iso, rtol=1e-13, atol=1e-13)
    ortho = materials.elasticity("orthotropic", CASES["orthotropic_saint_venant_kirchhoff"])
    np.testing.assert_allclose(
        small_strain_elasticity("orthotropic_saint_venant_kirchhoff"),
        voigt.rotate_elasticity(ortho[0], directions(1)[0].T),
        atol=1e-12,
    )
    for name, mu, K in (("neo_hookean", 2.0, 30.0), ("mooney_rivlin", 1.8, 20.0), ("yeoh", 1.2, 25.0)):
        E, nu = 9 * K * mu / (3 * K + mu), (3 * K - 2 * mu) / (6 * K + 2 * mu)
        linear = materials.elasticity("isotropic", {"E_MPa": E, "nu": nu})[0]
        np.testing.assert_allclose(small_strain_elasticity(name), linear, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", VOLUMETRIC)
def test_volumetric_energies(name):
    code, K, h = VOLUMETRIC[name], 7.0, 1e-4
    assert volumetric(code, K, 1.0) == (0.0, 0.0, K)
    for J in (0.6, 0.95, 1.3):
        U, dU, ddU = volumetric(code, K, J)
        up, down = volumetric(code, K, J + h), volumetric(code, K, J - h)
        assert U > 0.0
        assert dU == pytest.approx((up[0] - down[0]) / (2 * h), rel=1e-6)
        assert ddU == pytest.approx((up[1] - down[1]) / (2 * h), rel=1e-6)


def test_neo_hookean_uniaxial_isochoric():
    """sigma_1 - sigma_2 = mu (l^2 - 1/l) at constant volume, any bulk modulus."""
    stretch = np.array([0.5, 0.8, 1.4, 2.5])
    F = np.array([np.diag([l, l**-0.5, l**-0.5]) for l in stretch])
    tau = kirchhoff(F, respond("neo_hookean", F)[1])
    np.testing.assert_allclose(tau[:, 0, 0] - tau[:, 1, 1], 2.0 * (stretch**2 - 1 / stretch), rtol=1e-12)


def test_mooney_rivlin_equibiaxial_isochoric():
    """sigma_1 - sigma_3 = 2 (l^2 - l^-4) (C10 + l^2 C01)."""
    l = 1.7
    F = np.diag([l, l, l**-2])[None]
    tau = kirchhoff(F, respond("mooney_rivlin", F)[1])[0]
    assert tau[0, 0] - tau[2, 2] == pytest.approx(2 * (l**2 - l**-4) * (0.6 + l**2 * 0.3), rel=1e-12)


def hgo_cauchy(F, axes, C10, K, k1, k2, kappa):
    """Spatial form of the law, derived separately: sigma from push-forward of each term."""
    J = np.linalg.det(F)
    b = F @ F.T * J ** (-2 / 3)

    def deviator(t):
        return t - np.trace(t) / 3 * np.eye(3)

    sigma = K / 2 * (J - 1 / J) * np.eye(3) + 2 * C10 / J * deviator(b)
    for a in axes:
        m = J ** (-1 / 3) * F @ a
        E = kappa * (np.trace(b) - 3) + (1 - 3 * kappa) * (m @ m - 1)
        if E > 0:
            H = kappa * b + (1 - 3 * kappa) * np.outer(m, m)
            sigma = sigma + 2 * k1 * E * np.exp(k2 * E**2) / J * deviator(H)
    return sigma


@pytest.mark.parametrize(
    "F", [np.diag([1.3, 0.9, 0.87]), np.diag([1.2, 1.15, 0.75]), np.diag([0.8, 1.1, 1.12]), deformations()[3]]
)
def test_holzapfel_stress_by_independent_formula(F):
    angle = np.deg2rad(30.0)
    axes = np.array([[np.cos(angle), np.sin(angle), 0.0], [np.cos(angle), -np.sin(angle), 0.0]])
    p = {"C10_MPa": 0.18, "K_MPa": 9.0, "k1_MPa": 1.8, "k2": 11.0, "kappa": 0.11}
    S = respond("holzapfel_gasser_ogden", F[None], parameters=p, axes=axes[None])[1]
    sigma = kirchhoff(F, S[0]) / np.linalg.det(F)
    np.testing.assert_allclose(sigma, hgo_cauchy(F, axes, 0.18, 9.0, 1.8, 11.0, 0.11), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["holzapfel_gasser_ogden", "fibres_exponential", "fibres_tabulated"])
def test_fibres_carry_tension_only_and_zeros_are_absent(name):
    along = np.array([[[1.0, 0.0, 0.0]]])
    p = {**CASES[name], **({"kappa": 0.0} if name == "holzapfel_gasser_ogden" else {})}
    F = np.stack([np.diag([l, 1.0, 1.0 / l]) for l in (0.9, 1.1)])
    with_fibres, without = (respond(name, F, parameters=p, axes=a)[1] for a in (along, np.zeros((1, 1, 3))))
    np.testing.assert_array_equal(with_fibres[0], without[0])
    assert with_fibres[1, 0] > 1.2 * without[1, 0]


def test_tabulated_fibres_give_back_their_table():
    p = CASES["fibres_tabulated"]
    strain = np.array([0.0, 0.015, 0.03, 0.05, 0.07, 0.1, 0.2, 0.25])
    expected = np.interp(strain, p["fibre_strain"], p["fibre_stress_MPa"])
    expected[-1] = 60.0 + 0.05 * 49.0 / 0.13  # the last slope goes on
    F = np.array([np.diag([1 + e, 1.0, 1 / (1 + e)]) for e in strain])
    along = np.array([[[1.0, 0.0, 0.0]]])
    got = [respond("fibres_tabulated", F, axes=a)[:2] for a in (along, np.zeros((1, 1, 3)))]
    nominal = (got[0][1] - got[1][1])[:, 0] * (1 + strain)
    np.testing.assert_allclose(nominal, 0.2 * expected, atol=1e-12)
    energy = [
        np.trapezoid(np.interp(x := np.linspace(0, e, 20001), p["fibre_strain"], p["fibre_stress_MPa"]), x)
        for e in strain[:-1]
    ]
    np.testing.assert_allclose((got[0][0] - got[1][0])[:-1], 0.2 * np.array(energy), atol=1e-7)


def test_hencky_uniaxial():
    """tau = E ln(l) when the transverse logarithmic strain is -nu ln(l)."""
    log = np.array([-1.0, -0.3, 0.2, 0.8])
    F = np.array([np.diag(np.exp([e, -0.3 * e, -0.3 * e])) for e in log])
    tau = kirchhoff(F, respond("hencky", F)[1])
    np.testing.assert_allclose(tau[:, 0, 0], 10.0 * log, rtol=1e-12)
    np.testing.assert_allclose(tau[:, 1, 1], 0.0, atol=1e-12)


def test_plastic_strain_keeps_volume_and_unloading_is_elastic():
    F = np.eye(3) + np.array([[0.0, 0.3, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.1]])
    state = respond("plastic_j2", F[None])[3]
    assert state[0, 6] > 0.05
    assert np.linalg.det(voigt.stress_tensor(state[0, :6])) == pytest.approx(1.0, rel=1e-12)
    W, S, C, again = respond("plastic_j2", F[None], state=state)
    np.testing.assert_allclose(again, state, rtol=1e-12, atol=1e-13)  # on the yield surface, no further flow
    back = np.eye(3) + 0.98 * (F - np.eye(3))
    np.testing.assert_array_equal(respond("plastic_j2", back[None], state=state)[3], state)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("neo_hookean", {"mu_MPa": 0.0}, "mu_MPa must be above 0"),
        ("neo_hookean", {"volumetric": "cubic"}, "unknown volumetric energy"),
        ("neo_hookean", {"E_MPa": 1.0}, "has no parameter E_MPa"),
        ("mooney_rivlin", {"C10_MPa": -0.5}, "must be positive"),
        ("holzapfel_gasser_ogden", {"kappa": 0.4}, "must not exceed 1/3"),
        ("fibres_tabulated", {"fibre_strain": [0.0, 0.1, 0.05, 0.2]}, "must rise"),
        ("fibres_tabulated", {"fibre_stress_MPa": [0.0, 1.0]}, "as many stresses"),
        ("fibres_tabulated", {"fibre_strain": [0.01, 0.03, 0.05, 0.2]}, "start at zero"),
        ("plastic_j2", {"yield_MPa": -1.0}, "yield_MPa must be above 0"),
    ],
)
def test_unusable_numbers_are_refused(name, change, message):
    with pytest.raises(MaterialError, match=message):
        parameter_rows(FINITE_LAWS[name], [{**CASES[name], **change}])


def test_missing_numbers_and_unknown_laws_are_refused():
    with pytest.raises(MaterialError, match="lacks K_MPa"):
        parameter_rows(finite_law("neo_hookean"), [{"mu_MPa": 1.0}])
    with pytest.raises(MaterialError, match="did you mean 'neo_hookean'"):
        finite_law("neo_hokean")


def test_codes_are_stable_and_names_agree():
    assert {n: law.code for n, law in FINITE_LAWS.items()} == {
        "saint_venant_kirchhoff": 1,
        "orthotropic_saint_venant_kirchhoff": 2,
        "neo_hookean": 3,
        "mooney_rivlin": 4,
        "yeoh": 5,
        "holzapfel_gasser_ogden": 6,
        "fibres_exponential": 7,
        "fibres_tabulated": 8,
        "hencky": 9,
        "plastic_j2": 10,
        "crushable": 11,
    }
    assert all(law.name == n for n, law in FINITE_LAWS.items())
    assert VOLUMETRIC == {"quadratic": 0, "mixed": 1, "logarithmic": 2}
