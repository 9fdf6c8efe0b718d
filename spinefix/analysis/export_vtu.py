"""Write a built model for viewers: one VTU with regions, materials, supports and loads, and their names beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spinefix.mesh.core import CellBlock
from spinefix.mesh.vtu import Array, write_vtu
from spinefix.model.core import LoadCase, Model


def write_model_vtu(path: str | Path, model: Model, cases: Sequence[LoadCase]) -> Path:
    """Write the model as arrays to look at; ligaments become lines.

    Cell data: ``region_id``, ``material_id``, ``scale`` (lesion), ``fibre_1``, ``fibre_2``. Point data: ``held``
    (translations held, sum of 1 x, 2 y, 4 z), ``coupling`` (number, -1 none), and ``force_``, ``moment_`` of each case.
    What the numbers mean is in ``<stem>.names.json``.

    Parameters
    ----------
    path : path
    model : Model
    cases : sequence of LoadCase
    """
    path = Path(path)
    mesh, n = model.mesh, model.mesh.n_cells
    region = np.full(n, -1, np.int32)
    names = sorted(mesh.cells)
    for i, name in enumerate(names):
        region[mesh.cells[name]] = i
    strands = [s.nodes for s in model.point_springs]
    lines = sum(map(len, strands))
    names += [s.name for s in model.point_springs]
    region = np.concatenate([region, np.repeat(np.arange(len(mesh.cells), len(names)), [len(s) for s in strands])])
    blocks = (*mesh.blocks, CellBlock("beam2", np.concatenate(strands))) if lines else mesh.blocks
    cell_data: dict[str, Array] = {
        "region_id": region.astype(np.int32),
        "material_id": np.pad(model.material_id, (0, lines), constant_values=-1),
        "scale": np.pad(model.scale.mean(axis=1), (0, lines), constant_values=1.0),
        "fibre_1": np.pad(model.fibres[:, 0], ((0, lines), (0, 0))),
        "fibre_2": np.pad(model.fibres[:, 1], ((0, lines), (0, 0))),
    }
    write_vtu(path, replace(mesh, blocks=blocks), point_data=_point_data(model, cases), cell_data=cell_data)
    record = {
        "region_id": dict(enumerate(names)),
        "material_id": {i: m.name for i, m in enumerate(model.materials)},
        "coupling": {i: c.name for i, c in enumerate(model.couplings)},
    }
    path.with_suffix(".names.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return path


def _point_data(model: Model, cases: Sequence[LoadCase]) -> dict[str, Array]:
    n = model.mesh.n_points
    held, coupling = np.zeros(n, np.int32), np.full(n, -1, np.int32)
    for support in model.supports:
        held[support.nodes] |= int(np.dot(support.translations, (1, 2, 4)))
    for i, c in enumerate(model.couplings):
        coupling[c.nodes] = i
    out: dict[str, Array] = {"held": held, "coupling": coupling}
    for case in cases:
        for kind, loads in (("force", case.forces), ("moment", case.moments)):
            if loads:
                vectors = np.zeros((n, 3))
                for node, vector in loads.items():
                    vectors[node] += vector
                out[f"{kind}_{case.name}"] = vectors
    return out
