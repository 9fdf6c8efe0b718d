"""Linear laws and the Voigt order."""

import numpy as np
import pytest

from spinefix.errors import MaterialError
from spinefix.fem import voigt
from spinefix.materials import LAWS, elasticity

ORTHO = dict(E1_MPa=20.0, E2_MPa=12.0, E3_MPa=9.0, G12_MPa=4.0, G23_MPa=3.0, G31_MPa=5.0, nu12=0.3, nu23=0.2, nu31=0.1)


def rotation(seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def test_voigt_round_trips():
    rng = np.random.default_rng(1)
    s = rng.normal(size=(4, 6))
    np.testing.assert_array_equal(voigt.stress_vector(voigt.stress_tensor(s)), s)
    np.testing.assert_allclose(voigt.strain_vector(voigt.strain_tensor(s)), s, rtol=1e-15)
    assert np.einsum("nij,nij->n", voigt.stress_tensor(s), voigt.strain_tensor(s[::-1])) == pytest.approx(
        (s * s[::-1]).sum(axis=1)
    )
    D = elasticity("orthotropic", ORTHO)
    np.testing.assert_array_equal(voigt.elasticity_matrix(voigt.elasticity_tensor(D)), D)


def test_turned_elasticity_gives_the_turned_stress():
    D = elasticity("orthotropic", ORTHO)[0]
    R = rotation()
    strain = np.random.default_rng(2).normal(size=6)
    turned = voigt.strain_vector(R @ voigt.strain_tensor(strain) @ R.T)
    stress = voigt.stress_tensor(voigt.rotate_elasticity(D, R) @ turned)
    np.testing.assert_allclose(stress, R @ voigt.stress_tensor(D @ strain) @ R.T, rtol=1e-12, atol=1e-12)


def test_isotropic_in_tension_and_shear():
    D = elasticity("isotropic", {"E_MPa": 210.0, "nu": 0.3})[0]
    np.testing.assert_allclose(np.linalg.inv(D)[0], np.array([1, -0.3, -0.3, 0, 0, 0]) / 210.0, atol=1e-15)
    assert D[3, 3] == pytest.approx(210.0 / 2.6)
    R = rotation(3)
    np.testing.assert_allclose(voigt.rotate_elasticity(D, R), D, atol=1e-11)


def test_orthotropic_constants_are_those_of_the_compliance():
    S = np.linalg.inv(elasticity("orthotropic", ORTHO)[0])
    np.testing.assert_allclose(1 / np.diag(S), [20.0, 12.0, 9.0, 4.0, 3.0, 5.0], rtol=1e-12)
    assert -S[1, 0] * 20.0 == pytest.approx(0.3)
    assert -S[2, 1] * 12.0 == pytest.approx(0.2)
    assert -S[0, 2] * 9.0 == pytest.approx(0.1)
    isotropic = dict(E1_MPa=9.0, E2_MPa=9.0, E3_MPa=9.0, nu12=0.2, nu23=0.2, nu31=0.2)
    isotropic.update(G12_MPa=3.75, G23_MPa=3.75, G31_MPa=3.75)
    np.testing.assert_allclose(
        elasticity("orthotropic", isotropic), elasticity("isotropic", {"E_MPa": 9.0, "nu": 0.2}), atol=1e-12
    )


def test_fibres_resist_along_themselves_only():
    R = rotation(4)
    fibres = np.array([[R[:, 0], R[:, 1]], [R[:, 0], np.zeros(3)], [np.zeros(3), np.zeros(3)]])
    law = {"E_MPa": 4.0, "nu": 0.45, "fibre_MPa": 80.0}
    D = elasticity("fibre_reinforced", law, fibres)
    ground = elasticity("isotropic", law)[0]
    np.testing.assert_array_equal(D[2], ground)
    for axis, expected in ((0, (80.0, 80.0)), (1, (80.0, 0.0)), (2, (0.0, 0.0))):
        strain = voigt.strain_vector(np.outer(R[:, axis], R[:, axis]))
        for e in (0, 1):
            assert strain @ (D[e] - ground) @ strain == pytest.approx(expected[e], abs=1e-11)


@pytest.mark.parametrize(
    ("law", "parameters", "message"),
    [
        ("isotropic", {"E_MPa": -1.0, "nu": 0.3}, "E_MPa must be positive"),
        ("isotropic", {"E_MPa": 1.0, "nu": 0.5}, "nu must lie"),
        ("isotropic", {"E_MPa": 1.0}, "lacks nu"),
        ("isotropc", {}, "did you mean 'isotropic'"),
        ("orthotropic", {**ORTHO, "nu12": 1.5}, "not positive definite"),
        ("orthotropic", {**ORTHO, "G12_MPa": 0.0}, "not positive definite"),
        ("fibre_reinforced", {"E_MPa": 1.0, "nu": 0.3, "fibre_MPa": 1.0}, "needs fibre directions"),
    ],
)
def test_unusable_constants_are_refused(law, parameters, message):
    with pytest.raises(MaterialError, match=message):
        elasticity(law, parameters)


def test_bent_directions_and_negative_fibres_are_refused():
    law = {"E_MPa": 1.0, "nu": 0.3, "fibre_MPa": 1.0}
    with pytest.raises(MaterialError, match="unit length"):
        elasticity("fibre_reinforced", law, np.full((1, 2, 3), 0.5))
    with pytest.raises(MaterialError, match="must not be negative"):
        elasticity("fibre_reinforced", {**law, "fibre_MPa": -1.0}, np.zeros((1, 2, 3)))


@pytest.mark.parametrize("name", LAWS)
def test_every_law_promises_symmetric_positive_definite_matrices(name):
    law = LAWS[name]
    assert law.name == name
    numbers = {p: 0.25 if p.startswith("nu") else 10.0 for p in law.parameters}
    fibres = np.tile(np.eye(3)[:2], (3, 1, 1))
    D = elasticity(name, numbers, fibres)
    assert D.shape == ((3 if law.needs_fibres else 1), 6, 6)
    np.testing.assert_allclose(D, D.transpose(0, 2, 1), atol=1e-13)
    assert np.linalg.eigvalsh(D).min() > 0
