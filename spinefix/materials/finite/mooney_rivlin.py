"""Nearly incompressible Mooney-Rivlin: ``W = C10 (I1 - 3) + C01 (I2 - 3) + U(J)`` with isochoric invariants.

The small-strain shear modulus is 2 (C10 + C01), the bulk modulus K (2 / D1 of finite-element codes).
Source: Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, sections 6.5 and 6.6.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.materials.finite import neo_hookean
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.volumetric import volumetric_code

NAME = "mooney_rivlin"


def ground_row(parameters: Mapping[str, Value], law: str) -> NDArray[np.float64]:
    """C10, C01, K [MPa] and the code of U (4,).

    Raises
    ------
    MaterialError
        C10 + C01 or K is not positive, or U is unknown.
    """
    C10, C01 = number(parameters, "C10_MPa", law), number(parameters, "C01_MPa", law)
    if not C10 + C01 > 0.0:
        raise MaterialError(f"{law}: C10_MPa + C01_MPa must be positive, got {C10 + C01:g}")
    K = number(parameters, "K_MPa", law, least=0.0)
    return np.array([C10, C01, K, volumetric_code(parameters, law)])


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """See `ground_row`."""
    return ground_row(parameters, NAME)


LAW = FiniteLaw(4, NAME, ("C10_MPa", "C01_MPa", "K_MPa"), row, neo_hookean.update, optional=(("volumetric", "mixed"),))
