"""Contact with a master side that is smooth: a patch carried by nodes."""

import numpy as np
import pytest
from nltools import evaluate

from spinefix.errors import UsageError
from spinefix.fem.contact import Contact, Interface
from spinefix.fem.contact_gap import find_pairs, smooth
from spinefix.fem.items import Configuration
from spinefix.mesh import generate
from spinefix.mesh.core import Mesh, merge


def valley(bend=0.08):
    """Return a small block over the bent top of a large one."""
    low = generate.box((6.0, 6.0, 2.0), (4, 4, 1), name="low")
    up = generate.box((3.0, 3.0, 1.0), (2, 2, 1), origin=(1.5, 1.5, 2.2), name="up")
    mesh, _, _ = merge([low, up])
    points = mesh.points.copy()
    points[:, 2] += bend * (points[:, 0] - 3.0) ** 2 - 0.5 * bend * (points[:, 0] - 3.0) * (points[:, 1] - 3.0)
    return Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)


def joint(mesh, fade=0.25):
    surf = smooth(mesh, [(mesh.facets["up.zmin"], mesh.facets["low.zmax"])])
    law = Interface(stiffness=1.0, reach=float(5.0 / surf.size.min()), fade=fade)
    return Contact("joint", surf, 3.0 * surf.size, law, augmented=False).fitted(5.0)


def pressed(mesh, shift=(0.0, 0.0, -0.3), noise=0.02):
    u = noise * np.random.default_rng(1).uniform(-1, 1, mesh.points.shape)
    u[mesh.nodes["up.zmin"]] += shift
    return Configuration(u, np.zeros((0, 3, 3)))


def test_a_patch_goes_through_the_nodes_of_a_quadratic_surface():
    mesh = valley()
    surf = smooth(mesh, [(mesh.facets["up.zmin"], mesh.facets["low.zmax"])])
    pairs = find_pairs(surf, np.zeros_like(mesh.points), np.full(len(surf), 5.0))
    position, _ = surf.place(surf.at(np.zeros_like(mesh.points)))
    foot = position[pairs.point] - pairs.gap[:, None] * pairs.normal
    x, y = foot[:, 0] - 3.0, foot[:, 1] - 3.0
    assert len(pairs) == len(surf)
    assert foot[:, 2] == pytest.approx(2.0 + 0.08 * x**2 - 0.04 * x * y, abs=1e-9)


@pytest.mark.parametrize("shift", [(0.0, 0.0, -0.3), (2.4, 0.3, -0.5)])
def test_forces_balance_and_derive_from_the_energy(shift):
    mesh = valley()
    item = joint(mesh)
    x = pressed(mesh, shift)
    r, K, _ = evaluate(item, x, tangent=True)
    f = r.reshape(-1, 3)
    assert np.abs(f).max() > 0.1
    assert np.abs(f.sum(axis=0)).max() < 1e-12 * np.abs(f).max()
    assert np.abs(np.cross(mesh.points + x.u, f).sum(axis=0)).max() < 1e-10 * np.abs(f).max()
    assert np.abs(K - K.T).max() < 1e-10 * np.abs(K).max()
    v = np.random.default_rng(2).uniform(-1, 1, x.u.shape)
    h = 1e-5
    ways = [Configuration(x.u + s * h * v, x.R) for s in (1.0, -1.0)]
    (ahead, _, more), (back, _, less) = (evaluate(item, w) for w in ways)
    assert (more - less) / (2.0 * h) == pytest.approx(r @ v.ravel(), rel=1e-5)
    inside = shift[0] == 0.0  # beyond the border the tangent leaves the curvature of the foot's motion out
    error = np.abs((ahead - back) / (2.0 * h) - K @ v.ravel()).max()
    assert error < (1e-6 if inside else 0.1) * np.abs(K @ v.ravel()).max()


def test_the_force_turns_gradually_as_a_point_slides_over_edges():
    mesh = valley()
    item = joint(mesh)
    ways = np.linspace(-1.0, 1.0, 401)
    forces = []
    for way in ways:
        u = np.zeros_like(mesh.points)
        u[mesh.nodes["up.zmin"]] = (way, 0.0, -0.3)
        forces.append(
            evaluate(item, Configuration(u, np.zeros((0, 3, 3))))[0].reshape(-1, 3)[mesh.nodes["up.zmin"]].sum(axis=0)
        )
    steps = np.linalg.norm(np.diff(forces, axis=0), axis=1)
    assert steps.max() < 4.0 * np.median(steps)


def test_smooth_surfaces_have_no_friction():
    mesh = valley()
    surf = smooth(mesh, [(mesh.facets["up.zmin"], mesh.facets["low.zmax"])])
    with pytest.raises(UsageError, match="no friction"):
        Contact("joint", surf, 1.0, Interface(kind="friction", friction=0.3))
