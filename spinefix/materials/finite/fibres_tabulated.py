"""Fibres with a measured stress-strain table that carry tension only, in a Mooney-Rivlin ground.

``W = ground + v sum_f int_0^(lambda - 1) P de`` with the fibre stretch ``lambda = |F a|``, the nominal fibre stress P
(force per fibre area at rest) piecewise linear in the engineering strain, and the volume fraction v of one family.
Below zero strain P = 0; beyond the table its last slope goes on. The stress is ``S = v P / lambda a (x) a``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.jit import kernel
from spinefix.materials.finite.invariants import ground_response
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.mooney_rivlin import ground_row
from spinefix.materials.finite.tensors import add_dyad, double_dot, mirror, structure

NAME = "fibres_tabulated"
MAX_POINTS = 32
"""Room for the table in a parameter row."""
_HEAD = 6


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """C10, C01, K [MPa], code of U, v, number of points, strains (32,), stresses (32,) [MPa], energies (32,) [MPa].

    Raises
    ------
    MaterialError
        The table does not start at (0, 0), strains do not rise, stresses fall, or it is longer than `MAX_POINTS`.
    """
    v = number(parameters, "fibre_fraction", NAME, least=0.0, strict=False)
    strain, stress = (np.asarray(parameters[p], np.float64).ravel() for p in ("fibre_strain", "fibre_stress_MPa"))
    n = len(strain)
    if n != len(stress) or not 2 <= n <= MAX_POINTS:
        raise MaterialError(f"{NAME}: the fibre table needs 2 to {MAX_POINTS} strains and as many stresses, got {n}")
    if not (np.isfinite(strain).all() and np.isfinite(stress).all() and strain[0] == 0.0 and stress[0] == 0.0):
        raise MaterialError(f"{NAME}: the fibre table must be finite and start at zero strain and zero stress")
    if not ((np.diff(strain) > 0.0).all() and (np.diff(stress) >= 0.0).all()):
        raise MaterialError(f"{NAME}: fibre strains must rise and fibre stresses must not fall")
    energy = np.concatenate([[0.0], np.cumsum(np.diff(strain) * (stress[1:] + stress[:-1]) / 2.0)])
    out = np.zeros(_HEAD + 3 * MAX_POINTS)
    out[:4] = ground_row(parameters, NAME)
    out[4:_HEAD] = v, n
    for i, column in enumerate((strain, stress, energy)):
        out[_HEAD + i * MAX_POINTS :][:n] = column
    return out


@kernel
def _table(p: Any, strain: float) -> Any:
    """Energy, stress and slope [MPa] of the table in row p at a positive strain."""
    count = int(p[5])
    i = 0
    while i < count - 2 and strain > p[_HEAD + i + 1]:
        i += 1
    at, stress = _HEAD + i, _HEAD + MAX_POINTS + i
    slope = (p[stress + 1] - p[stress]) / (p[at + 1] - p[at])
    x = strain - p[at]
    return p[stress + MAX_POINTS] + x * (p[stress] + 0.5 * slope * x), p[stress] + slope * x, slope


@kernel
def update(
    F: Any,
    rows: Any,
    params: Any,
    axes: Any,
    state_old: Any,
    tangent: int,
    out_W: Any,
    out_S: Any,
    out_C: Any,
    out_state: Any,
) -> Any:
    """See `FiniteLaw.update`; params as in `row`; axes (n, families, 3)."""
    C, Ci, A, B, M = np.empty(6), np.empty(6), np.empty(6), np.empty(6), np.empty(6)
    unit = np.zeros(6)
    unit[:3] = 1.0
    for n in range(F.shape[0]):
        p, S, D = params[rows[n]], out_S[n], out_C[n]
        J, W = ground_response(F[n], p, unit, C, Ci, A, B, tangent, S, D)
        if not J > 0.0:
            return 1 + n
        for f in range(axes.shape[1]):
            structure(axes[n, f], M)
            square = double_dot(M, C)
            if square <= 1.0:  # an absent family (zeros) ends here too
                continue
            stretch = np.sqrt(square)
            energy, stress, slope = _table(p, stretch - 1.0)
            W += p[4] * energy
            for i in range(6):
                S[i] += p[4] * stress / stretch * M[i]
            if tangent == 1:
                add_dyad(M, p[4] * (slope - stress / stretch) / square, D)
        out_W[n] = W
        if tangent == 1:
            mirror(D)
        if not np.isfinite(W):
            return 1 + n
    return 0


LAW = FiniteLaw(
    8,
    NAME,
    ("C10_MPa", "C01_MPa", "K_MPa", "fibre_fraction", "fibre_strain", "fibre_stress_MPa"),
    row,
    update,
    axes="fibres",
    optional=(("C01_MPa", 0.0), ("volumetric", "mixed")),
)
