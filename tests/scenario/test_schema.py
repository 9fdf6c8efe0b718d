"""What a study may hold, and what every Spec must promise."""

import math
import types
import typing

import pytest
from pydantic import BaseModel, ValidationError

from spinefix import units
from spinefix.anatomy.builder import REFINEMENTS
from spinefix.implants import CONSTRUCTS
from spinefix.lesions import LESIONS
from spinefix.library import levels
from spinefix.loads import LOADS
from spinefix.scenario import schema
from spinefix.scenario.schema import Study, plausibility

BASE = {
    "schema_version": 1,
    "name": "l3",
    "segment": {"kind": "spine", "levels": ["L1", "L2", "L3", "L4", "L5"]},
    "lesions": [{"level": "L3", "volume_pct": 50}],
    "arms": {"screws": {"kind": "posterior", "screws": {"levels": ["L2", "L4"]}}},
    "loads": [{"kind": "pure_moment", "moment_Nm": 7.5}],
}


def study(**changes):
    return Study.model_validate({**BASE, **changes})


def all_specs(annotation=Study, seen=None):
    """Every model that a scenario can hold."""
    seen = {} if seen is None else seen
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen[annotation] = None
            for info in annotation.model_fields.values():
                all_specs(info.annotation, seen)
    else:
        for argument in typing.get_args(annotation):
            all_specs(argument, seen)
    return list(seen)


def holds_float(annotation):
    if annotation is float:
        return True
    if typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType, tuple):
        return any(holds_float(argument) for argument in typing.get_args(annotation))
    return False


def test_the_walk_finds_every_registered_kind():
    assert {*CONSTRUCTS, *LESIONS, *LOADS, Study} <= set(all_specs())


@pytest.mark.parametrize("spec", all_specs(), ids=lambda s: s.__name__)
def test_every_number_ends_in_its_unit_and_every_field_is_documented(spec):
    assert spec.__doc__
    for name, info in spec.model_fields.items():
        if holds_float(info.annotation):
            assert units.suffix_of(name), f"{spec.__name__}.{name} ends in no unit"
        assert info.description, f"{spec.__name__}.{name} has no docstring"


@pytest.mark.parametrize("spec", all_specs(), ids=lambda s: s.__name__)
def test_defaults_are_plausible(spec):
    for name, info in spec.model_fields.items():
        bounds = schema._plausible(info.json_schema_extra)
        if bounds and isinstance(info.default, int | float):
            assert bounds[0] <= info.default <= bounds[1], name


def test_references_come_first_and_untreated_needs_a_lesion():
    assert list(study().arms) == ["intact", "untreated", "screws"]
    assert list(study(lesions=[]).arms) == ["intact", "screws"]
    assert list(study(references=[]).arms) == ["screws"]
    given = {"intact": {"kind": "intact"}, **BASE["arms"]}
    assert list(study(arms=given).arms) == ["untreated", "intact", "screws"]


def test_a_study_survives_the_round_trip_and_is_frozen():
    first = study()
    assert Study.model_validate(first.model_dump()) == first
    assert Study.model_validate(first.model_dump(mode="json")) == first
    with pytest.raises(ValidationError):
        first.name = "other"


def test_levels_of_the_schema_are_those_of_the_library():
    assert typing.get_args(schema.Level) == levels()


def test_resolution_words_and_numbers():
    assert typing.get_args(schema.Resolution) == tuple(REFINEMENTS)
    segment = BASE["segment"]
    sizes = [study(segment={**segment, "resolution": r}).segment.refinement() for r in ("coarse", "middle", "fine", 4)]
    assert sizes[:3] == sorted(sizes[:3]) and sizes[3] == 4
    assert study().with_refinement(5).segment.refinement() == 5
    assert study().with_refinement(5).arms == study().arms
    with pytest.raises(ValidationError):
        study(segment={**segment, "resolution": 1})


