"""A disc between two bones, bent."""

from dataclasses import replace

import numpy as np

from spinefix.mesh import generate
from spinefix.model.core import Coupling, LoadCase, Material, Model, Support

BONE = Material("bone", "isotropic", {"E_MPa": 2000.0, "nu": 0.3})
GEL = Material("gel", "neo_hookean", {"mu_MPa": 1.0, "K_MPa": 20.0})


def column(moment=400.0):
    """Bone, disc, bone: clamped below, turned at a reference point above."""
    mesh = generate.box((10.0, 10.0, 24.0), (3, 3, 8), name="column")
    centre = mesh.points[mesh.blocks[0].conn].mean(axis=1)
    mesh = replace(mesh, points=np.vstack([mesh.points, [5.0, 5.0, 24.0]]))
    soft = (centre[:, 2] > 9.0) & (centre[:, 2] < 15.0)
    n, top = mesh.n_cells, mesh.n_points - 1
    model = Model(
        mesh, (BONE, GEL), soft.astype(np.int32), np.ones((n, 8)), np.zeros((n, 2, 3)), (), np.full(n, -1, np.int32),
        np.zeros((n, 3)), couplings=(Coupling("load", top, mesh.nodes["column.zmax"]),),
        supports=(Support("clamp", mesh.nodes["column.zmin"]),),
    )  # fmt: skip
    return model, LoadCase("bend", moments={top: np.array([0.0, moment, 0.3 * moment])}), top
