"""Which element formulation a material gets in elements of a kind."""

import numpy as np
import pytest
from columns import model_of

from spinefix.analysis.groups import finite_groups
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.mesh.elements import ELEMENTS
from spinefix.model.core import Material

GEL = {"mu_MPa": 0.4, "K_MPa": 180.0}


@pytest.mark.parametrize(
    ("kind", "asked", "got"),
    [
        ("hex20", "incompatible", "standard"),
        ("hex20", "bbar", "standard"),
        ("hex20", "mean_dilatation", "mean_dilatation"),
        ("hex8", "incompatible", "mean_dilatation"),
        ("hex8", "bbar", "mean_dilatation"),
        ("hex8", "standard", "standard"),
        ("tet10", "bbar", "mean_dilatation"),
        ("tet4", "bbar", "standard"),
    ],
)
def test_formulation_of_a_finite_strain_law(kind, asked, got):
    nodes = ELEMENTS[kind].nodes
    mesh = Mesh(nodes, (CellBlock(kind, np.arange(len(nodes))[None]),))
    model = model_of(mesh, [Material("gel", "neo_hookean", GEL, asked)], np.zeros(mesh.n_cells))
    assert [group.formulation for group in finite_groups(model)] == [got]