def test_moments_by_case():
    loads = [
        {"kind": "pure_moment", "directions": ["flexion", "axial_left"], "moment_Nm": 5.0},
        {"kind": "compression", "force_N": 400},
    ]
    assert {k: v.moment_Nm for k, v in study(loads=loads).moments().items()} == {"flexion": 5.0, "axial_left": 5.0}
    held = [*loads, {**loads[0], "follower_N": 400}]
    cases = study(loads=held, analysis={"kind": "nonlinear"}).moments()
    assert list(cases) == ["flexion", "axial_left", "flexion_follower_400N", "axial_left_follower_400N"]


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"segment": {"kind": "spine", "levels": ["L1", "L3"]}, "lesions": [], "arms": {"a": {"kind": "untreated"}}},
         "segment.levels", "not consecutive"),
        ({"loads": [{"kind": "pure_moment", "follower_N": 400}]}, "loads[0].follower_N", "finite rotation"),
        ({"analysis": {"kind": "nonlinear", "load_pct": [50]}}, "analysis.load_pct", "end at 100"),
        ({"lesions": [{"level": "T12", "volume_pct": 50}]}, "lesions[0].level", "not a level of the segment"),
        ({"arms": {}, "references": []}, "arms", "nothing to compare"),
        ({"arms": {"a": {"kind": "anterior", "resect": ["L5"]}}}, "arms.a.resect", "at the end of the segment"),
        ({"arms": {"a": {"kind": "anterior", "resect": ["L2", "L4"]}}}, "arms.a.resect", "not consecutive"),
        ({"arms": {"a": {"kind": "posterior", "screws": {"levels": ["L2", "S1"]}}}},
         "arms.a.screws.levels[1]", "not a level"),
        ({"arms": {"intact": {"kind": "posterior", "screws": {"levels": ["L2", "L4"]}}}},
         "arms.intact.kind", "is the reference"),
        ({"arms": {"a": {"kind": "posterior", "rods": {"material": "cocrr"}}}}, "arms.a.rods.material", "'cocr'"),
        ({"arms": {"a": {"kind": "posterior", "screws": {"interface": "glued"}}}},
         "arms.a.screws.interface", "unknown screw interface"),
        ({"arms": {"a": {"kind": "anterior", "resect": ["L3"],
                         "plate": {"kind": "rods", "screws": {"interface": "glued"}}}}},
         "arms.a.plate.screws.interface", "unknown screw interface"),
        ({"arms": {"a": {"kind": "anterior", "resect": ["L3"], "prosthesis": {"interface": "no_tension"}}}},
         "arms.a.prosthesis.interface", "set analysis.kind: nonlinear, or interface: bonded"),
        ({"arms": {"a": {"kind": "posterior", "screws": {"levels": ["L2", "L4"]}}, "A": {"kind": "untreated"}}},
         "arms.A", "'A' and 'a' differ only in case"),
        ({"arms": {"Intact": {"kind": "untreated"}}}, "arms.Intact", "'Intact' and 'intact' differ only in case"),
        ({"loads": [{"kind": "pure_moment"}, {"kind": "pure_moment"}]}, "loads[1]", "made twice"),
        ({"loads": [{"kind": "shear", "directions": ["left", "left"]}]}, "loads[0]", "made twice"),
        ({"tissue_overrides": {"cortical": {"E_MPa": 1e6}}}, "tissue_overrides.cortical.E_MPa", "plausible range"),
        ({"tissue_overrides": {"skull": {"E_MPa": 1e3}}}, "tissue_overrides.skull.E_MPa", "unknown tissue"),
        ({"segment": {"kind": "f1717_blocks"}, "arms": {"a": {"kind": "untreated"}}}, "lesions", "no lesions"),
        ({"segment": {"kind": "f1717_blocks"}, "arms": {"a": {"kind": "untreated"}}, "lesions": []},
         "loads[0].kind", "does not fit"),
    ],
)  # fmt: skip
def test_inconsistencies_name_their_place(changes, where, what):
    with pytest.raises(ValidationError) as error:
        study(**changes)
    findings = error.value.errors()[0]["ctx"]["error"].findings
    text = {schema.path_text(path): message for path, message in findings}
    assert what in text[where]


def test_friction_belongs_to_an_interface_with_friction():
    arm = {"kind": "anterior", "resect": ["L3"], "prosthesis": {"interface": "friction", "friction_1": 0.3}}
    nonlinear = {"kind": "nonlinear"}
    assert study(arms={"a": arm}, analysis=nonlinear).arms["a"].prosthesis.friction_1 == 0.3
    for interface in ("bonded", "no_tension"):
        wrong = {**arm, "prosthesis": {"interface": interface, "friction_1": 0.3}}
        with pytest.raises(ValidationError, match="set interface: friction"):
            study(arms={"a": wrong}, analysis=nonlinear)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "../a", "/tmp/a", "a b", "a.b", "-a", "", "ä", "a\n", "a" * 61])
def test_names_of_arms_are_safe_file_names(name):
    with pytest.raises(ValidationError, match="arms"):
        study(arms={name: {"kind": "untreated"}})


@pytest.mark.parametrize(
    ("kind", "key"), [("pure_moment", "moment_Nm"), ("compression", "force_N"), ("shear", "force_N")]
)
@pytest.mark.parametrize("size", [1e-300, 5e-324, 0.0, -1.0, 1e300, math.inf, math.nan])
def test_absurd_loads_are_refused(kind, key, size):
    with pytest.raises(ValidationError, match=f"loads.0.*{key}"):
        study(loads=[{"kind": kind, key: size}])


def test_all_inconsistencies_come_at_once():
    with pytest.raises(ValidationError) as error:
        study(arms={"a": {"kind": "anterior", "resect": ["L1"]}, "b": {"kind": "posterior", "rods": {"material": "x"}}})
    assert len(error.value.errors()[0]["ctx"]["error"].findings) == 2


def test_implausible_but_legal_numbers_are_told():
    odd = study(loads=[{"kind": "pure_moment", "moment_Nm": 50}])
    assert plausibility(odd) == ["loads[0].moment_Nm: 50 is outside the plausible range 0.5 to 15"]
    assert plausibility(study()) == []


def test_json_schema_knows_kinds_and_descriptions():
    text = Study.model_json_schema()
    assert text["properties"]["segment"]["description"] == "The specimen."
    kinds = {d["properties"]["kind"].get("const") for d in text["$defs"].values() if "kind" in d.get("properties", {})}
    assert {"posterior", "anterior", "combined", "pure_moment", "compression"} <= kinds
    assert math.isfinite(len(str(text)))
