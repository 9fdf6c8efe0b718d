"""The volumetric energy U(J) of laws with an isochoric-volumetric split; one choice per material, stated by name.

All have U(1) = U'(1) = 0 and U''(1) = K. They differ far from J = 1 only:

- ``quadratic``, K/2 (J - 1)^2: finite at J = 0, so it cannot keep an element from collapse;
- ``mixed``, K/4 (J^2 - 1 - 2 ln J) (Simo JC, Taylor RL, 1982, IMA J Numer Anal 2:221-243 form; with K = 2/D also that
  of the Holzapfel-Gasser-Ogden law as finite-element codes have it): convex, infinite at J = 0; the default;
- ``logarithmic``, K/2 (ln J)^2: infinite at J = 0, loses convexity beyond J = e.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spinefix.errors import MaterialError
from spinefix.jit import kernel
from spinefix.materials.finite.law import Value
from spinefix.materials.finite.tensors import add_dyad, add_square

QUADRATIC, MIXED, LOGARITHMIC = 0, 1, 2

VOLUMETRIC: Mapping[str, int] = {"quadratic": QUADRATIC, "mixed": MIXED, "logarithmic": LOGARITHMIC}
"""Codes by name; stored in results, never reused."""


def volumetric_code(parameters: Mapping[str, Value], law: str) -> float:
    """Return the code of the choice ``volumetric`` as a number for a parameter row.

    Raises
    ------
    MaterialError
        The name is unknown.
    """
    name = parameters.get("volumetric", "mixed")
    if name not in VOLUMETRIC:
        raise MaterialError(f"{law}: unknown volumetric energy {name!r}; known: {', '.join(VOLUMETRIC)}")
    return float(VOLUMETRIC[str(name)])


@kernel
def volumetric(code: int, K: float, J: float) -> Any:
    """U(J), U'(J), U''(J) [MPa]."""
    if code == QUADRATIC:
        return 0.5 * K * (J - 1.0) ** 2, K * (J - 1.0), K
    log = np.log(J)
    if code == MIXED:
        return 0.25 * K * ((J - 1.0) * (J + 1.0) - 2.0 * log), 0.5 * K * (J - 1.0 / J), 0.5 * K * (1.0 + 1.0 / (J * J))
    return 0.5 * K * log * log, K * log / J, K * (1.0 - log) / (J * J)


@kernel
def add_volumetric(code: int, K: float, J: float, Ci: Any, tangent: int, out_S: Any, out_C: Any) -> Any:
    """Add S = J U' C^-1 and C = J (U' + J U'') C^-1 (x) C^-1 - 2 J U' C^-1 (.) C^-1; return U.

    Source: Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, section 6.6.
    """
    U, dU, ddU = volumetric(code, K, J)
    p = J * dU
    for i in range(6):
        out_S[i] += p * Ci[i]
    if tangent == 1:
        add_dyad(Ci, p + J * J * ddU, out_C)
        add_square(Ci, -2.0 * p, out_C)
    return U
