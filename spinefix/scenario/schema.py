"""The scenario as a frozen, versioned, validated value: what a study is, with all defaults.

The unions of lesions, constructs and loads are built from the literal registries of their packages, so a new kind
becomes legal in a scenario, in the JSON Schema and in the editor by its one line in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, PrivateAttr, StringConstraints, model_validator

from spinefix.analysis.response import Cycle
from spinefix.anatomy.builder import REFINEMENTS
from spinefix.errors import Location, UsageError, path_text
from spinefix.implants import CONSTRUCTS
from spinefix.lesions import LESIONS
from spinefix.library import levels, reader
from spinefix.library.tissues import apply_overrides
from spinefix.loads import LOADS, PureMoment, case_names
from spinefix.spec import Spec

Resolution = Literal["coarse", "middle", "fine"]
"""Words for the mesh, `spinefix.anatomy.builder.REFINEMENTS`."""

Level = Literal["L1", "L2", "L3", "L4", "L5"]
"""Vertebrae of the library."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=60)]
"""A name that becomes part of file names."""


def _union(registry: Mapping[type[Any], Any], discriminator: str) -> Any:
    """Type of any member of a registry, chosen by its `discriminator` key."""
    kinds = tuple(registry)
    if len(kinds) == 1:
        return kinds[0]
    return Annotated[Union[kinds], Field(discriminator=discriminator)]  # noqa: UP007


Lesion: Any = _union(LESIONS, "shape")
Construct: Any = _union(CONSTRUCTS, "kind")
Load: Any = _union(LOADS, "kind")


class Meshed(Spec):
    """What all specimens have in common."""

    resolution: Resolution | Annotated[int, Field(ge=2, le=6)] = "middle"
    """Fineness of the mesh: a word, or divisions of each block of the template (2 to 6)."""

    def refinement(self) -> int:
        """Divisions of each block of the template."""
        return self.resolution if isinstance(self.resolution, int) else REFINEMENTS[self.resolution]


class SpineSegment(Meshed):
    """Consecutive vertebrae with their discs, ligaments and facet joints."""

    kind: Literal["spine"] = "spine"
    """Kind of specimen."""
    levels: Annotated[tuple[Level, ...], Field(min_length=2)]
    """Consecutive vertebrae from cranial to caudal; the lowest is held, the highest is loaded."""


class F1717Blocks(Meshed):
    """The vertebrectomy specimen of ASTM F1717: two hinged polyethylene blocks, levels `upper` and `lower`."""

    kind: Literal["f1717_blocks"]
    """Kind of specimen."""
    active_length_mm: Annotated[float, Field(gt=30.0, le=400.0, json_schema_extra={"plausible": [35, 376]})] = 76.0
    """Along the rods, between the screws of the two blocks."""
    block_arm_mm: Annotated[float, Field(gt=0.0, le=100.0, json_schema_extra={"plausible": [30, 50]})] = 40.0
    """From the load line to the block face that the screws enter."""
    screw_spacing_mm: Annotated[float, Field(gt=0.0, lt=60.0, json_schema_extra={"plausible": [20, 50]})] = 40.0
    """Between left and right screw."""
    material: str = "uhmwpe"
    """Implant material of the blocks."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the two blocks."""
        return ("upper", "lower")


Segment = Annotated[SpineSegment | F1717Blocks, Field(discriminator="kind")]


class Solver(Spec):
    """How the equations are solved."""

    linear_solver: Literal["auto", "pardiso", "cholmod", "superlu"] = "auto"
    """Direct solver; auto takes the fastest that is installed. All give the same numbers."""


class Analysis(Spec):
    """Which mechanics the study is solved with."""

    kind: Literal["linear", "nonlinear"] = "linear"
    """Small strains and one factorization, or finite rotation with tension-only fibres and ligaments, facet contact
    and follower loads."""
    load_pct: Annotated[tuple[Annotated[float, Field(gt=0.0, le=100.0)], ...], Field(min_length=1)] = (100.0,)
    """Parts of each load at which a nonlinear run keeps results, ascending to 100."""
    cycle: Cycle = "load"
    """Way of each pure moment in a nonlinear run: `load` to its full size, `load_unload` back to nothing, `full` on
    through the reversed moment and back, which gives the neutral zone."""
    superelements: bool = True
    """Condense each vertebra with its screws to the nodes where discs, joints and rods touch it: the same answer to
    some 0.1 % in much less time."""


class Outputs(Spec):
    """What a run writes besides tables and manifest."""

    vtu: bool = True
    """One field file per arm and load case, for ParaView and `spinefix view`."""
    pictures: bool = True
    """Charts and 3D pictures."""
    mesh_check: Literal["none", "coarse", "fine"] = "coarse"
    """Second mesh from which the mesh error of each stiffness ratio is told: coarse estimates, fine measures."""


REFERENCES = ("intact", "untreated")
"""Arms that others are compared with, by name: nothing else may be called so."""


class Inconsistency(ValueError):
    """Findings across fields, each with its place.

    Attributes
    ----------
    findings : list of (location, message)
    """

    def __init__(self, findings: list[tuple[Location, str]]) -> None:
        super().__init__("; ".join(f"{path_text(where)}: {what}" for where, what in findings))
        self.findings = findings


