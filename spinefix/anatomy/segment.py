"""The contract between anatomy and everything built on it: a segment is a mesh with frames, landmarks and names.

Region names that every segment promises, for each level ``Ln`` and each disc ``Lm-Ln``:

cells
    ``Ln.body.cancellous``, ``Ln.body.cortical``, ``Ln.endplate.superior``, ``Ln.endplate.inferior``,
    ``Ln.pedicle.left|right``, ``Ln.lamina.left|right``, ``Ln.pars.left|right``, ``Ln.articular.superior.left|right``,
    ``Ln.articular.inferior.left|right``, ``Ln.transverse.left|right``, ``Ln.spinous``;
    ``Lm-Ln.disc.nucleus``, ``Lm-Ln.disc.annulus.1`` (innermost ring) and so on outwards.
facets
    ``Ln.endplate.superior|inferior`` (bone surface that faces the disc), ``Ln.facet.superior.left|right``,
    ``Ln.facet.inferior.left|right`` (articular surfaces), ``Ln.posterior_wall`` (body surface towards the canal).
nodes
    ``Ln.endplate.superior|inferior``, ``Ln.posterior_wall``, ``Ln.canal_roof`` (lamina surface towards the canal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spinefix.mesh.core import F64, Mesh
from spinefix.model.core import PointSprings, SurfaceSprings


@dataclass(frozen=True, slots=True)
class Frame:
    """A right-handed anatomical frame: x anterior, y left, z up.

    Parameters
    ----------
    origin : (3,) float64 [mm]
    axes : (3, 3) float64
        Columns are the unit axes x, y, z in global coordinates.
    """

    origin: F64
    axes: F64

    def to_global(self, local: F64) -> F64:
        """Map points (..., 3) [mm] from this frame to global coordinates."""
        return np.asarray(local) @ self.axes.T + self.origin

    def to_local(self, points: F64) -> F64:
        """Map global points (..., 3) [mm] into this frame."""
        return (np.asarray(points) - self.origin) @ self.axes

    def vector_to_global(self, local: F64) -> F64:
        """Rotate direction vectors (..., 3) from this frame to global axes."""
        return np.asarray(local) @ self.axes.T


@dataclass(frozen=True, slots=True)
class Vertebra:
    """Where one vertebra is.

    Parameters
    ----------
    level : str
        E.g. ``L3``.
    frame : Frame
        Origin midway between the endplate centres, z through them, y towards the left.
    landmarks : mapping of str to (3,) float64 [mm], global
        ``endplate.superior.centre``, ``endplate.inferior.centre``, ``pedicle.left.centre`` (isthmus),
        ``pedicle.left.entry`` (screw entry on the posterior surface, on the pedicle axis), ``spinous.tip``,
        ``transverse.left.tip`` ..., and the same on the right.
    directions : mapping of str to (3,) float64, global unit vectors
        ``pedicle.left.axis``: from the entry into the body.
    dimensions : mapping of str to float [mm]
        The morphometry it was built from (EPWu, EPDu, EPWl, EPDl, VBHa, VBHp, SCW, SCD, PDW, PDH, ...).
    """

    level: str
    frame: Frame
    landmarks: Mapping[str, F64]
    directions: Mapping[str, F64]
    dimensions: Mapping[str, float]


@dataclass(frozen=True)
class Segment:
    """A stack of vertebrae and discs.

    Parameters
    ----------
    mesh : Mesh
        One hex8 block, global coordinates [mm].
    levels : tuple of str
        From the highest (cranial) to the lowest.
    vertebrae : mapping, level -> Vertebra
    fibres : (n_cells, 2, 3) float64
        Unit directions of the two annulus fibre families; zero outside the annulus.
    ligaments : tuple of PointSprings
        Names ``Lm-Ln.ligament.anterior_longitudinal`` etc.
    facet_joints : tuple of SurfaceSprings
        Names ``Lm-Ln.facet_joint.left|right``.
    sources : tuple of str
        Citations of what it was built from.
    ends : tuple of two str
        Node regions that are loaded (upper) and held (lower); by default the superior endplate of the highest and the
        inferior endplate of the lowest vertebra.
    disc_dimensions : mapping, disc -> mapping of str to float [mm], [rad]
        What the discs were built from: height_anterior, height_middle, height_posterior, lordosis, facet_sagittal.
    hinged : bool
        Both ends are pins that turn freely about the lateral axis y and the loaded one moves along z only (test
        blocks). Otherwise the upper end is free and the lower end is fixed.
    """

    mesh: Mesh
    levels: tuple[str, ...]
    vertebrae: Mapping[str, Vertebra]
    fibres: F64
    ligaments: tuple[PointSprings, ...]
    facet_joints: tuple[SurfaceSprings, ...]
    sources: tuple[str, ...] = ()
    ends: tuple[str, str] | None = None
    hinged: bool = False
    disc_dimensions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def loaded_region(self) -> str:
        """Node region that is coupled to the loaded reference point."""
        return self.ends[0] if self.ends else f"{self.levels[0]}.endplate.superior"

    @property
    def held_region(self) -> str:
        """Node region that is held."""
        return self.ends[1] if self.ends else f"{self.levels[-1]}.endplate.inferior"

    def discs(self) -> tuple[str, ...]:
        """Names of the discs from cranial to caudal, e.g. ``L2-L3``."""
        return tuple(f"{a}-{b}" for a, b in zip(self.levels[:-1], self.levels[1:], strict=True))
