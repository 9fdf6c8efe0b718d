"""Errors of scenario files say where, what and how to repair."""

import pytest

from spinefix.errors import ScenarioError, UsageError
from spinefix.scenario.loader import load_study, parse_study

GOOD = """\
schema_version: 1
name: l3   # a comment
segment: {kind: spine, levels: [L1, L2, L3, L4, L5]}
lesions:
  - {level: L3, volume_pct: 5e1}
arms:
  screws:
    kind: posterior
    screws:
      levels: [L2, L4]
      diameter_mm: 6.5
loads:
  - {kind: pure_moment, moment_Nm: 7.5}
"""


def findings(text, *overrides):
    with pytest.raises(ScenarioError) as error:
        parse_study(text, "case.yaml", overrides)
    assert error.value.exit_code == 2
    return error.value.findings


def only(text, *overrides):
    found = findings(text, *overrides)
    assert len(found) == 1, found
    return found[0]


def test_a_good_file_loads():
    study = parse_study(GOOD)
    assert study.lesions[0].volume_pct == 50.0
    assert study.arms["screws"].screws.levels == ("L2", "L4")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("diameter_mm: 6.5", "diamter_mm: 6.5",
         "case.yaml:11:7: arms.screws.screws.diamter_mm: unknown key 'diamter_mm'"),
        ("diameter_mm: 6.5", "diameter_mm: 65", "case.yaml:11:20: arms.screws.screws.diameter_mm: should be less than"),
        ("diameter_mm: 6.5", 'diameter_mm: "6.5"', "case.yaml:11:20: arms.screws.screws.diameter_mm: should be"),
        ("diameter_mm: 6.5", "diameter_mm: 06:50", "case.yaml:11:20: arms.screws.screws.diameter_mm: should be"),
        ("kind: posterior", "kind: posteror", "case.yaml:8:11: arms.screws.kind: 'posteror' is not known"),
        ("    kind: posterior\n", "",
         "case.yaml:7:3: arms.screws: required key 'kind' is missing (allowed: intact, untreated, posterior, "),
        ("schema_version: 1\n", "", "case.yaml:1:1: required key 'schema_version' is missing (allowed: 1)"),
        ("diameter_mm: 6.5", "diameter_mm:",
         "case.yaml:11:7: arms.screws.screws.diameter_mm: should be a valid number (given: nothing)"),
        ("levels: [L2, L4]", "levels: L2",
         "case.yaml:10:15: arms.screws.screws.levels: should be a list (given: 'L2'); write [L2]"),
        ("[L1, L2, L3, L4, L5]", "[L3]", "case.yaml:3:32: segment.levels: needs at least 2 items, has 1"),
        ("volume_pct: 5e1", "volume_pct: 5e1, centre_pct: [1, 2]",
         "case.yaml:5:46: lesions[0].centre_pct: item 3 is missing"),
        ("volume_pct: 5e1", "volume_pct: 5e1, centre_pct: [1, 2, 3, 4]",
         "case.yaml:5:46: lesions[0].centre_pct: needs at most 3 items, has 4"),
        ("  - {kind: pure_moment, moment_Nm: 7.5}", "  - flexion",
         "case.yaml:13:5: loads[0]: should be a mapping of keys (given: 'flexion')"),
        ("levels: [L2, L4]", "levels: [L2, L6]", "case.yaml:10:20: arms.screws.screws.levels[1]: 'L6' is not a level"),
        ("volume_pct: 5e1", "volume: 50", "case.yaml:5:5: lesions[0]: required key 'volume_pct' is missing"),
        ("moment_Nm: 7.5", "moment_Nm: -1", "case.yaml:13:36: loads[0].moment_Nm: should be greater than or equal"),
        ("name: l3", "name: l 3", "case.yaml:2:1: name: 'l 3' is not a name"),
        ("  screws:\n    kind", "  a/b:\n    kind", "case.yaml:7:3: arms.a/b: 'a/b' is not a name, which files get"),
        ("moment_Nm: 7.5", "moment_Nm: 1e-300", "case.yaml:13:36: loads[0].moment_Nm: should be greater than or equal"),
        ("schema_version: 1", "schema_version: 2", "case.yaml:1:17: schema_version: 2 is not allowed (allowed: 1)"),
        ("levels: [L1, ", "levels: [T1, ",
         "case.yaml:3:33: segment.levels[0]: 'T1' is not allowed (allowed: L1, L2, L3, L4, L5)"),
    ],
)  # fmt: skip
def test_findings_carry_line_column_and_path(old, new, expected):
    found = findings(GOOD.replace(old, new))
    assert any(f.startswith(expected) for f in found), found