def _by_key(where: Location, message: str) -> str:
    return f"{path_text(where)}: {message}"


@dataclass(frozen=True)
class Origin:
    """Where a study was read. All origins are equal: the same study from two files is the same study.

    Parameters
    ----------
    finding : callable (location, message) -> str
        Put before a message the place where it belongs.
    """

    finding: Callable[[Location, str], str] = field(default=_by_key, compare=False)


class Study(Spec):
    """One specimen, its lesions and loads, and the fixations that are compared on it."""

    schema_version: Literal[1]
    """Version of this format."""
    name: Name
    """Short name, used for files."""
    title: str = ""
    """One line for people."""
    description: str = ""
    """What is asked and why."""
    segment: Segment
    """The specimen."""
    tissues: Literal["normal", "osteopenic", "osteoporotic"] = "normal"
    """Tissue set of the library, by bone density."""
    tissue_overrides: dict[str, dict[str, float]] = {}
    """Constants in place of the library's, by tissue, e.g. `cancellous: {E_MPa: 150}`."""
    lesions: tuple[Lesion, ...] = ()
    """Metastases; the arm `intact` has none of them."""
    references: tuple[Literal["intact", "untreated"], ...] = ()
    """Arms without an implant to compare with; left out: intact, and untreated where there are lesions."""
    arms: dict[Name, Construct]
    """Fixations by a name of your choice; the references come first."""
    loads: Annotated[tuple[Load, ...], Field(min_length=1)]
    """Load protocols."""
    analysis: Analysis = Analysis()
    """Linear or nonlinear mechanics."""
    solver: Solver = Solver()
    """How the equations are solved."""
    outputs: Outputs = Outputs()
    """What is written."""
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="before")
    @classmethod
    def _with_references(cls, data: Any) -> Any:
        """Put the reference arms before the others."""
        if not isinstance(data, Mapping) or not isinstance(data.get("arms", {}), Mapping):
            return data
        data = dict(data)
        segment = data.get("segment")
        kind = segment.get("kind", "spine") if isinstance(segment, Mapping) else getattr(segment, "kind", "spine")
        if isinstance(segment, Mapping) and "kind" not in segment:
            data["segment"] = {"kind": "spine", **segment}
        if "references" not in data and kind == "spine":
            data["references"] = ("intact", "untreated") if data.get("lesions") else ("intact",)
        references = data.get("references", ())
        if not isinstance(references, list | tuple):
            return data
        arms = data.get("arms", {})
        first = {name: {"kind": name} for name in references if name in REFERENCES and name not in arms}
        data["arms"] = {**first, **arms}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        findings = list(inconsistencies(self))
        if findings:
            raise Inconsistency(findings)
        return self

    def with_refinement(self, n: int) -> Study:
        """Return the same study on another mesh, `n` divisions of each block."""
        return self.model_copy(update={"segment": self.segment.model_copy(update={"resolution": n})})

    def read_from(self, origin: Origin) -> Study:
        """Return the same study, which knows where it was read."""
        self._origin = origin
        return self

    def finding(self, where: Location, message: str) -> str:
        """Return `message` with file, line and key of the place it speaks of; with the key alone without a file."""
        return self._origin.finding(where, message)

    def moments(self) -> dict[str, PureMoment]:
        """Load cases of all pure moments with their protocols."""
        return {case: load for load in self.loads if isinstance(load, PureMoment) for case in case_names(load)}


