"""The model value: everything the solver needs, as arrays and plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spinefix.mesh.core import F64, I32, Bool, Mesh


@dataclass(frozen=True, slots=True)
class Material:
    """A constitutive law with its numbers.

    Parameters
    ----------
    name : str
        For people: tables, manifest, errors.
    law : str
        One of `spinefix.materials.LAWS`: ``isotropic`` (E_MPa, nu), ``orthotropic`` (nine constants in global axes),
        ``fibre_reinforced`` (E_MPa, nu of the ground substance, fibre_MPa per family, directions in `Model.fibres`);
        in nonlinear analysis also one of `spinefix.materials.finite.FINITE_LAWS`.
    parameters : mapping of str to float, str or sequence of float
        Resolved numbers [MPa, 1]; finite-strain laws also have choices by name and table columns.
    formulation : str
        Element technology for hex8: ``incompatible`` (bending) or ``bbar`` (near-incompressible).
    source : str
        Citation; never read by kernels.
    assumed : bool
        True when a number is from memory or assumed; printed in the manifest.
    """

    name: str
    law: str
    parameters: Mapping[str, Any]
    formulation: str = "incompatible"
    source: str = ""
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A beam cross-section.

    Parameters
    ----------
    name : str
    area : float [mm^2]
    Iy, Iz : float [mm^4]
        Second moments about the local y and z axes.
    J : float [mm^4]
        Torsion constant.
    shear_y, shear_z : float [1]
        Timoshenko shear correction factors.
    extent_y, extent_z : float [mm]
        Half depth of the section along local y and z (radius if round), for the outer-fibre stress.
    round : bool
        Circular section: the outer-fibre stress combines both bending moments vectorially.
    """

    name: str
    area: float
    Iy: float
    Iz: float
    J: float
    shear_y: float
    shear_z: float
    extent_y: float
    extent_z: float
    round: bool


@dataclass(frozen=True, slots=True)
class Pull:
    """How strands really act: they pull, stiffen, and go slack; known to nonlinear analysis only.

    Parameters
    ----------
    strain, stress : (k,) float64 [1], [MPa]
        Nominal, ascending from (0, 0); the last slope goes on.
    area : (s,) float64 [mm^2]
        Cross-section of each strand.
    gauge : (s,) float64 [mm]
        Length over which the elongation of each strand counts.
    """

    strain: F64
    stress: F64
    area: F64
    gauge: F64

    def take(self, strands: Bool) -> Pull:
        """Return what is left with some strands."""
        return replace(self, area=self.area[strands], gauge=self.gauge[strands])


@dataclass(frozen=True, slots=True)
class PointSprings:
    """Springs between pairs of nodes along their initial axis (ligament bundles).

    Parameters
    ----------
    name : str
        Region name, e.g. ``L3-L4.ligament.supraspinous``.
    nodes : (s, 2) int32
    stiffness : (s,) float64 [N/mm]
        Linear stiffness of each strand (tangent of the toe region unless `source` says otherwise).
    pull : Pull, optional
        Takes the place of `stiffness` in nonlinear analysis.
    """

    name: str
    nodes: I32
    stiffness: F64
    source: str = ""
    pull: Pull | None = None

    def take(self, strands: Bool) -> PointSprings:
        """Return the bundle with some of its strands."""
        pull = None if self.pull is None else self.pull.take(strands)
        return replace(self, nodes=self.nodes[strands], stiffness=self.stiffness[strands], pull=pull)


@dataclass(frozen=True, slots=True)
class SurfaceSprings:
    """An elastic foundation between two facing surfaces (facet joint cartilage).

    Parameters
    ----------
    name : str
    facets : (k, 2) int32
        Facets that carry the quadrature points (element id, local facet).
    onto : (m, 2) int32
        Facets of the facing surface, onto which the points are projected.
    stiffness_normal, stiffness_tangential : float [N/mm^3]
        Foundation modulus, E / thickness of the layer in between.
    press : float [N/mm^3], optional
        Foundation modulus of a layer that can only be pressed: nonlinear analysis lets the surfaces part and slide
        without friction. Left out: linear there too.
    """

    name: str
    facets: I32
    onto: I32
    stiffness_normal: float
    stiffness_tangential: float
    source: str = ""
    press: float | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """Beams held by solids over their real diameter with an interface stiffness (screw in bone).

    Parameters
    ----------
    name : str
    beams : (k,) int32
        Ids of beam2 elements.
    hosts : (h,) int32
        Ids of the solid elements that may hold them; stretches of beam outside all hosts are free.
    radius : float [mm]
        Radius at which shaft and bone meet.
    stiffness_normal, stiffness_tangential : float [N/mm^3]
        Interface stiffness per area of the cylinder, radial and in the surface.
    """

    name: str
    beams: I32
    hosts: I32
    radius: float
    stiffness_normal: float
    stiffness_tangential: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class Tie:
    """Nodes glued to the surface of other elements (bonded prosthesis-endplate interface), by elimination.

    Parameters
    ----------
    nodes : (s,) int32
        Slave nodes.
    facets : (m, 2) int32
        Master facets (element id, local facet).
    tolerance : float [mm]
        A slave farther than this from the master surface is an error.
    """

    name: str
    nodes: I32
    facets: I32
    tolerance: float = 1.0


