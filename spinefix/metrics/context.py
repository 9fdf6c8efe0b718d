"""What every metric sees: one solved arm, its anatomy, and stresses recovered once per load case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from spinefix.analysis.response import Response
from spinefix.anatomy.segment import Frame, Segment
from spinefix.fem import beams, recover
from spinefix.fem.beams import BeamGroup
from spinefix.mesh.core import F64, I32
from spinefix.model.core import LoadCase, Model


class Row(NamedTuple):
    """One line of ``metrics.csv``; `value` is in the surface unit `unit`.

    `branch` says on which part of the moment-rotation curve it was found, ``loading`` or one of
    `spinefix.analysis.response.CYCLES`.
    """

    direction: str
    metric: str
    region: str
    value: float
    unit: str
    load_factor: float = 1.0
    branch: str = "loading"


@dataclass(frozen=True)
class SolidField:
    """Stresses of one solid group in one load case.

    Parameters
    ----------
    cells : (e,) int32
    stress : (e, q, 6) float64 [MPa], order xx yy zz xy yz xz
    volume : (e, q) float64 [mm^3]
        Volume of each integration point.
    """

    cells: I32
    stress: F64
    volume: F64

    @cached_property
    def von_mises(self) -> F64:
        """(e, q) float64 [MPa]."""
        return recover.von_mises(self.stress)


@dataclass(frozen=True)
class BeamField:
    """Section forces of one beam group in one load case.

    Parameters
    ----------
    cells : (b,) int32
    forces : (b, 2, 6) float64
        N, Vy, Vz [N], T, My, Mz [N mm] at both ends, local axes.
    von_mises : (b, 2) float64 [MPa]
        Outer-fibre von Mises stress at both ends.
    length : (b,) float64 [mm]
    axes : (b, 3, 3) float64
        Local axes in rows.
    """

    cells: I32
    forces: F64
    von_mises: F64
    length: F64
    axes: F64


@dataclass
class Context:
    """A solved arm.

    Parameters
    ----------
    response : Response
    segment : Segment
        The anatomy before resection: frames and landmarks; its node ids are those of the model.
    reference : int
        Node id of the loaded reference point.
    cases : mapping, load case name -> LoadCase
    diseased : tuple of str
        Levels with a lesion or a resected body, where load sharing and the canal are looked at.
    resected : tuple of str
    cache : dict
        What metrics find once per arm (rows of regions).
    """

    response: Response
    segment: Segment
    reference: int
    cases: Mapping[str, LoadCase]
    diseased: tuple[str, ...] = ()
    resected: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict, repr=False)
    _solid: dict[str, tuple[SolidField, ...]] = field(default_factory=dict, repr=False)
    _beam: dict[str, tuple[BeamField, ...]] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> Model:
        """The model that was solved."""
        return self.response.model

    @property
    def beam_groups(self) -> tuple[BeamGroup, ...]:
        """Groups of beams."""
        return self.response.beam_groups

    def level_nodes(self, level: str) -> I32:
        """Nodes of what is left of a vertebra."""
        known = self.cache.setdefault("level_nodes", {})
        if level not in known:
            known[level] = self.model.mesh.cell_nodes(self.model.mesh.select(level))
        return np.asarray(known[level])

    def carried(self, level: str, case: str) -> Frame:
        """Anatomical frame of a vertebra where it has gone."""
        frame, nodes = self.segment.vertebrae[level].frame, self.level_nodes(level)
        return Frame(*self.response.carry(case, frame.origin, frame.axes, nodes, self.nodal_volume[nodes]))

    def solid_fields(self, case: str) -> tuple[SolidField, ...]:
        """Stresses of all solid groups in `case`."""
        if case not in self._solid:
            found = zip(self.response.solid_cells, self.response.stress(case), self.response.volumes(), strict=True)
            self._solid[case] = tuple(SolidField(*of) for of in found)
        return self._solid[case]

    def beam_fields(self, case: str) -> tuple[BeamField, ...]:
        """Section forces of all beam groups in `case`."""
        if case not in self._beam:
            model = self.model
            out = []
            for g, (forces, axes) in zip(self.beam_groups, self.response.beam_forces(case), strict=True):
                sections = [model.sections[i] for i in model.section_id[g.cells]]
                extent_y = np.array([s.extent_y for s in sections])
                extent_z = np.array([s.extent_z for s in sections])
                circular = np.array([s.round for s in sections])
                stress = beams.beam_stress(forces, g, extent_y, extent_z, circular)
                out.append(BeamField(g.cells, forces, stress, beams.beam_lengths(model.mesh.points, g), axes))
            self._beam[case] = tuple(out)
        return self._beam[case]

    def forget(self, case: str) -> None:
        """Drop the recovered stresses of `case` to save memory."""
        self._solid.pop(case, None)
        self._beam.pop(case, None)
        self.response.forget(case)

    @cached_property
    def nodal_volume(self) -> F64:
        """Volume lumped to the nodes (n_points,) [mm^3]."""
        mesh = self.model.mesh
        of_cell = np.zeros(mesh.n_cells)
        for cells, v in zip(self.response.solid_cells, self.response.volumes(), strict=True):
            of_cell[cells] = v.sum(axis=1)
        out = np.zeros(mesh.n_points)
        offset = 0
        for block in mesh.blocks:
            corners = block.conn.shape[1]
            np.add.at(out, block.conn.ravel(), np.repeat(of_cell[offset : offset + len(block)] / corners, corners))
            offset += len(block)
        return out
