"""Small models of solids, as whole analyses take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spinefix.mesh import generate
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.model.core import Coupling, Material, Model, Support


def model_of(mesh: Mesh, materials: Sequence[Material], material_id: I32, **interfaces: Any) -> Model:
    """Return a model of solids; `interfaces` are fields of `Model`."""
    n = mesh.n_cells
    return Model(
        mesh, tuple(materials), np.asarray(material_id, np.int32), np.ones((n, 8)), np.zeros((n, 2, 3)), (),
        np.full(n, -1, np.int32), np.zeros((n, 3)), **interfaces,
    )  # fmt: skip


def _one_material(z: F64) -> I32:
    return np.zeros(len(z), np.int32)


def column(
    materials: Sequence[Material],
    *,
    width: float = 10.0,
    height: float = 50.0,
    divisions: Sequence[int] = (2, 2, 10),
    layer: Callable[[F64], I32] = _one_material,
    spread: bool = False,
) -> tuple[Model, int]:
    """Return an upright column clamped at its foot, and its last node, a reference point rigid with its top.

    Parameters
    ----------
    layer : callable
        Maps cell heights over total height to numbers of materials.
    spread : bool
        Leave the reference point alone, for a distributing coupling.
    """
    mesh = generate.box((width, width, height), divisions, origin=(-width / 2, -width / 2, 0.0), name="column")
    mesh = Mesh(np.vstack([mesh.points, [[0.0, 0.0, height]]]), mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    z = mesh.points[mesh.blocks[0].conn][:, :, 2].mean(axis=1) / height
    top = mesh.n_points - 1
    foot = Support("foot", mesh.nodes["column.zmin"])
    couplings = () if spread else (Coupling("top", top, mesh.nodes["column.zmax"]),)
    return model_of(mesh, materials, layer(z), supports=(foot,), couplings=couplings), top


def sandwich() -> tuple[Model, int]:
    """Return a column of two stiff parts with a soft, nearly incompressible layer at half height."""
    return column([linear(100.0, 0.3), neo_hookean(1.0)], layer=lambda z: (np.abs(z - 0.5) < 0.1).astype(np.int32))


def neo_hookean(E: float = 1.0, nu: float = 0.45, name: str = "gel") -> Material:
    """Return a neo-Hookean material by Young's modulus [MPa] and Poisson's ratio at rest."""
    return Material(name, "neo_hookean", {"mu_MPa": E / 2 / (1 + nu), "K_MPa": E / 3 / (1 - 2 * nu)}, "bbar")


def linear(E: float = 1.0, nu: float = 0.0, formulation: str = "incompatible", name: str = "stuff") -> Material:
    """Return an isotropic linear material."""
    return Material(name, "isotropic", {"E_MPa": E, "nu": nu}, formulation)


def in_units(model: Model, length: float, force: float) -> Model:
    """Return the same model in other units: lengths times `length`, forces times `force`."""
    stress = force / length**2
    materials = [
        replace(m, parameters={k: v * (stress if k.endswith("_MPa") else 1.0) for k, v in m.parameters.items()})
        for m in model.materials
    ]
    return replace(model, mesh=replace(model.mesh, points=model.mesh.points * length), materials=tuple(materials))
