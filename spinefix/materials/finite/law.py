"""What a finite-strain law is: a stable code, its numbers, and one batched kernel over integration points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError

F64 = NDArray[np.float64]

Value = float | str | Sequence[float]
"""A parameter: a number, a choice by name, or a table column."""

Update = Callable[..., int]
"""Kernel of a law; see `FiniteLaw`."""


@dataclass(frozen=True, slots=True)
class FiniteLaw:
    """A finite-strain constitutive law.

    Parameters
    ----------
    code : int
        Stored in results; never reused for another law.
    name : str
    parameters : tuple of str
        Names it needs; each ends in its unit or is a ratio.
    row : callable
        ``(parameters) -> (p,)`` float64: checked numbers as the kernel wants them.
    update : callable
        Kernel ``(F, rows, params, axes, state_old, tangent, out_W, out_S, out_C, out_state) -> status`` with F
        (n, 3, 3) [1], rows (n,) int32 into params (k, p), unit reference directions axes (n, f, 3), state_old (n, s),
        tangent 0 or 1 (out_C is left alone with 0), energy density out_W (n,) [MPa], second Piola-Kirchhoff stress
        out_S (n, 6) [MPa], material tangent out_C = dS/dE (n, 6, 6) [MPa] and out_state (n, s). The order is xx yy zz
        xy yz xz with engineering shears in E. The status is 0, or 1 + number of the first point where det F is not
        positive or the law has no finite answer.
    virgin : tuple of float
        State of unloaded material, s numbers.
    axes : str
        Directions it needs: ``none``, ``fibres`` (any number of families, zeros where one is absent) or ``frame`` (the
        first two orthonormal material axes).
    optional : tuple of (str, Value)
        Parameters with a default.
    formulation : str
        Of hex8 elements where a material asks for bending (``incompatible``): ``enhanced`` for solids that bend,
        ``mean_dilatation`` for soft tissue, which is nearly incompressible rather.
    spatial : callable, optional
        The same kernel with Kirchhoff stress and spatial tangent (the push-forward of out_C) in place of out_S and
        out_C, for isotropic laws that are simpler so.
    """

    code: int
    name: str
    parameters: tuple[str, ...]
    row: Callable[[Mapping[str, Value]], F64]
    update: Update
    virgin: tuple[float, ...] = ()
    axes: str = "none"
    optional: tuple[tuple[str, Value], ...] = ()
    formulation: str = "mean_dilatation"
    spatial: Update | None = None

    @property
    def n_state(self) -> int:
        """Number of state variables at an integration point."""
        return len(self.virgin)

    def check_axes(self, axes: F64) -> None:
        """Check reference directions (e, f, 3).

        Raises
        ------
        MaterialError
            Directions are missing, of another length than 1 (or 0 for an absent family), or do not form a frame.
        """
        if self.axes == "none":
            return
        least = 2 if self.axes == "frame" else 1
        if axes.ndim != 3 or axes.shape[1] < least or axes.shape[2] != 3:
            raise MaterialError(f"{self.name} needs at least {least} reference directions per element")
        length = np.linalg.norm(axes, axis=2)
        absent = length == 0.0 if self.axes == "fibres" else np.zeros_like(length, bool)
        if not np.all((np.abs(length - 1.0) < 1e-6) | absent):
            raise MaterialError(f"{self.name}: directions must have unit length, or be zero for an absent fibre family")
        if self.axes == "frame" and len(axes):
            skew = np.abs(np.einsum("ei,ei->e", axes[:, 0], axes[:, 1])).max()
            if not skew < 1e-6:
                raise MaterialError(
                    f"{self.name}: the first two material axes must be perpendicular (cosine {skew:.2g})"
                )


def number(
    parameters: Mapping[str, Value], name: str, law: str, *, least: float = -np.inf, strict: bool = True
) -> float:
    """Return a finite number that exceeds `least` (or equals it, unless `strict`).

    Raises
    ------
    MaterialError
        It does not.
    """
    value = parameters[name]
    if isinstance(value, str) or not np.isscalar(value):
        raise MaterialError(f"{law}: {name} must be a number, got {value!r}")
    x = float(value)  # type: ignore[arg-type]
    if not np.isfinite(x) or x < least or (strict and x == least):
        raise MaterialError(f"{law}: {name} must be {'above' if strict else 'at least'} {least:g}, got {x:g}")
    return x


def lame(parameters: Mapping[str, Value], law: str) -> tuple[float, float]:
    """Return Lame's constants [MPa] from ``E_MPa`` and ``nu``.

    Raises
    ------
    MaterialError
        E is not positive, or nu outside (-1, 0.5).
    """
    E = number(parameters, "E_MPa", law, least=0.0)
    nu = number(parameters, "nu", law)
    if not -1.0 < nu < 0.5:
        raise MaterialError(f"{law}: nu must lie between -1 and 0.5, both excluded, got {nu:g}")
    return E * nu / ((1.0 + nu) * (1.0 - 2.0 * nu)), E / (2.0 * (1.0 + nu))