def inconsistencies(study: Study) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong across fields: where, and what."""
    known = study.segment.levels
    if isinstance(study.segment, SpineSegment):
        yield from _order(known)
    elif study.lesions:
        yield ("lesions",), "test blocks have no lesions; use segment.kind: spine"
    if not study.arms:
        yield ("arms",), "nothing to compare; name at least one arm"
    for name in REFERENCES:
        if name in study.arms and study.arms[name].kind != name:
            yield ("arms", name, "kind"), f"{name!r} is the reference without an implant; give this arm another name"
    yield from _alike_names(study.arms)
    for part in ("lesions", "arms"):
        for where, value in _walk(getattr(study, part), (part,)):
            yield from _unknown_level(where, value, known)
            yield from _unknown_material(where, value)
    yield from _resections(study, known)
    yield from _unbonded(study)
    yield from _loads(study)
    for tissue, constants in study.tissue_overrides.items():
        for key, value in constants.items():
            try:
                apply_overrides(reader.tissue_set(study.tissues), {tissue: {key: value}})
            except UsageError as error:
                yield ("tissue_overrides", tissue, key), str(error).removeprefix(f"{tissue}.{key}: ")


def plausibility(study: Study) -> list[str]:
    """Return a line for every number that is legal but outside its plausible range."""
    lines = []
    for where, model in _models(study, ()):
        for name, info in type(model).model_fields.items():
            plausible = _plausible(info.json_schema_extra)
            value = getattr(model, name)
            if plausible and isinstance(value, int | float) and not plausible[0] <= value <= plausible[1]:
                low, high = plausible
                lines.append(
                    f"{path_text((*where, name))}: {value:g} is outside the plausible range {low:g} to {high:g}"
                )
    return lines


def _order(named: tuple[str, ...]) -> Iterator[tuple[Location, str]]:
    cranial_to_caudal = levels()
    places = [cranial_to_caudal.index(level) for level in named]
    if places != list(range(places[0], places[0] + len(places))):
        yield ("segment", "levels"), f"{', '.join(named)} are not consecutive levels from cranial to caudal"


def _alike_names(names: Mapping[str, object]) -> Iterator[tuple[Location, str]]:
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.lower(), name)
        if other != name:
            why = "their files would be one on disks that know no case; give one another name"
            yield ("arms", name), f"{name!r} and {other!r} differ only in case: {why}"


_LEVEL_KEYS = ("level", "levels", "resect", "between")
_LIBRARY_KEYS: Mapping[Location, Callable[[str], object]] = {
    ("material",): reader.implant_material,
    ("screws", "interface"): reader.screw_interface,
}
"""Ends of the paths of keys whose values name something in the library -> how it is found there."""


def _unknown_level(where: Location, value: object, known: tuple[str, ...]) -> Iterator[tuple[Location, str]]:
    key = next((step for step in reversed(where) if isinstance(step, str)), "")
    if key in _LEVEL_KEYS and isinstance(value, str) and value not in known:
        yield where, f"{value!r} is not a level of the segment (levels: {', '.join(known)})"


def _unknown_material(where: Location, value: object) -> Iterator[tuple[Location, str]]:
    look_up = next((found for end, found in _LIBRARY_KEYS.items() if where[-len(end) :] == end), None)
    if look_up is not None and isinstance(value, str):
        try:
            look_up(value)
        except UsageError as error:
            yield where, str(error)


def _resections(study: Study, known: tuple[str, ...]) -> Iterator[tuple[Location, str]]:
    for name, construct in study.arms.items():
        resected = tuple(getattr(construct, "resect", ()))
        if not resected or not set(resected) <= set(known):
            continue
        where: Location = ("arms", name, "resect")
        places = sorted(known.index(level) for level in resected)
        if places != list(range(places[0], places[0] + len(places))):
            yield where, f"{', '.join(resected)} are not consecutive; name neighbouring levels"
        elif places[0] == 0 or places[-1] == len(known) - 1:
            yield (
                where,
                f"{', '.join(resected)} is at the end of the segment; add the level beyond it to segment.levels",
            )


def _unbonded(study: Study) -> Iterator[tuple[Location, str]]:
    if study.analysis.kind == "nonlinear":
        return
    for name, construct in study.arms.items():
        interface = getattr(getattr(construct, "prosthesis", None), "interface", "bonded")
        if interface != "bonded":
            why = f"{interface!r} opens and closes, which linear analysis cannot; "
            yield ("arms", name, "prosthesis", "interface"), why + "set analysis.kind: nonlinear, or interface: bonded"


def _loads(study: Study) -> Iterator[tuple[Location, str]]:
    if study.analysis.kind == "linear" and study.analysis.cycle != "load":
        yield ("analysis", "cycle"), "a linear solution comes back the way it went; set analysis.kind: nonlinear"
    parts = study.analysis.load_pct
    if parts[-1] != 100.0 or any(a >= b for a, b in zip(parts[:-1], parts[1:], strict=True)):
        yield ("analysis", "load_pct"), "must ascend and end at 100"
    seen: dict[str, int] = {}
    for i, load in enumerate(study.loads):
        if isinstance(study.segment, F1717Blocks) and load.kind != "compression":
            yield ("loads", i, "kind"), f"{load.kind!r} does not fit hinged test blocks (allowed: compression)"
        if isinstance(study.segment, F1717Blocks) and getattr(load, "path", "straight") != "straight":
            yield ("loads", i, "path"), "test blocks have no follower path (allowed: straight)"
        if isinstance(load, PureMoment) and load.follower_N and study.analysis.kind == "linear":
            why = "a moment on top of a follower load needs finite rotation; set analysis.kind: nonlinear"
            yield ("loads", i, "follower_N"), why
        for case in case_names(load):
            if seen.setdefault(case, i) != i or case_names(load).count(case) > 1:
                yield ("loads", i), f"load case {case!r} is made twice; cases need distinct names"
                break


def _walk(value: object, where: Location) -> Iterator[tuple[Location, object]]:
    """Yield all leaves below `value` with their places."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _walk(getattr(value, name), (*where, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, (*where, key))
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from _walk(item, (*where, i))
    else:
        yield where, value


def _models(value: object, where: Location) -> Iterator[tuple[Location, BaseModel]]:
    """Yield all models at and below `value` with their places."""
    if isinstance(value, BaseModel):
        yield where, value
        children: Any = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        children = value.items()
    elif isinstance(value, tuple | list):
        children = enumerate(value)
    else:
        return
    for key, child in children:
        yield from _models(child, (*where, key))


def _plausible(extra: object) -> tuple[float, float] | None:
    bounds = extra.get("plausible") if isinstance(extra, Mapping) else None
    return (float(bounds[0]), float(bounds[1])) if bounds else None
