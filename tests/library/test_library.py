"""The sourced data load, keep their ranges and reach the model as materials."""

import math

import pytest

from spinefix import library
from spinefix.errors import UsageError
from spinefix.library import devices, reader, tissues


def every_group():
    for level in reader.levels():
        yield level, library.level_dimensions(level)
    for name in reader.load("morphometry.yaml")["discs"]:
        yield name, library.disc(name)
    yield "shape", library.shape_parameters()
    for name in reader.tissue_sets():
        yield from library.tissue_set(name).items()
    yield from reader.ligaments().items()
    for name in reader.implant_materials():
        yield name, library.implant_material(name)
    yield "sizes", library.implant_sizes()
    yield "f1717", reader.f1717()
    for name in reader.screw_interfaces():
        yield name, library.screw_interface(name)
    yield "prosthesis_interface", library.prosthesis_interface()


def test_every_number_has_unit_range_and_a_known_source():
    count = 0
    for where, group in every_group():
        for name, datum in group.items():
            count += 1
            low, high = datum.range
            assert low <= datum.value <= high, (where, name)
            assert math.isfinite(datum.internal)
            assert datum.source in reader.all_citations(), (where, name)
            assert datum.assumed or datum.provenance in ("read", "derived"), (where, name)
    assert count > 250


def test_memory_and_choices_are_marked():
    assert library.level_dimensions("L3")["EPDu"].assumed  # recalled
    assert not library.level_dimensions("L3")["EPWu"].assumed  # read
    assert library.disc("L3-L4")["height_middle"].assumed  # derived by a choice


def test_every_citation_is_used():
    used = {datum.source for _, group in every_group() for datum in group.values()}
    text = "".join(path.read_text(encoding="utf-8") for path in reader.FOLDER.glob("*.yaml"))
    used |= {key for key in reader.all_citations() if f"({key})" in text}  # named in a comment
    assert set(reader.all_citations()) - used == set()


def test_plain_values_are_in_internal_units():
    level = library.plain(library.level_dimensions("L4"))
    assert level["EPWu"] == 46.6
    assert level["pedicle_angle"] == pytest.approx(math.radians(17.7))
    assert library.plain(library.shape_parameters())["nucleus_length"] == pytest.approx(0.64)


@pytest.mark.parametrize(
    ("call", "suggestion"),
    [
        (lambda: library.level_dimensions("L9"), "known: L1, L2, L3, L4, L5"),
        (lambda: library.implant_material("ti6al4"), "did you mean 'ti6al4v'"),
        (lambda: library.ligament("anterior_longitudnal"), "did you mean 'anterior_longitudinal'"),
        (lambda: library.tissue_set("osteoporotc"), "did you mean 'osteoporotic'"),
        (lambda: library.citations(["panjabi1991"]), "did you mean 'panjabi1992'"),
    ],
)
def test_unknown_names_are_usage_errors_with_a_suggestion(call, suggestion):
    with pytest.raises(UsageError, match="unknown") as error:
        call()
    assert suggestion in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"value": 99, "range": [1, 2], "source": "handbook", "provenance": "read"}, "outside the plausible range"),
        ({"value": 1, "range": [1, 2], "source": "handbook", "provenance": "heard"}, "provenance 'heard'"),
        ({"value": 1, "range": [1, 2], "source": "nobody2020", "provenance": "read"}, "unknown source"),
        ({"value": 1, "range": [1, 2], "source": "handbook"}, "missing ['provenance']"),
        ({"value": 1, "range": [1, 2], "source": "handbook", "provenance": "read", "nota": 1}, "unknown ['nota']"),
    ],
)
def test_a_bad_entry_does_not_load(tmp_path, monkeypatch, entry, message):
    (tmp_path / "bad.yaml").write_text("shape: {}\n")
    with pytest.raises(UsageError) as error:
        reader._data("bad.yaml", {"width_mm": entry}, "shape")
    assert message in str(error.value)


def test_fibre_modulus_falls_from_outside_to_inside_and_splits_between_two_families():
    whole = {"annulus": {"fibre_linearisation_pct": 100}}
    table = tissues.materials("normal", annulus_rings=4, overrides=whole)
    moduli = [table[f"disc.annulus.{ring}"].parameters["fibre_MPa"] for ring in (1, 2, 3, 4)]
    assert moduli == sorted(moduli)
    assert moduli[-1] == pytest.approx(550 * 0.16 / 2)
    assert moduli[0] == pytest.approx(358 * 0.16 / 2)
    one = tissues.materials("normal", annulus_rings=1, overrides=whole)["disc.annulus.1"]
    assert one.parameters["fibre_MPa"] == pytest.approx((495 + 413) / 2 * 0.08)


