"""Constitutive laws: numbers in, elasticity matrices out. One file per law, one line in `LAWS`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.materials import fibre_reinforced, isotropic, orthotropic
from spinefix.materials.law import LinearLaw, require_positive_definite

__all__ = ["LAWS", "LinearLaw", "elasticity"]

F64 = NDArray[np.float64]

LAWS: Mapping[str, LinearLaw] = {
    "isotropic": isotropic.LAW,
    "orthotropic": orthotropic.LAW,
    "fibre_reinforced": fibre_reinforced.LAW,
}
"""Linear laws by name."""


def elasticity(law: str, parameters: Mapping[str, float], fibres: F64 | None = None) -> F64:
    """Return the elasticity matrices of a law.

    Parameters
    ----------
    law : str
        Key of `LAWS`.
    parameters : mapping of str to float
        The numbers that `LAWS[law].parameters` names [MPa, 1].
    fibres : (e, 2, 3) float64, optional
        Unit directions of two fibre families per element, for laws with fibres.

    Returns
    -------
    (k, 6, 6) float64 [MPa]
        Order xx yy zz xy yz xz, engineering shear; k = e for laws with fibres, else 1.

    Raises
    ------
    MaterialError
        Unknown law, missing or unusable numbers, or a matrix that is not positive definite.
    """
    if law not in LAWS:
        close = difflib.get_close_matches(law, LAWS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise MaterialError(f"unknown law {law!r}; known: {', '.join(LAWS)}{hint}")
    found = LAWS[law]
    missing = [p for p in found.parameters if p not in parameters]
    if missing:
        raise MaterialError(f"{law} lacks {', '.join(missing)}")
    if found.needs_fibres and fibres is None:
        raise MaterialError(f"{law} needs fibre directions")
    directions = np.zeros((0, 2, 3)) if fibres is None else np.asarray(fibres, np.float64)
    D = found.matrix(parameters, directions)
    if len(D):
        require_positive_definite(D, law)
    return np.ascontiguousarray(D)
