"""Finite-strain constitutive laws. One file per law, one line in `FINITE_LAWS`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.materials.finite import (
    crushable,
    fibres_exponential,
    fibres_tabulated,
    hencky,
    holzapfel,
    mooney_rivlin,
    neo_hookean,
    orthotropic,
    plastic,
    saint_venant_kirchhoff,
    yeoh,
)
from spinefix.materials.finite.law import FiniteLaw, Value
from spinefix.materials.finite.volumetric import VOLUMETRIC

__all__ = ["FINITE_LAWS", "VOLUMETRIC", "FiniteLaw", "finite_law", "parameter_rows"]

FINITE_LAWS: Mapping[str, FiniteLaw] = {
    "saint_venant_kirchhoff": saint_venant_kirchhoff.LAW,
    "orthotropic_saint_venant_kirchhoff": orthotropic.LAW,
    "neo_hookean": neo_hookean.LAW,
    "mooney_rivlin": mooney_rivlin.LAW,
    "yeoh": yeoh.LAW,
    "holzapfel_gasser_ogden": holzapfel.LAW,
    "fibres_exponential": fibres_exponential.LAW,
    "fibres_tabulated": fibres_tabulated.LAW,
    "hencky": hencky.LAW,
    "plastic_j2": plastic.LAW,
    "crushable": crushable.LAW,
}
"""Finite-strain laws by name; each carries its own stable code."""


def finite_law(name: str) -> FiniteLaw:
    """Return a law by name.

    Raises
    ------
    MaterialError
        Unknown name.
    """
    if name not in FINITE_LAWS:
        close = difflib.get_close_matches(name, FINITE_LAWS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise MaterialError(f"unknown finite-strain law {name!r}; known: {', '.join(FINITE_LAWS)}{hint}")
    return FINITE_LAWS[name]


def parameter_rows(law: FiniteLaw, materials: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
    """Return the checked numbers (k, p) of k materials of one law, one row each.

    Raises
    ------
    MaterialError
        A parameter is missing, unknown or out of range.
    """
    known = {*law.parameters, *(name for name, _ in law.optional)}
    rows = []
    for given in materials:
        full = {**dict(law.optional), **given}
        missing = [p for p in law.parameters if p not in full]
        unknown = sorted(set(given) - known)
        if missing:
            raise MaterialError(f"{law.name} lacks {', '.join(missing)}")
        if unknown:
            raise MaterialError(f"{law.name} has no parameter {', '.join(unknown)}; it has: {', '.join(sorted(known))}")
        rows.append(law.row(full))
    return np.array(rows, np.float64)
