"""Lesions as fields of stiffness at the integration points; one kind per file and one line in the registry."""

from __future__ import annotations

from spinefix.lesions.ellipsoid import EllipsoidalLesion, LesionReport, place_ellipsoid
from spinefix.lesions.field import LESIONS, Lesion, LesionField, UnionReport, lesion_scale

__all__ = [
    "LESIONS",
    "EllipsoidalLesion",
    "Lesion",
    "LesionField",
    "LesionReport",
    "UnionReport",
    "lesion_scale",
    "place_ellipsoid",
]
