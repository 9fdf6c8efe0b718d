"""Load cases push and turn the way their names say."""

import numpy as np
import pytest
from pydantic import ValidationError

from spinefix.loads import LOADS, MOMENT_AXES, Compression, PureMoment, Shear, case_names


def turned(point, moment, angle=1e-6):
    """Move of a point when a body turns by a small angle about the direction of a moment."""
    return np.cross(moment / np.linalg.norm(moment), point) * angle


FRONT, LEFT, TOP = np.eye(3)


@pytest.mark.parametrize(
    ("direction", "point", "moves"),
    [  # where a point of the upper vertebra goes, in plain words
        ("flexion", TOP, FRONT),  # the head goes forward
        ("extension", TOP, -FRONT),
        ("lateral_left", TOP, LEFT),
        ("lateral_right", TOP, -LEFT),
        ("axial_left", FRONT, LEFT),  # the face turns to the left
        ("axial_right", FRONT, -LEFT),
    ],
)
def test_motions_are_what_their_words_say(direction, point, moves):
    (case,) = LOADS[PureMoment](PureMoment(directions=(direction,)), 7)
    assert not case.forces
    assert np.linalg.norm(case.moments[7]) == pytest.approx(7500.0)  # N mm
    assert turned(point, case.moments[7]) @ moves == pytest.approx(1e-6)


def test_all_six_directions_are_the_default_and_opposites_cancel():
    cases = {c.name: c for c in LOADS[PureMoment](PureMoment(), 0)}
    assert tuple(cases) == tuple(MOMENT_AXES)
    assert np.allclose(sum(c.moments[0] for c in cases.values()), 0.0)


def test_compression_pushes_down_and_shear_sideways():
    (down,) = LOADS[Compression](Compression(force_N=400), 3)
    assert np.allclose(down.forces[3], [0, 0, -400])
    cases = LOADS[Shear](Shear(directions=("anterior", "right"), force_N=50), 3)
    assert [c.name for c in cases] == ["shear_anterior", "shear_right"]
    assert np.allclose(cases[0].forces[3], [50, 0, 0])
    assert np.allclose(cases[1].forces[3], [0, -50, 0])
    assert not any(c.moments for c in (down, *cases))


def test_every_protocol_has_a_kind_and_distinct_case_names():
    for spec in LOADS:
        load = spec()
        names = case_names(load)
        assert load.kind and len(set(names)) == len(names) > 0


def test_zero_and_negative_sizes_are_refused():
    for bad in (0.0, -7.5):
        with pytest.raises(ValidationError):
            PureMoment(moment_Nm=bad)
