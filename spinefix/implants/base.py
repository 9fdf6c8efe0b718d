"""What a construct hands over: its own small mesh, what it is made of, and how it is joined to the segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spinefix.mesh.core import F64, Mesh
from spinefix.model.core import Section


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Embed the beams of an implant region in cells of the segment (see `spinefix.model.core.Embedding`).

    Parameters
    ----------
    beams : str
        Region of beam2 elements in the implant mesh.
    hosts : tuple of str
        Region names of the segment (with all below them) that hold the beams.
    radius : float [mm]
    stiffness_normal, stiffness_tangential : float [N/mm^3]
    """

    beams: str
    hosts: tuple[str, ...]
    radius: float
    stiffness_normal: float
    stiffness_tangential: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class TieRequest:
    """Glue a node region of the implant mesh to a facet region of the segment."""

    nodes: str
    facets: str
    tolerance: float = 1.0


@dataclass(frozen=True, slots=True)
class ContactRequest:
    """Let a facet region of the implant mesh stand on one of the segment (see `spinefix.model.core.ContactPair`).

    Parameters
    ----------
    facets, onto : str
        Region of the implant mesh, and of the segment.
    friction : float [1]
    fit_within : float [mm]
    """

    facets: str
    onto: str
    friction: float = 0.0
    fit_within: float = 1.0
    source: str = ""


@dataclass(frozen=True)
class BuildResult:
    """A construct, ready to be joined to a segment.

    Parameters
    ----------
    mesh : Mesh
        Solids (prosthesis) and beams (screws, rods, plate) in global coordinates [mm], own numbering. Beams that
        share a node are rigidly joined there. Cell regions: ``implant.rod.left``, ``implant.screw.L2.left``,
        ``implant.crosslink.1``, ``implant.prosthesis``, ``implant.plate``, ``implant.body_screw.L2.1``, ...
    materials : mapping, cell region -> name of an implant material in the library
    sections : mapping, cell region of beams -> Section
    orientations : mapping, cell region of beams -> (3,) direction of local y (rectangular sections only)
    embeddings, ties, contacts : how it is joined
    remove : tuple of str
        Segment cell regions that are resected (with all below them).
    measures : mapping of str to float
        What was built, for the manifest and the tests (lengths, heights [mm], angles [deg]; names end in the unit).
    warnings : tuple of str
        What can be built but should be looked at (a screw wide for its pedicle).
    assumed : tuple of str
        Numbers that are from memory or assumed, one line each.
    """

    mesh: Mesh
    materials: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, Section] = field(default_factory=dict)
    orientations: Mapping[str, F64] = field(default_factory=dict)
    embeddings: tuple[EmbeddingRequest, ...] = ()
    ties: tuple[TieRequest, ...] = ()
    contacts: tuple[ContactRequest, ...] = ()
    remove: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
