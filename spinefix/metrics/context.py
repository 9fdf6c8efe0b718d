"""What every metric sees: one solved arm, its anatomy, and stresses recovered once per load case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from spinefix.analysis.system import System
from spinefix.anatomy.segment import Segment
from spinefix.fem import beams, recover
from spinefix.mesh.core import F64, I32
from spinefix.model.core import LoadCase
from spinefix.results.solution import Solution


class Row(NamedTuple):
    """One line of ``metrics.csv``; `value` is in the surface unit `unit`."""

    direction: str
    metric: str
    region: str
    value: float
    unit: str


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
    """

    cells: I32
    forces: F64
    von_mises: F64
    length: F64


@dataclass
class Context:
    """A solved arm.

    Parameters
    ----------
    system, solution, segment
        `segment` is the anatomy before resection: frames and landmarks; its node ids are those of the model.
    reference : int
        Node id of the loaded reference point.
    cases : mapping, load case name -> LoadCase
    diseased : tuple of str
        Levels with a lesion or a resected body, where load sharing and the canal are looked at.
    resected : tuple of str
    cache : dict
        What metrics find once per arm (rows of regions).
    """

    system: System
    solution: Solution
    segment: Segment
    reference: int
    cases: Mapping[str, LoadCase]
    diseased: tuple[str, ...] = ()
    resected: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict, repr=False)
    _solid: dict[str, tuple[SolidField, ...]] = field(default_factory=dict, repr=False)
    _beam: dict[str, tuple[BeamField, ...]] = field(default_factory=dict, repr=False)

    def mirror_of(self, case: str) -> str | None:
        """An earlier case with exactly the opposite loads, whose linear answer is the opposite one; None without."""
        cases = list(self.solution.cases)
        i = cases.index(case)
        for j in range(i):
            if np.array_equal(self.solution.loads[j], -self.solution.loads[i]):
                return str(cases[j])
        return None

    def solid_fields(self, case: str) -> tuple[SolidField, ...]:
        """Stresses of all solid groups in `case`."""
        if case not in self._solid:
            points = self.system.model.mesh.points
            u = self.solution.displacement(case)
            self._solid[case] = tuple(
                SolidField(g.cells, recover.stress(points, g, u), v)
                for g, v in zip(self.system.solids, self._volumes, strict=True)
            )
        return self._solid[case]

    def beam_fields(self, case: str) -> tuple[BeamField, ...]:
        """Section forces of all beam groups in `case`."""
        if case not in self._beam:
            model = self.system.model
            u = self.solution.blocks(case)
            out = []
            for g in self.system.beams:
                forces = beams.beam_end_forces(model.mesh.points, g, self.solution.rotation_index, u)
                sections = [model.sections[i] for i in model.section_id[g.cells]]
                extent_y = np.array([s.extent_y for s in sections])
                extent_z = np.array([s.extent_z for s in sections])
                circular = np.array([s.round for s in sections])
                stress = beams.beam_stress(forces, g, extent_y, extent_z, circular)
                out.append(BeamField(g.cells, forces, stress, beams.beam_lengths(model.mesh.points, g)))
            self._beam[case] = tuple(out)
        return self._beam[case]

    def forget(self, case: str) -> None:
        """Drop the recovered stresses of `case` to save memory."""
        self._solid.pop(case, None)
        self._beam.pop(case, None)

    @cached_property
    def _volumes(self) -> tuple[F64, ...]:
        points = self.system.model.mesh.points
        return tuple(recover.volumes(points, g) for g in self.system.solids)

    @cached_property
    def nodal_volume(self) -> F64:
        """Volume lumped to the nodes (n_points,) [mm^3]."""
        out = np.zeros(self.system.model.mesh.n_points)
        for g, v in zip(self.system.solids, self._volumes, strict=True):
            share = np.repeat(v.sum(axis=1) / g.conn.shape[1], g.conn.shape[1])
            np.add.at(out, g.conn.ravel(), share)
        return out
