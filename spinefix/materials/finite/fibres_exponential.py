"""Exponential fibres that carry tension only, in a Mooney-Rivlin ground.

``W = ground + k1 / (2 k2) sum_f (exp(k2 (I4 - 1)^2) - 1)`` where ``I4 = a . C a > 1``. I4 is the whole squared stretch
of the fibre, not its isochoric part: a fibre feels what its ends do (Nolan DR et al. 2014, J Mech Behav Biomed Mater
39:48-60). C01 = 0 gives a neo-Hookean ground. k1 is per volume of tissue. At rest the tangent of the fibres counts, see
`holzapfel`.
Source: Holzapfel GA, Gasser TC, Ogden RW (2000), J Elasticity 61:1-48.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.holzapfel import ROUND_OFF
from spinefix.materials.finite.invariants import ground_response
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.mooney_rivlin import ground_row
from spinefix.materials.finite.tensors import add_dyad, double_dot, mirror, structure

NAME = "fibres_exponential"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """C10, C01, K [MPa], code of U, k1 [MPa], k2 (6,)."""
    k1 = number(parameters, "k1_MPa", NAME, least=0.0, strict=False)
    k2 = number(parameters, "k2", NAME, least=0.0)
    return np.concatenate([ground_row(parameters, NAME), [k1, k2]])


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
        k1, k2 = p[4], p[5]
        for f in range(axes.shape[1]):
            structure(axes[n, f], M)
            x = double_dot(M, C) - 1.0
            if x < -ROUND_OFF:  # an absent family (zeros) ends here too
                continue
            x = max(x, 0.0)
            growth = np.exp(k2 * x * x)
            W += 0.5 * k1 / k2 * (growth - 1.0)
            for i in range(6):
                S[i] += 2.0 * k1 * x * growth * M[i]
            if tangent == 1:
                add_dyad(M, 4.0 * k1 * growth * (1.0 + 2.0 * k2 * x * x), D)
        out_W[n] = W
        if tangent == 1:
            mirror(D)
        if not np.isfinite(W):
            return 1 + n
    return 0


LAW = FiniteLaw(
    7,
    NAME,
    ("C10_MPa", "C01_MPa", "K_MPa", "k1_MPa", "k2"),
    row,
    update,
    axes="fibres",
    optional=(("C01_MPa", 0.0), ("volumetric", "mixed")),
)