def test_suggestion_allowed_values_and_the_line_itself():
    text = only(GOOD.replace("diameter_mm: 6.5", "diamter_mm: 6.5"))
    first, excerpt, caret = text.splitlines()
    assert "did you mean 'diameter_mm'?" in first
    assert excerpt.endswith("      diamter_mm: 6.5")
    assert excerpt.index("diamter_mm") == caret.index("^")


def test_short_codes_get_the_list_and_no_guess():
    text = only(GOOD.replace("[L1, L2, L3, L4, L5]", "[L1, L2, L3, L4, L5, L6]"))
    assert "allowed: L1, L2, L3, L4, L5" in text and "did you mean" not in text


def test_several_mistakes_come_at_once_in_file_order():
    bad = GOOD.replace("volume_pct: 5e1", "volume_pct: 500").replace("6.5", "no").replace("7.5", "true")
    lines = [int(f.split(":")[1]) for f in findings(bad)]
    assert lines == [5, 11, 13]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nname: b\n", "case.yaml:2:1: found duplicate key"),
        ("name: a\nsegment:\n\tkind: spine\n", "case.yaml:3:1: found character '\\t'"),
        ("name: [a\n", "case.yaml:2:1:"),
        ("- a\n- b\n", "case.yaml:1:1: a scenario is a mapping"),
        ("", "case.yaml:1:1: a scenario is a mapping"),
        ("name: a\n", "case.yaml:1:1: required key 'schema_version' is missing"),
    ],
)
def test_broken_yaml_is_a_finding_too(text, expected):
    assert any(f.startswith(expected) for f in findings(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\ntitle: !!int x\n", "case.yaml:2:8: invalid literal for int()"),
        ("name: a\ntitle: !!float x\n", "case.yaml:2:8: could not convert string to float"),
        ("name: " + "9" * 5000, "case.yaml:1:7: Exceeds the limit"),
        ("name: a\n---\nname: b\n", "case.yaml:2:1: expected a single document in the stream, but found another"),
        ("name: " + "{a: " * 1500 + "1" + "}" * 1500, "case.yaml: nested too deeply"),
        ("arms: &a {x: *a}\n", "case.yaml:1:11: arms.x: "),
        ("a: &a [1,1,1,1]\n" + "".join(f"b{i}: &b{i} [{', '.join(4 * [f'*b{i - 1}' if i else '*a'])}]\n"
         for i in range(20)), "case.yaml:1:1: aliases (*) make more than 100000 values"),
        ("<<: {nme: a}\nname: a\n", "case.yaml:1:1: nme: unknown key 'nme'"),
        ("name: a\x00b\n", "case.yaml: unacceptable character #x0000"),
        ("1: a\n", "case.yaml:1:4: [1]: Keys should be strings"),
        ("? [a, b]\n: 1\n", "case.yaml:1:1: "),
        ("!!set {a, b}\n", "case.yaml:1:1: a scenario is a mapping"),
    ],
)  # fmt: skip
def test_what_a_fuzzer_found_is_a_finding(text, expected):
    found = findings(text)
    assert any(f.startswith(expected) for f in found), found


