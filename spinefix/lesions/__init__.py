"""Lesions as fields of stiffness at the integration points; one kind per file and one line in the registry."""

from __future__ import annotations

from spinefix.lesions.ellipsoid import EllipsoidalLesion, LesionReport, ellipsoid_coverage
from spinefix.lesions.field import LESIONS, Lesion, LesionField, lesion_scale

__all__ = [
    "LESIONS",
    "EllipsoidalLesion",
    "Lesion",
    "LesionField",
    "LesionReport",
    "ellipsoid_coverage",
    "lesion_scale",
]