def test_slack_moves_the_fibre_curve_and_leaves_its_stresses():
    def ring(slack_pct):
        changes = {"annulus": {"fibre_slack_pct": slack_pct, "fibre_stress_pct": 40}}
        return tissues.materials("normal", overrides=changes, finite=True)["disc.annulus.4"].parameters

    strain, stress, _ = library.fibre_curve()
    taut, slack = ring(0), ring(2)
    assert taut["fibre_strain"] == strain
    assert slack["fibre_strain"] == pytest.approx((0.0, *(e + 0.02 for e in strain[1:])))
    outermost = 0.4 * (1 - 0.125 * (1 - 0.65))  # the middle of the outermost of four rings
    assert taut["fibre_stress_MPa"] == slack["fibre_stress_MPa"] == pytest.approx([outermost * s for s in stress])


def test_density_sets_differ_in_bone_only():
    normal, weak = tissues.materials("normal"), tissues.materials("osteoporotic")
    softer = {part for part in normal if weak[part].parameters["E_MPa"] < normal[part].parameters["E_MPa"]}
    assert softer == {"body.cancellous", "body.cortical"} | {p for p, t in tissues.PARTS.items() if t == "posterior"}
    assert weak["disc.nucleus"].parameters == normal["disc.nucleus"].parameters


def test_overrides_replace_one_constant_and_keep_the_range():
    changes = {"annulus": {"fibre_linearisation_pct": 50}, "cancellous": {"E_MPa": 300}}
    table = tissues.materials("normal", overrides=changes)
    assert table["disc.annulus.4"].parameters["fibre_MPa"] == pytest.approx(550 * 0.04)
    assert table["body.cancellous"].parameters["E_MPa"] == 300
    assert table["body.cancellous"].assumed
    with pytest.raises(UsageError, match="outside the plausible range"):
        tissues.materials("normal", overrides={"cancellous": {"E_MPa": 1e6}})
    with pytest.raises(UsageError, match="did you mean 'cancellous'"):
        tissues.materials("normal", overrides={"cancelous": {"E_MPa": 100}})
    with pytest.raises(UsageError, match="did you mean 'E_MPa'"):
        tissues.materials("normal", overrides={"cancellous": {"E_mpa": 100}})


def test_regions_find_their_tissue():
    table = tissues.materials("normal")
    assert tissues.of_region("L3.pedicle.left", table).parameters["E_MPa"] == 3500
    assert tissues.of_region("L3.articular.superior.right", table).parameters["E_MPa"] == 3500
    assert tissues.of_region("L3-L4.disc.annulus.2", table).law == "fibre_reinforced"
    assert tissues.of_region("L3-L4.disc.nucleus", table).formulation == "bbar"
    with pytest.raises(UsageError, match="no tissue is known"):
        tissues.of_region("L3.rib.left", table)


def test_implant_material_reaches_the_model():
    titanium = devices.material("ti6al4v")
    assert (titanium.law, titanium.parameters) == ("isotropic", {"E_MPa": 110000.0, "nu": 0.3})
    assert titanium.assumed and "from memory" in titanium.source  # Poisson's ratio is recalled
    assert devices.strength("ti6al4v") == 795
    assert devices.strength("alumina") == 400
    assert devices.strength("nha_pa66") is None


def test_screw_core_ratio_is_the_mean_of_the_measured_screws():
    pairs = reader.load("implants.yaml")["screws"]
    mean = sum(p["core_mm"] / p["outer_mm"] for p in pairs) / len(pairs)
    assert library.screw_core_diameter(1.0) == pytest.approx(mean, abs=0.01)


def test_interface_stiffness_follows_from_the_thread_layer():
    depth = (6.5 - 4.25) / 2
    for name in ("normal", "osteopenic", "osteoporotic"):
        bone = library.tissue_set(name)["cancellous"]
        stiffness = library.screw_interface(name)
        expected = bone["E"].value / depth
        assert stiffness["normal"].value == pytest.approx(expected, rel=0.01)
        assert stiffness["tangential"].value == pytest.approx(expected / (2 * (1 + bone["nu"].value)), rel=0.01)
