"""Nearly incompressible neo-Hooke: ``W = mu / 2 (I1 - 3) + U(J)`` with the isochoric invariant I1.

U(J) is any of `volumetric`; at small strain mu is the shear modulus and K the bulk modulus.
Source: Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, sections 6.4 to 6.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.invariants import ground_response
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.tensors import mirror
from spinefix.materials.finite.volumetric import volumetric_code

NAME = "neo_hookean"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """C10, C01 = 0, K [MPa] and the code of U, as for Mooney-Rivlin."""
    mu, K = (number(parameters, p, NAME, least=0.0) for p in ("mu_MPa", "K_MPa"))
    return np.array([mu / 2.0, 0.0, K, volumetric_code(parameters, NAME)])


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
    """See `FiniteLaw.update`; params (k, 4): C10, C01, K [MPa], code of U. Serves Mooney-Rivlin too."""
    C, Ci, A, B, unit = np.empty(6), np.empty(6), np.empty(6), np.empty(6), np.zeros(6)
    unit[:3] = 1.0
    for n in range(F.shape[0]):
        J, out_W[n] = ground_response(F[n], params[rows[n]], unit, C, Ci, A, B, tangent, out_S[n], out_C[n])
        if not (J > 0.0 and np.isfinite(out_W[n])):
            return 1 + n
        if tangent == 1:
            mirror(out_C[n])
    return 0


LAW = FiniteLaw(3, NAME, ("mu_MPa", "K_MPa"), row, update, optional=(("volumetric", "mixed"),))
