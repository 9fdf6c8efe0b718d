"""Enhanced hex8: the linear limit, locking, hourglass stability under compression, history of the amplitudes."""

import numpy as np
import pytest
from cases import respond
from finitetools import Body, distorted, group, mesh_of
from test_solutions import bar_supports, squeeze

from spinefix import materials
from spinefix.fem import finite_points
from spinefix.fem.assembly import SolidGroup, assemble
from spinefix.fem.finite import ElementFailure, FiniteState, internal_force

STIFF = {"E_MPa": 10.0, "nu": 0.3}


def linear_incompatible(points, conn):
    D = materials.elasticity("isotropic", STIFF)
    n = len(conn)
    g = SolidGroup("hex8", "incompatible", np.arange(n), conn, D, np.zeros(n, np.int32), np.ones((n, 8)))
    return assemble(points, [g], [], np.full(len(points), -1, np.int32)).toarray()


def test_small_strain_is_the_incompatible_element_but_for_the_volume_of_warping():
    """Three modes more: never stiffer, and equally stiff in all bilinear (bending and twisting) motions of a brick."""
    points, conn = distorted("hex8")
    K = Body(points, group("hex8", "enhanced", conn, "hencky", STIFF))(np.zeros_like(points))[0].toarray()
    difference = np.linalg.eigvalsh(linear_incompatible(points, conn) - K)
    assert difference[0] > -1e-10 * difference[-1]
    assert (difference > 1e-10 * np.abs(K).max()).sum() == 3
    points, conn = mesh_of("hex8", (3.0, 2.0, 1.0))
    K = Body(points, group("hex8", "enhanced", conn, "hencky", STIFF))(np.zeros_like(points))[0].toarray()
    x, y, z = points.T
    bilinear = np.stack([x * y, y * z, x * z, x, y, z, np.ones(8)])
    u = (np.random.default_rng(0).normal(size=(20, 3, 7)) @ bilinear).swapaxes(1, 2).reshape(20, -1)
    ours, expected = (np.einsum("ni,ij,nj->n", u, A, u) for A in (K, linear_incompatible(points, conn)))
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def uniaxial(stretch, law, parameters):
    """Diagonal F whose lateral stress vanishes, by bisection."""
    low, high = 0.5, 3.0
    for _ in range(200):
        lateral = 0.5 * (low + high)
        F = np.diag([stretch, lateral, lateral])
        low, high = (low, lateral) if respond(law, F[None], parameters=parameters)[1][0, 1] > 0.0 else (lateral, high)
    return F


@pytest.mark.parametrize("shape", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0), (1.0, 4.0, 4.0)])
@pytest.mark.parametrize(
    ("law", "parameters"),
    [
        ("neo_hookean", {"mu_MPa": 1.0, "K_MPa": 1000.0}),
        ("neo_hookean", {"mu_MPa": 1.0, "K_MPa": 2.0}),
        ("hencky", STIFF),
    ],
)
@pytest.mark.parametrize("stretch", [0.7, 0.5, 2.0])
def test_no_hourglass_instability_in_uniform_compression(shape, law, parameters, stretch):
    """A free body under dead loads wants to turn round or buckle, whatever it is made of; nothing else may.

    One element has as few negative eigenvalues as the plain one, which has no internal modes that could fail. (Wilson's
    own modes, not transposed, have two more at a stretch of 0.6.) Eight have no more than eight hex20, which know the
    body's own instabilities better. Between frictionless plates the body is stable.
    """
    F = uniaxial(stretch, law, parameters)

    def stiffness(kind, formulation, divisions):
        points, conn = mesh_of(kind, shape, divisions)
        body = Body(points, group(kind, formulation, conn, law, parameters))
        K = body(points @ (F - np.eye(3)).T)[0].toarray()
        free = ~bar_supports(points)[0].ravel()
        return negatives(K), negatives(K[np.ix_(free, free)])

    one = stiffness("hex8", "enhanced", (1, 1, 1))
    eight = stiffness("hex8", "enhanced", (2, 2, 2))
    assert one[0] == stiffness("hex8", "standard", (1, 1, 1))[0]
    assert eight[0] <= stiffness("hex20", "standard", (2, 2, 2))[0]
    assert one[1] == eight[1] == 0


def negatives(K):
    values = np.linalg.eigvalsh(K)
    return (values < -1e-9 * values[-1]).sum()


@pytest.mark.parametrize("pressure", [-5.0, -1.0, 1.0])
def test_hydrostatic_pressure_above_the_shear_modulus_frees_no_mode(pressure):
    K, mu = 1000.0, 1.0
    parameters = {"mu_MPa": mu, "K_MPa": K}
    points, conn = mesh_of("hex8")
    u = points * ((1.0 + pressure / K) ** (1 / 3) - 1.0)
    negative = []
    for formulation in ("standard", "enhanced"):
        negative.append(
            negatives(Body(points, group("hex8", formulation, conn, parameters=parameters))(u)[0].toarray())
        )
    assert negative[0] == negative[1]


