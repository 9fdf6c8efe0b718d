"""Laws that offer Kirchhoff stress and spatial tangent: the push-forward of what they say in material terms."""

from dataclasses import replace

import numpy as np
import pytest

from spinefix.fem.finite import assemble_finite
from spinefix.fem.finite_groups import FiniteGroup, FiniteState
from spinefix.fem.pattern import BlockPattern
from spinefix.fem.voigt import stress_tensor
from spinefix.materials.finite import FINITE_LAWS, parameter_rows
from spinefix.mesh.generate import box

SPATIAL = [name for name, law in FINITE_LAWS.items() if law.spatial is not None]
PAIRS = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)]
NUMBERS = {
    "neo_hookean": [{"mu_MPa": 1.3, "K_MPa": 7.0, "volumetric": v} for v in ("quadratic", "mixed", "logarithmic")]
}


def test_some_laws_are_spatial():
    assert "neo_hookean" in SPATIAL


@pytest.mark.parametrize("name", SPATIAL)
def test_spatial_response_is_the_push_forward(name):
    law, n = FINITE_LAWS[name], 40
    params = parameter_rows(law, NUMBERS[name])
    rng = np.random.default_rng(0)
    F = np.eye(3) + 0.25 * rng.uniform(-1, 1, (n, 3, 3))
    rows = rng.integers(0, len(params), n).astype(np.int32)
    none, axes = np.empty((n, 0)), np.empty((n, 0, 3))
    out = [(np.empty(n), np.empty((n, 6)), np.empty((n, 6, 6))) for _ in range(2)]
    for update, (W, S, C) in zip((law.update, law.spatial), out, strict=True):
        assert update(F, rows, params, axes, none, 1, W, S, C, none) == 0
    (W, S, C), (W_spatial, tau, c) = out
    assert np.allclose(W_spatial, W, rtol=1e-12, atol=1e-13)
    assert np.allclose(stress_tensor(tau), F @ stress_tensor(S) @ F.transpose(0, 2, 1), rtol=1e-11, atol=1e-11)
    full = np.empty((n, 3, 3, 3, 3))
    for p, (i, j) in enumerate(PAIRS):
        for q, (k, l) in enumerate(PAIRS):
            for a, b in {(i, j), (j, i)}:
                for d, e in {(k, l), (l, k)}:
                    full[:, a, b, d, e] = C[:, p, q]
    pushed = np.einsum("nia,njb,nkc,nld,nabcd->nijkl", F, F, F, F, full)
    for p, (i, j) in enumerate(PAIRS):
        for q, (k, l) in enumerate(PAIRS):
            assert np.allclose(c[:, p, q], pushed[:, i, j, k, l], rtol=1e-10, atol=1e-10), (p, q)


@pytest.mark.parametrize("name", SPATIAL)
def test_spatial_response_refuses_what_is_inside_out(name):
    law = FINITE_LAWS[name]
    F = np.stack([np.eye(3), np.diag([1.0, 1.0, -1.0])])
    params = parameter_rows(law, NUMBERS[name][:1])
    none, rows = np.empty((2, 0)), np.zeros(2, np.int32)
    out = np.empty(2), np.empty((2, 6)), np.empty((2, 6, 6))
    assert law.spatial(F, rows, params, np.empty((2, 0, 3)), none, 1, *out, none) == 2


@pytest.mark.parametrize("name", SPATIAL)
@pytest.mark.parametrize("formulation", ["standard", "mean_dilatation"])
def test_assembly_does_not_change(name, formulation):
    mesh = box((3.0, 2.0, 2.0), (3, 2, 2))
    conn, e = mesh.blocks[0].conn, mesh.n_cells
    u = 0.1 * np.random.default_rng(1).uniform(-1, 1, mesh.points.shape)
    pattern = BlockPattern.build(mesh.n_points, [conn], threads=1)
    found = []
    for law in (FINITE_LAWS[name], replace(FINITE_LAWS[name], spatial=None)):
        group = FiniteGroup(
            "hex8", formulation, np.arange(e), conn, law, parameter_rows(law, NUMBERS[name][:1]),
            np.zeros(e, np.int32), np.zeros((e, 0, 3)), np.full((e, 8), 0.7),
        )  # fmt: skip
        data, force = np.empty((len(pattern.indices), 3, 3)), np.empty((mesh.n_points, 3))
        assemble_finite(mesh.points, [group], u, [FiniteState.virgin(group)], pattern, data, force)
        found.append((data, force))
    (data, force), (by_material, force_by_material) = found
    assert np.allclose(data, by_material, rtol=0.0, atol=1e-11 * np.abs(by_material).max())
    assert np.allclose(force, force_by_material, rtol=0.0, atol=1e-11 * np.abs(force_by_material).max())
