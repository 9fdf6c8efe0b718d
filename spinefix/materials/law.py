"""What a linear law is: a name, its parameters, and a function to elasticity matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinearLaw:
    """A linear elastic law.

    Parameters
    ----------
    name : str
    parameters : tuple of str
        Names of the numbers it needs; each ends in its unit or is a ratio.
    needs_fibres : bool
        It takes fibre directions and returns one matrix per element.
    matrix : callable
        ``(parameters, fibres) -> (k, 6, 6)`` float64 [MPa], order xx yy zz xy yz xz, engineering shear.
    """

    name: str
    parameters: tuple[str, ...]
    needs_fibres: bool
    matrix: Callable[[Mapping[str, float], F64], F64]


def stiffness_of_compliance(S: F64, law: str) -> F64:
    """Invert compliance matrices (k, 6, 6) [1/MPa] after a check that they are positive definite.

    Raises
    ------
    MaterialError
        A matrix is not positive definite, so that some strain would cost no energy.
    """
    require_positive_definite(S, law)
    return np.asarray(np.linalg.inv(S))


def require_positive_definite(D: F64, law: str) -> None:
    """Check matrices (k, 6, 6).

    Raises
    ------
    MaterialError
        A matrix holds NaN or is not positive definite; the message gives its least eigenvalue.
    """
    values = np.linalg.eigvalsh(D) if np.isfinite(D).all() else np.full((1, 6), np.nan)
    least, greatest = values.min(), values.max()
    if not least > 1e-14 * greatest:
        raise MaterialError(
            f"constants of {law!r} are not positive definite (eigenvalues of the elasticity or compliance from "
            f"{least:.3g} to {greatest:.3g})"
        )