def test_incompressible_cube_between_bonded_plates_does_not_lock():
    force = [squeeze("enhanced", K)[0] for K in (1e3, 1e4)]
    assert force[1] / force[0] == pytest.approx(1.0, abs=0.01)
    assert force[1] == pytest.approx(squeeze("mean_dilatation", 1e4)[0], rel=0.15)


def cook(formulation, n, K=1e4):
    """Tip deflection [mm] of Cook's panel (48 mm long, 44 and 16 mm high) in plane strain, 100 N/mm of thickness."""
    points, conn = mesh_of("hex8", (1.0, 1.0, 1.0), (n, n, 1))
    s, t, z = points.T.copy()
    points = np.column_stack([48.0 * s, 44.0 * s + t * (44.0 - 28.0 * s), z])
    body = Body(points, group("hex8", formulation, conn, parameters={"mu_MPa": 80.194, "K_MPa": K}))
    fixed = np.zeros_like(points, bool)
    fixed[s == 0.0], fixed[:, 2] = True, True
    load = np.zeros_like(points)
    weight = np.where((t == 0.0) | (t == 1.0), 0.25, 0.5) / n
    load[s == 1.0, 1] = 100.0 * weight[s == 1.0]
    u = body.solve(fixed, np.zeros_like(points), load, steps=4)
    return u[(s == 1.0) & (t == 1.0), 1].mean()


def test_cook_panel_of_incompressible_material():
    """Coarse meshes come nearer to the fine answer than mean dilatation, and both to the same one.

    Measured: mean dilatation 4.55, 6.06, 6.66, 6.86; enhanced 5.77, 6.39, 6.72, 6.86 with 2, 4, 8, 16 elements a side.
    """
    fine = cook("enhanced", 12)
    assert cook("mean_dilatation", 12) == pytest.approx(fine, rel=0.01)
    for n, error in ((2, 0.17), (4, 0.08)):
        assert cook("standard", n) < cook("mean_dilatation", n) < cook("enhanced", n) < fine
        assert cook("enhanced", n) == pytest.approx(fine, rel=error)


def test_amplitudes_follow_from_the_displacements_alone():
    """Elastic answers do not depend on where the search for the amplitudes starts."""
    points, conn = distorted("hex8", divisions=(2, 1, 1), amount=0.05)
    body = Body(points, group("hex8", "enhanced", conn))
    u = 0.08 * np.random.default_rng(3).uniform(-1, 1, points.shape)
    K, force = body(u)
    body.state.commit()
    assert np.abs(body.state.old_modes).max() > 1e-3
    again, same = body(u)
    np.testing.assert_allclose(same, force, atol=1e-13 * np.abs(force).max())
    np.testing.assert_allclose(again.toarray(), K.toarray(), atol=1e-9 * abs(K).max())
    amplitudes = body.state.new_modes.copy()
    body(0.5 * u)
    assert np.abs(body.state.new_modes - amplitudes).max() > 1e-3


def test_plastic_history_is_that_of_the_settled_amplitudes():
    points, conn = mesh_of("hex8", (4.0, 1.0, 1.0), (2, 1, 1))
    body = Body(points, group("hex8", "enhanced", conn, "plastic_j2"))
    assert body.state.history()[0].shape == (2, 8, 7)
    assert body.state.history()[1].shape == (2, 12)
    u = np.zeros_like(points)
    u[:, 2] = 0.05 * points[:, 0] ** 2
    body(u)
    body.state.commit()
    plastic = body.state.old[..., 6].copy()
    assert plastic.max() > 0.02
    body(0.98 * u)
    np.testing.assert_array_equal(body.state.new[..., 6], plastic)  # elastic unloading
    taken = FiniteState.take(body.group, iter(body.state.history()))
    np.testing.assert_array_equal(taken.old, body.state.new)


def test_modes_without_balance_are_named(monkeypatch):
    monkeypatch.setattr(finite_points, "MAX_SETTLING", (2, 1))
    points, conn = mesh_of("hex8", (2.0, 1.0, 1.0), (2, 1, 1))
    g = group("hex8", "enhanced", conn)
    u = np.zeros_like(points)
    far = points[:, 0] > 1.5
    u[far, 0] = 0.3 * points[far, 1] * points[far, 2]
    with pytest.raises(ElementFailure, match=r"element 1 \(hex8\).*no amplitudes"):
        internal_force(points, [g], u, [FiniteState.virgin(g)], Body(points, g).pattern, np.zeros_like(points))
