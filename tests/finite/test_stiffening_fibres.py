"""A disc of stiffening fibres in a nearly incompressible ground under moments that a step from rest overshoots."""

import sys
from pathlib import Path

import numpy as np
import pytest

from spinefix.analysis import nonlinear
from spinefix.fem.finite import elasticity_at_rest
from spinefix.fem.newton import Control
from spinefix.materials.finite import finite_law, parameter_rows
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.mesh.generate import box
from spinefix.model.core import Coupling, LoadCase, Model, Support

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import gruber_disc

ANNULUS = [0.1351, 0.0, 3.55, 70.27, 0.0752]
NUCLEUS = [0.118, 0.03, 0.0, np.nan, np.nan]


def disc(divisions=(8, 8, 3), radii=(24.5, 16.7), height=12.0):
    """An elliptic disc: nucleus within 60 % of its radius, two families of fibres at 34 degrees around it."""
    unit = box((2.0, 2.0, height), divisions, origin=(-1.0, -1.0, 0.0), name="disc")
    x, y, z = unit.points.T
    points = np.column_stack([radii[0] * x * np.sqrt(1 - y**2 / 2), radii[1] * y * np.sqrt(1 - x**2 / 2), z])
    conn = unit.blocks[0].conn
    core = np.abs(unit.points[conn].mean(axis=1)[:, :2]).max(axis=1) < 0.6
    normal = points[conn].mean(axis=1) / np.array([*radii, np.inf]) ** 2
    around = np.cross([0.0, 0.0, 1.0], normal / np.linalg.norm(normal, axis=1, keepdims=True))
    fibres = np.stack([np.cos(a) * around + [0.0, 0.0, np.sin(a)] for a in np.radians([34.0, -34.0])], axis=1)
    n, top = len(conn), len(points)
    return Model(
        mesh=Mesh(np.vstack([points, [[0.0, 0.0, height]]]), (CellBlock("hex8", conn),)),
        materials=(gruber_disc.material("annulus", ANNULUS), gruber_disc.material(gruber_disc.NUCLEUS, NUCLEUS)),
        material_id=core.astype(np.int32),
        scale=np.ones((n, 8)),
        fibres=np.where(core[:, None, None], 0.0, fibres),
        sections=(),
        section_id=np.full(n, -1, np.int32),
        orientation=np.zeros((n, 3)),
        couplings=(Coupling("top", top, unit.nodes["disc.zmax"]),),
        supports=(Support("foot", unit.nodes["disc.zmin"]),),
    ), top


@pytest.mark.parametrize("axis", [(-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)], ids=["bend", "lean", "twist"])
def test_moment_in_few_increments_with_the_default_control(axis):
    """The same answer as in many small increments; plain Newton steps from rest end at stresses of 1e100."""
    model, top = disc()
    load = nonlinear.Step("moment", LoadCase("moment", moments={top: 5000.0 * np.array(axis)}), factors=(0.2, 1.0))
    found = nonlinear.solve(model, [load])
    assert found.solver["iterations"] < 60
    assert found.solver["cutbacks"] <= 2
    turned = found.rotation(top) @ axis
    assert 0.01 < turned[0] < turned[1] < 5.0 * turned[0]
    slow = nonlinear.solve(model, [load], control=Control(first=0.05, growth=1.0))
    np.testing.assert_allclose(found.rotation(top), slow.rotation(top), rtol=0.0, atol=1e-7)


@pytest.mark.parametrize("name", ["holzapfel_gasser_ogden", "fibres_exponential"])
def test_fibres_count_in_the_tangent_at_rest(name):
    """4 k1 a (x) a (x) a (x) a (less its volumetric part where invariants are isochoric), whatever the round-off."""
    law = finite_law(name)
    numbers = {"C10_MPa": 0.1, "K_MPa": 100.0, "k1_MPa": 3.0, "k2": 70.0}
    numbers |= {"kappa": 0.0} if name == "holzapfel_gasser_ogden" else {}
    params = parameter_rows(law, [numbers])
    a = np.random.default_rng(1).normal(size=(50, 1, 3))
    a /= np.linalg.norm(a, axis=2, keepdims=True)
    rows = np.zeros(len(a), np.int32)
    gain = elasticity_at_rest(law, params, rows, a) - elasticity_at_rest(law, params, rows, 0.0 * a)
    x, y, z = a[:, 0].T
    M = np.stack([x * x, y * y, z * z, x * y, y * z, x * z], axis=1)
    if name == "holzapfel_gasser_ogden":
        M[:, :3] -= 1.0 / 3.0
    np.testing.assert_allclose(gain, 12.0 * M[:, :, None] * M[:, None, :], rtol=0.0, atol=1e-9)


def test_constants_of_the_disc_are_those_of_its_law():
    """W at a stretch along one fibre against the energy as Abaqus writes it, with its D and where D = 0."""
    C10, k1, k2, kappa, stretch, J = 0.1351, 3.73, 89.57, 0.0752, 1.05, 0.99
    F = np.diag([stretch, np.sqrt(J / stretch), np.sqrt(J / stretch)])
    law = finite_law("holzapfel_gasser_ogden")
    for D, K in ((0.4, 5.0), (0.0, 300.0 * 2.0 * C10)):
        material = gruber_disc.material("annulus", [C10, D, k1, k2, kappa], bulk=300.0)
        out = np.empty(1), np.empty((1, 6)), np.empty((1, 6, 6)), np.empty((1, 0))
        axes = np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
        params = parameter_rows(law, [material.parameters])
        assert law.update(F[None], np.zeros(1, np.int32), params, axes, np.empty((1, 0)), 0, *out) == 0
        bar = F / J ** (1.0 / 3.0)
        I1, I4 = np.trace(bar.T @ bar), bar[0, 0] ** 2
        E = kappa * (I1 - 3.0) + (1.0 - 3.0 * kappa) * (I4 - 1.0)
        wanted = C10 * (I1 - 3.0) + k1 / (2.0 * k2) * (np.exp(k2 * E**2) - 1.0)
        wanted += K / 2.0 * ((J**2 - 1.0) / 2.0 - np.log(J))  # K / 2 = 1 / D
        assert out[0][0] == pytest.approx(wanted, rel=1e-12)
    nucleus = gruber_disc.material(gruber_disc.NUCLEUS, NUCLEUS, bulk=300.0)
    assert nucleus.law == "mooney_rivlin"
    assert nucleus.parameters["K_MPa"] == pytest.approx(300.0 * 2.0 * 0.148)
