"""Solids of a model by kind and law, for nonlinear analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spinefix.analysis.system import elasticity_table, solid_blocks
from spinefix.fem.assembly import kernel_array, point_scale
from spinefix.fem.finite import FINITE_FORMULATIONS, FiniteGroup
from spinefix.fem.solids_finite import FixedElasticity
from spinefix.materials.finite import FINITE_LAWS, finite_law, parameter_rows
from spinefix.mesh.core import F64, I32
from spinefix.model.core import Model


def finite_groups(model: Model) -> tuple[FiniteGroup, ...]:
    """Group solids by kind and law: linear laws co-rotational, finite-strain laws as the material and the law ask.

    Raises
    ------
    MaterialError
        A solid element has no material.
    """
    out = []
    for block, cells, ids in solid_blocks(model):
        keys = {int(i): _group_key(model, int(i), block.kind) for i in np.unique(ids)}
        for key in sorted(set(keys.values())):
            mine = cells[np.isin(ids, [i for i, k in keys.items() if k == key])]
            out.append(_group(model, block.kind, block.conn[mine - cells[0]], mine, *key))
    return tuple(out)


def _group_key(model: Model, i: int, kind: str) -> tuple[str, str]:
    """Law ("" if linear) and formulation of a material in elements of a kind.

    hex20 integrates finite-strain laws as they are unless asked otherwise: one volume per quadratic element constrains
    too little (2 to 4 % soft in docs/explanation/second_code.md, where ``standard`` is within 0.5 %).
    """
    material = model.materials[i]
    law = material.law if material.law in FINITE_LAWS else ""
    if law:
        preferred = {"standard": "standard", "bbar": "mean_dilatation", "mean_dilatation": "mean_dilatation"}
        wanted = preferred.get(material.formulation, FINITE_LAWS[law].formulation)
        if kind == "hex20" and material.formulation != "mean_dilatation":
            wanted = "standard"
        return law, next(f for f in (wanted, "mean_dilatation", "standard") if kind in FINITE_FORMULATIONS[f])
    wanted = "corotational_bbar" if material.formulation == "bbar" else "corotational"
    return law, wanted if kind in FINITE_FORMULATIONS[wanted] else "corotational"


def _group(model: Model, kind: str, conn: I32, cells: I32, law: str, formulation: str) -> FiniteGroup:
    scale = point_scale(kind, model.scale[cells])
    if not law:
        D, row = elasticity_table(model, cells)
        none = np.zeros((len(cells), 0, 3))
        return FiniteGroup(kind, formulation, cells, conn, FixedElasticity(), D.reshape(-1, 36), row, none, scale)
    found = finite_law(law)
    used, inverse = np.unique(model.material_id[cells], return_inverse=True)
    params = parameter_rows(found, [model.materials[i].parameters for i in used])
    axes = model.fibres[cells] if found.axes != "none" else np.zeros((len(cells), 0, 3))
    return FiniteGroup(kind, formulation, cells, conn, found, params, kernel_array(inverse, np.int32), axes, scale)


def young_moduli(groups: Sequence[FiniteGroup], n_cells: int) -> F64:
    """Return Young's modulus at rest of each element (n_cells,) [MPa], mean of three directions; 0 without a solid."""
    out = np.zeros(n_cells)
    for group in groups:
        linear = group.linear
        compliance = np.linalg.inv(linear.D)
        mean = (1.0 / np.einsum("kii->ki", compliance)[:, :3]).mean(axis=1)
        out[linear.cells] = mean[linear.d_id] * linear.scale.mean(axis=1)
    return out