@dataclass(frozen=True, slots=True)
class ContactPair:
    """Two surfaces that press on each other and may part (unbonded prosthesis-endplate interface).

    Known to nonlinear analysis only; linear analysis refuses a model that has one.

    Parameters
    ----------
    name : str
        E.g. ``implant.prosthesis.superior``.
    facets : (k, 2) int32
        Facets that carry the quadrature points (element id, local facet); the finer side.
    onto : (m, 2) int32
        Facets of the facing surface.
    friction : float [1]
        Coefficient of Coulomb friction; 0: the surfaces slide freely.
    fit_within : float [mm]
        Gaps and overlaps at rest of up to this come of the meshes alone and count as exact contact.
    """

    name: str
    facets: I32
    onto: I32
    friction: float = 0.0
    fit_within: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Coupling:
    """A rigid coupling of nodes to the six dofs of a reference point, by elimination.

    Parameters
    ----------
    name : str
    reference : int
        Node id of the reference point (it has rotations).
    nodes : (s,) int32
    """

    name: str
    reference: int
    nodes: I32


@dataclass(frozen=True, slots=True)
class Support:
    """Prescribed zero dofs.

    Parameters
    ----------
    nodes : (s,) int32
    translations, rotations : tuple of three bool
        Which components are held. Rotations only where the node has them.
    """

    name: str
    nodes: I32
    translations: tuple[bool, bool, bool] = (True, True, True)
    rotations: tuple[bool, bool, bool] = (False, False, False)


@dataclass(frozen=True, slots=True)
class Guide:
    """A point that a follower load runs through: a weighted mean of nodes.

    Parameters
    ----------
    nodes : (k,) int32
    weights : (k,) float64
        Their sum is 1.
    """

    nodes: I32
    weights: F64

    def of(self, values: F64) -> F64:
        """Return the weighted mean (...) of nodal values (n_points, ...)."""
        return np.asarray(self.weights @ values[self.nodes])


@dataclass(frozen=True)
class Model:
    """A complete structural model.

    Parameters
    ----------
    mesh : Mesh
        Solids and beams; reference points are points of the mesh that no element uses.
    materials : tuple of Material
    material_id : (n_cells,) int32
    scale : (n_cells, 8) float64 [1]
        Stiffness scale at the integration points (lesion); 1 is healthy. Elements with fewer points use the first ones.
    fibres : (n_cells, 2, 3) float64
        Unit directions of two fibre families; zero where there are none.
    sections, section_id : tuple of Section, (n_cells,) int32
        Cross-section of each beam element, -1 for solids.
    orientation : (n_cells, 3) float64
        Direction that fixes the local y axis of each beam (need not be perpendicular to it); zero for solids and
        round sections.
    point_springs, surface_springs, embeddings, ties, contact_pairs, couplings, supports
        Interfaces and boundary conditions, data only.
    guides : tuple of Guide
        Of the follower load, from one end of its path to the other.
    sources : tuple of str
        Citations of all that was used.
    """

    mesh: Mesh
    materials: tuple[Material, ...]
    material_id: I32
    scale: F64
    fibres: F64
    sections: tuple[Section, ...]
    section_id: I32
    orientation: F64
    point_springs: tuple[PointSprings, ...] = ()
    surface_springs: tuple[SurfaceSprings, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    ties: tuple[Tie, ...] = ()
    contact_pairs: tuple[ContactPair, ...] = ()
    couplings: tuple[Coupling, ...] = ()
    supports: tuple[Support, ...] = ()
    guides: tuple[Guide, ...] = ()
    sources: tuple[str, ...] = ()

    def rotational_nodes(self) -> I32:
        """Return the sorted ids of nodes that have rotations: beam nodes and reference points."""
        parts = [np.unique(b.conn) for b in self.mesh.blocks if b.kind == "beam2"]
        parts.append(np.array([c.reference for c in self.couplings], np.int32))
        return np.unique(np.concatenate(parts)).astype(np.int32)


@dataclass(frozen=True, slots=True)
class LoadCase:
    """Forces and moments on nodes that have rotations (reference points, beam nodes) or forces on plain nodes.

    Parameters
    ----------
    name : str
        E.g. ``flexion``.
    forces : mapping, node id -> (3,) float64 [N]
    moments : mapping, node id -> (3,) float64 [N mm]
    follower : float [N]
        Compressive force along the model's `guides`, applied before everything else and kept. In linear analysis it
        keeps the direction of the path at rest.
    """

    name: str
    forces: Mapping[int, F64] = field(default_factory=dict)
    moments: Mapping[int, F64] = field(default_factory=dict)
    follower: float = 0.0
