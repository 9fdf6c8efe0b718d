"""A small model with one of everything, and one arm of the example scenario on L2-L4."""

from pathlib import Path

import numpy as np

from spinefix.mesh.core import Mesh, merge
from spinefix.mesh.generate import box, polyline
from spinefix.model.core import (
    Coupling,
    Embedding,
    LoadCase,
    Material,
    Model,
    PointSprings,
    Section,
    Support,
    SurfaceSprings,
    Tie,
)
from spinefix.scenario.build import ArmModel, build_arm, build_specimen
from spinefix.scenario.loader import load_study

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "l3_lytic.yaml"
COARSE = ("segment.levels=[L2,L3,L4]", "segment.resolution=coarse")


def everything(formulation: str = "standard") -> tuple[Model, list[LoadCase], int]:
    """Two blocks that face each other, a fibrous block tied on, a rod embedded in both, a ligament, a rigid end."""
    low = box((20, 20, 20), (4, 4, 4), name="low")
    high = box((20, 20, 20), (4, 4, 4), origin=(0, 0, 21), name="high")
    cap = box((12, 12, 8), (3, 3, 2), origin=(4, 4, 41), name="cap")
    rod = polyline(np.array([[10.5, 9.0, 6.0], [10.5, 10.0, 36.0]]), 5.0, name="rod")
    mesh, start, cell = merge([low, high, cap, rod, Mesh(np.array([[10.0, 10.0, 49.0]]), ())])
    reference = start[-1]
    n = mesh.n_cells
    rows = np.arange(n)
    solid = rows < cell[3]
    is_cap = (rows >= cell[2]) & solid
    fibres = np.zeros((n, 2, 3))
    fibres[is_cap] = [[0.8, 0.0, 0.6], [0.8, 0.36, -0.48]]
    scale = np.ones((n, 8))
    scale[:8] = np.linspace(0.2, 0.9, 8)
    bone = Material("bone, soft", "isotropic", {"E_MPa": 300.0, "nu": 0.25}, formulation)
    cover = Material("fibres", "fibre_reinforced", {"E_MPa": 10.0, "nu": 0.4, "fibre_MPa": 80.0}, formulation)
    steel = Material("steel", "isotropic", {"E_MPa": 2e5, "nu": 0.3})
    strap = Section("strap", 12.0, 9.0, 16.0, 20.0, 0.8, 0.85, 2.0, 1.5, False)
    model = Model(
        mesh=mesh,
        materials=(bone, cover, steel),
        material_id=np.where(solid, np.where(is_cap, 1, 0), 2).astype(np.int32),
        scale=scale,
        fibres=fibres,
        sections=(strap,),
        section_id=np.where(solid, -1, 0).astype(np.int32),
        orientation=np.where(solid[:, None], 0.0, [[1.0, 1.0, 0.0]]),
        point_springs=(
            PointSprings("ligament", np.array([[0, start[1]], [4, start[1] + 4]], np.int32), np.array([40.0, 60.0])),
        ),
        surface_springs=(SurfaceSprings("joint", mesh.facets["low.zmax"], mesh.facets["high.zmin"], 5.0, 0.5),),
        embeddings=(
            Embedding(
                "rod",
                np.arange(cell[3], n, dtype=np.int32),
                np.flatnonzero(rows < cell[2]).astype(np.int32),
                2.0,
                500.0,
                200.0,
            ),
        ),
        ties=(Tie("cap", mesh.nodes["cap.zmin"], mesh.facets["high.zmax"]),),
        couplings=(Coupling("load", reference, mesh.nodes["cap.zmax"]),),
        supports=(Support("held", mesh.nodes["low.zmin"]),),
    )
    cases = [
        LoadCase("push", forces={reference: np.array([5.0, 2.0, -30.0])}),
        LoadCase("turn", moments={reference: np.array([300.0, 500.0, 200.0])}),
    ]
    return model, cases, reference


def spine(arm: str) -> ArmModel:
    """One arm of the example scenario on L2-L4, coarse."""
    study = load_study(SCENARIO, COARSE)
    return build_arm(study, build_specimen(study), arm)
