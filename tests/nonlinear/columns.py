"""Small models of solids for nonlinear tests and benchmarks."""

from __future__ import annotations

import numpy as np

from spinefix.mesh import generate
from spinefix.mesh.core import Mesh
from spinefix.model.core import Coupling, Material, Model, Support


def model_of(mesh, materials, material_id, **interfaces):
    """A model of solids in one list of materials."""
    n = mesh.n_cells
    return Model(
        mesh, tuple(materials), np.asarray(material_id, np.int32), np.ones((n, 8)), np.zeros((n, 2, 3)), (),
        np.full(n, -1, np.int32), np.zeros((n, 3)), **interfaces,
    )  # fmt: skip


def column(
    materials, *, width=10.0, height=50.0, divisions=(2, 2, 10), layer=lambda z: 0 * z.astype(int), spread=False
):
    """An upright column clamped at its foot; its top is rigid with the reference point, the last node.

    `layer` maps cell heights over total height to the number of the material.
    """
    mesh = generate.box((width, width, height), divisions, origin=(-width / 2, -width / 2, 0.0), name="column")
    mesh = Mesh(np.vstack([mesh.points, [[0.0, 0.0, height]]]), mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    z = mesh.points[mesh.blocks[0].conn][:, :, 2].mean(axis=1) / height
    top = mesh.n_points - 1
    foot = Support("foot", mesh.nodes["column.zmin"])
    couplings = () if spread else (Coupling("top", top, mesh.nodes["column.zmax"]),)
    return model_of(mesh, materials, layer(z), supports=(foot,), couplings=couplings), top


def neo_hookean(E=1.0, nu=0.45, name="gel"):
    return Material(name, "neo_hookean", {"mu_MPa": E / 2 / (1 + nu), "K_MPa": E / 3 / (1 - 2 * nu)}, "bbar")


def linear(E=1.0, nu=0.0, formulation="incompatible", name="stuff"):
    return Material(name, "isotropic", {"E_MPa": E, "nu": nu}, formulation)
