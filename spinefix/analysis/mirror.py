"""Left and right: what is known of a load is, mirrored, where the mirrored load may lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from spinefix.fem.items import Configuration
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.mirror import FLIP, images
from spinefix.model.core import LoadCase


@dataclass(frozen=True)
class MirrorImage:
    """Pairs of nodes on both sides of the midsagittal plane.

    Parameters
    ----------
    partner : (n_points,) int32
    rows : (n_rotations,) int32
        Rows of the rotations of the partners.
    """

    partner: I32
    rows: I32

    @classmethod
    def of(cls, mesh: Mesh, rotation_index: I32, tolerance: float = 1e-6) -> MirrorImage | None:
        """Find the pairs; None where a node has no partner within `tolerance` [mm].

        A symmetric mesh need not carry a symmetric model (a lesion on one side): what this leads to are guesses.
        """
        turning = rotation_index >= 0
        gap, partner = images(mesh.points, turning)
        if gap.max(initial=0.0) > tolerance:
            return None
        rows = np.empty(int(turning.sum()), np.int32)
        rows[rotation_index[turning]] = rotation_index[partner[turning]]
        return cls(partner, rows)

    def place(self, x: Configuration) -> Configuration:
        """Return the mirror image of a configuration."""
        return Configuration(x.u[self.partner] * FLIP, x.R[self.rows] * np.outer(FLIP, FLIP))

    def counterpart(self, case: LoadCase, others: Iterable[LoadCase]) -> str | None:
        """Return the name of another case that loads the mirror image as `case` loads the original."""
        forces, moments = self._nodal(case.forces, FLIP), self._nodal(case.moments, -FLIP)
        for other in others:
            same = _equal(other.forces, forces) and _equal(other.moments, moments)
            if other.name != case.name and other.follower == case.follower and same:
                return other.name
        return None

    def _nodal(self, loads: Mapping[int, F64], flip: F64) -> dict[int, F64]:
        return {int(self.partner[node]): flip * value for node, value in loads.items()}


def _equal(one: Mapping[int, F64], other: Mapping[int, F64]) -> bool:
    """Whether loads are equal beyond round-off."""
    size = max((float(np.abs(v).max()) for v in (*one.values(), *other.values())), default=0.0)
    zero = np.zeros(3)
    return all(np.allclose(one.get(n, zero), other.get(n, zero), 0.0, 1e-9 * size) for n in {*one, *other})
