"""From a scenario to a model: one arm of a study becomes arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spinefix.anatomy.blocks import build_f1717_blocks
from spinefix.anatomy.builder import build_segment
from spinefix.anatomy.follower import build_guides
from spinefix.anatomy.segment import Segment
from spinefix.errors import ScenarioError, UsageError, under
from spinefix.implants import CONSTRUCTS, BuildResult
from spinefix.lesions import LesionField, lesion_scale
from spinefix.library import devices, reader
from spinefix.library.tissues import materials, of_region
from spinefix.loads import LOADS
from spinefix.mesh.core import I32, Mesh, keep_cells, merge
from spinefix.model.core import (
    ContactPair,
    Coupling,
    Embedding,
    Guide,
    LoadCase,
    Material,
    Model,
    PointSprings,
    Support,
    Tie,
)

if TYPE_CHECKING:
    from spinefix.scenario.schema import Study


@contextmanager
def located(study: Study, *key: str | int) -> Iterator[None]:
    """Give usage errors from within, which arise below `key`, their file and line.

    Raises
    ------
    ScenarioError
        In place of any `UsageError`.
    """
    try:
        with under(*key):
            yield
    except ScenarioError:
        raise
    except UsageError as error:
        raise ScenarioError([study.finding(error.key, error.reason)]) from error


@dataclass(frozen=True)
class Specimen:
    """What all arms of a study share: the anatomy, its tissues and its lesion.

    Parameters
    ----------
    segment : Segment
    tissues : mapping, region name below a level or disc (``body.cancellous``) -> Material
    lesion : LesionField or None
        None without lesions.
    """

    segment: Segment
    tissues: Mapping[str, Material]
    lesion: LesionField | None

    def record(self) -> dict[str, Any]:
        """What the manifest keeps of the specimen: levels, size, dimensions, lesions as they came out, their unions."""
        reports, unions = (self.lesion.reports, self.lesion.unions) if self.lesion else ((), ())
        return {
            "levels": list(self.segment.levels),
            "elements": self.segment.mesh.n_cells,
            "nodes": self.segment.mesh.n_points,
            "dimensions_mm": {k: dict(v.dimensions) for k, v in self.segment.vertebrae.items()},
            "lesions": [asdict(r) for r in reports],
            "lesion_unions": [asdict(u) for u in unions],
        }

    def warnings(self) -> list[str]:
        """Lines on what should be looked at: lesions that overlap."""
        unions = self.lesion.unions if self.lesion else ()
        return [text for text in (u.warning() for u in unions) if text]

    def assumed(self) -> list[str]:
        """Dimensions of the anatomy that are from memory or assumed, one line each."""
        known = [level for level in self.segment.levels if level in reader.levels()]
        tables = {
            **{level: reader.level_dimensions(level) for level in known},
            **{f"disc {d}": reader.disc(d) for d in self.segment.discs() if known},
            **({"shape": reader.shape_parameters()} if known else {}),
        }
        return [
            f"{where} {name} = {datum.value:g} {datum.unit}"
            for where, table in tables.items()
            for name, datum in table.items()
            if datum.assumed
        ]


def build_specimen(study: Study) -> Specimen:
    """Build the segment, its tissues and the lesion field of a study.

    Raises
    ------
    ScenarioError
        A level, tissue or lesion cannot be built; with its place in the scenario.
    """
    spec = study.segment
    if spec.kind == "f1717_blocks":
        with located(study, "segment"):
            blocks = build_f1717_blocks(
                active_length_mm=spec.active_length_mm,
                block_arm_mm=spec.block_arm_mm,
                screw_spacing_mm=spec.screw_spacing_mm,
                element_size_mm=15.0 / spec.refinement(),
            )
        return Specimen(blocks, {"block": devices.material(spec.material)}, None)
    with located(study, "segment"):
        segment = build_segment(spec.levels, spec.refinement())
    rings = len({k.rpartition(".")[2] for k in segment.mesh.cells if ".disc.annulus." in k})
    finite = study.analysis.kind == "nonlinear"
    tissues = materials(study.tissues, annulus_rings=rings, overrides=study.tissue_overrides, finite=finite)
    lesion = None
    if study.lesions:
        with located(study, "lesions"):
            bone = {k: m.parameters["E_MPa"] for k, m in tissues.items() if m.law == "isotropic"}
            lesion = lesion_scale(segment, study.lesions, bone)
    return Specimen(segment, tissues, lesion)


@dataclass(frozen=True)
class ArmModel:
    """One arm, ready to be solved.

    Parameters
    ----------
    name : str
    model : Model
    cases : tuple of LoadCase
    reference : int
        Node id of the loaded reference point.
    construct : BuildResult
    diseased, resected : tuple of str
        Levels with a lesion or without a body.
    """

    name: str
    model: Model
    cases: tuple[LoadCase, ...]
    reference: int
    construct: BuildResult
    diseased: tuple[str, ...]
    resected: tuple[str, ...]


def build_arm(study: Study, specimen: Specimen, name: str) -> ArmModel:
    """Join segment, construct, lesion and loads of one arm.

    Raises
    ------
    ScenarioError
        The construct cannot be built on this segment; with its place in the scenario.
    """
    spec = study.arms[name]
    segment = specimen.segment
    with located(study, "arms", name):
        construct = CONSTRUCTS[type(spec)](spec, segment)
    healthy = spec.kind == "intact" or specimen.lesion is None
    removed = segment.mesh.select(*construct.remove) if construct.remove else np.zeros(0, np.int32)
    keep = np.ones(segment.mesh.n_cells, bool)
    keep[removed] = False
    bone, new_id = keep_cells(segment.mesh, keep)
    mesh, node_offset, cell_offset = merge([bone, construct.mesh, reference_points(segment)])
    reference = node_offset[2]
    couplings, supports = boundary(segment, reference)

    materials: list[Material] = []
    material_id = np.full(mesh.n_cells, -1, np.int32)

    def assign(cells: I32, material: Material) -> None:
        if material not in materials:
            materials.append(material)
        material_id[cells] = materials.index(material)

    for region, cells in bone.cells.items():
        assign(cells, of_region(region, specimen.tissues))
    for region, material_name in construct.materials.items():
        assign(construct.mesh.select(region) + cell_offset[1], devices.material(material_name))

    scale = np.ones((mesh.n_cells, 8))
    fibres = np.zeros((mesh.n_cells, 2, 3))
    fibres[: bone.n_cells] = segment.fibres[keep]
    if not healthy and specimen.lesion is not None:
        scale[: bone.n_cells] = specimen.lesion.scale[keep]

    sections = list(dict.fromkeys(construct.sections.values()))
    section_id = np.full(mesh.n_cells, -1, np.int32)
    orientation = np.zeros((mesh.n_cells, 3))
    for region, section in construct.sections.items():
        section_id[construct.mesh.select(region) + cell_offset[1]] = sections.index(section)
    for region, direction in construct.orientations.items():
        orientation[construct.mesh.select(region) + cell_offset[1]] = direction

    model = Model(
        mesh=mesh,
        materials=tuple(materials),
        material_id=material_id,
        scale=scale,
        fibres=fibres,
        sections=tuple(sections),
        section_id=section_id,
        orientation=orientation,
        point_springs=surviving_ligaments(segment.ligaments, bone),
        surface_springs=tuple(
            replace(j, facets=renumber(j.facets, new_id), onto=renumber(j.onto, new_id)) for j in segment.facet_joints
        ),
        embeddings=tuple(
            Embedding(
                name=r.beams,
                beams=construct.mesh.select(r.beams) + np.int32(cell_offset[1]),
                hosts=bone.select(*(h for h in r.hosts if region_exists(bone, h))),
                radius=r.radius,
                stiffness_normal=r.stiffness_normal,
                stiffness_tangential=r.stiffness_tangential,
                source=r.source,
            )
            for r in construct.embeddings
        ),
        ties=tuple(
            Tie(
                name=f"{t.nodes}-{t.facets}",
                nodes=construct.mesh.nodes[t.nodes] + np.int32(node_offset[1]),
                facets=bone.facets[t.facets],
                tolerance=t.tolerance,
            )
            for t in construct.ties
        ),
        contact_pairs=tuple(
            ContactPair(
                name=c.facets,
                facets=mesh.facets[c.facets],
                onto=mesh.facets[c.onto],
                friction=c.friction,
                fit_within=c.fit_within,
                source=c.source,
            )
            for c in construct.contacts
        ),
        couplings=couplings,
        supports=supports,
        guides=follower_path(study, specimen, construct, reference),
        sources=tuple(dict.fromkeys((*segment.sources, *construct.sources, *(m.source for m in materials)))),
    )
    cases = [case for load in study.loads for case in LOADS[type(load)](load, reference)]
    lesioned = () if healthy else tuple(dict.fromkeys(lesion.level for lesion in study.lesions))
    resected = tuple(level for level in segment.levels if f"{level}.body" in construct.remove)
    diseased = tuple(level for level in segment.levels if level in lesioned or level in resected)
    if not diseased and study.lesions:
        diseased = tuple(dict.fromkeys(lesion.level for lesion in study.lesions))
    return ArmModel(name, model, tuple(cases), reference, construct, diseased, resected)


def follower_path(study: Study, specimen: Specimen, construct: BuildResult, reference: int) -> tuple[Guide, ...]:
    """Guides of a follower load, if the study has one: loaded end, bodies that are still there, held end.

    All arms have the same guides, but those of resected bodies; none is in bone that a lesion has weakened.
    """
    segment = specimen.segment
    if segment.hinged or not any(case.follower for load in study.loads for case in LOADS[type(load)](load, reference)):
        return ()
    lesion = specimen.lesion
    sound = np.ones(segment.mesh.n_cells, bool) if lesion is None else np.asarray((lesion.scale > 0.5).all(axis=1))
    guides = build_guides(segment, sound)
    held = segment.mesh.nodes[segment.held_region]
    inside = [guides[level] for level in segment.levels if level in guides and f"{level}.body" not in construct.remove]
    ends = Guide(np.array([reference], np.int32), np.ones(1)), Guide(held, np.full(len(held), 1.0 / len(held)))
    return (ends[0], *inside, ends[1])


def reference_points(segment: Segment) -> Mesh:
    """Reference points in the middle of the loaded and of the held end, a mesh of two points and no element."""
    mesh = segment.mesh
    centres = []
    for region in (segment.loaded_region, segment.held_region):
        points = mesh.points[mesh.nodes[region]]
        centres.append(0.5 * (points.min(axis=0) + points.max(axis=0)))
    names = {"reference.load": np.array([0], np.int32), "reference.support": np.array([1], np.int32)}
    return Mesh(np.array(centres), (), nodes=names)


def boundary(segment: Segment, reference: int) -> tuple[tuple[Coupling, ...], tuple[Support, ...]]:
    """Couplings and supports of the two ends.

    The upper end region moves rigidly with its reference point. The lower one is fixed. In a hinged specimen both ends
    are pins, lines of nodes along y, about which the blocks turn freely: their reference points do not rotate, the
    lower one does not move, the upper one is guided along z.
    """
    loaded = segment.mesh.nodes[segment.loaded_region]
    held = segment.mesh.nodes[segment.held_region]
    upper = Coupling("load", reference, loaded)
    if not segment.hinged:
        return (upper,), (Support("held", held),)
    lower = Coupling("support", reference + 1, held)
    still = (True, True, True)
    guide = Support("upper pin", np.array([reference], np.int32), (True, True, False), still)
    foot = Support("lower pin", np.array([reference + 1], np.int32), still, still)
    return (upper, lower), (guide, foot)


def region_exists(mesh: Mesh, name: str) -> bool:
    """True when a cell region of this name or below it is left."""
    return any(k == name or k.startswith(name + ".") for k in mesh.cells)


def renumber(facets: I32, new_id: I32) -> I32:
    """Facets (k, 2) in the numbering after resection; those of removed elements are dropped."""
    alive = new_id[facets[:, 0]] >= 0
    return np.stack([new_id[facets[alive, 0]], facets[alive, 1]], axis=1).astype(np.int32)


def surviving_ligaments(ligaments: Sequence[PointSprings], mesh: Mesh) -> tuple[PointSprings, ...]:
    """Ligament strands whose two insertions are still there after resection."""
    used = np.zeros(mesh.n_points, bool)
    for b in mesh.blocks:
        used[b.conn] = True
    out = []
    for bundle in ligaments:
        alive = np.asarray(used[bundle.nodes].all(axis=1))
        if alive.any():
            out.append(bundle.take(alive))
    return tuple(out)