ALIASED = """\
schema_version: 1
name: aliased
segment: {levels: [L2, L3, L4]}
arms:
  a: &construct
    kind: posterior
    screws:
      levels: [L2, L4]
      diameter_mm: 6.5
  b: {<<: *construct, rods: {diameter_mm: 6.0}}
  c: *construct
loads: &loads
  - {kind: pure_moment, moment_Nm: 7.5}
"""


@pytest.mark.parametrize("changed", ["a", "b", "c"])
def test_set_changes_one_arm_and_not_those_that_share_its_lines(changed):
    study = parse_study(ALIASED, overrides=[f"arms.{changed}.screws.diameter_mm=5.5"])
    found = {name: study.arms[name].screws.diameter_mm for name in "abc"}
    assert found == {**dict.fromkeys("abc", 6.5), changed: 5.5}
    assert all(study.arms[name].screws.levels == ("L2", "L4") for name in "abc")


def test_places_are_still_right_beside_an_override():
    text = ALIASED.replace("levels: [L2, L4]", "levels: [L2, L9]")
    found = findings(text, "arms.b.screws.diameter_mm=5.5")
    assert found[0].startswith("case.yaml:8:20: arms.a.screws.levels[1]: 'L9' is not a level")


def test_dates_are_text_as_in_yaml_1_2():
    assert parse_study(GOOD + "title: 2001-13-45\n").title == "2001-13-45"
    assert parse_study(GOOD, overrides=["title=2001-01-01"]).title == "2001-01-01"


@pytest.mark.parametrize("value", ["{a: " * 1500 + "}" * 1500, "!!int x", "{a: b: c}", "*x"])
def test_an_override_that_is_no_yaml_is_a_finding(value):
    assert only(GOOD, f"title={value}").startswith(f"--set title={value}: ")


def test_yaml_1_2_words_are_words():
    assert "should be a valid boolean (given: 'off')" in only(GOOD + "outputs: {pictures: off}\n")


def test_set_replaces_adds_and_wins_over_the_file():
    study = parse_study(
        GOOD,
        overrides=[
            "lesions[0].volume_pct=30",
            "arms.screws.screws.levels=[L1, L5]",
            "arms.screws.rods.diameter_mm=6",
            "segment.resolution=coarse",
            "outputs.vtu=false",
        ],
    )
    assert study.lesions[0].volume_pct == 30
    assert study.arms["screws"].screws.levels == ("L1", "L5")
    assert study.arms["screws"].rods.diameter_mm == 6
    assert study.segment.refinement() == 2
    assert not study.outputs.vtu


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("outputs.vtk=1", "--set outputs.vtk=1: outputs.vtk: unknown key 'vtk'"),
        (
            "arms.screws.screws.diameter_mm=60",
            "--set arms.screws.screws.diameter_mm=60: arms.screws.screws.dia",
        ),
        (
            "arms.screws.screws.levels[1]=L9",
            "--set arms.screws.screws.levels[1]=L9: arms.screws.screws.levels[1]:",
        ),
        ("lesions[4].volume_pct=3", "--set lesions[4].volume_pct=3: lesions has no item 4"),
        ("lesion.volume_pct=3", "--set lesion.volume_pct=3: lesion: unknown key 'lesion'"),
        ("name.first=a", "--set name.first=a: name has no item 'first'"),
        ("novalue", "--set novalue: expected key.path=value"),
        ("a[=1", "--set a[=1: expected key.path=value"),
        ("name=[", "--set name=[:"),
    ],
)
def test_set_has_the_same_errors(override, expected):
    assert findings(GOOD, override)[0].startswith(expected)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        load_study(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: a\ntitle: m\u00e9tastase\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin.yaml:2: not UTF-8 text \(byte 0xe9\)"):
        load_study(latin)
    (tmp_path / "latin.yaml").write_bytes("name: \xe9".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        load_study(tmp_path / "latin.yaml")
