"""An embedded beam answers as a fully meshed screw does, at host meshes from half to a quarter of its diameter."""

import pytest
from screw_block import embedded, full


@pytest.fixture(scope="module")
def reference():
    return full()


def test_head_displacement_agrees_with_a_meshed_screw(reference):
    errors = []
    for size in (3.25, 2.15, 1.67):
        found = embedded(size)
        errors.append((found.lateral / reference.lateral - 1.0, found.axial / reference.axial - 1.0))
    for lateral, axial in errors:
        assert abs(lateral) < 0.05
        assert abs(axial) < 0.05
    # The difference does not grow with refinement.
    assert abs(errors[-1][0]) < abs(errors[0][0])
    assert abs(errors[-1][1]) < abs(errors[0][1])


@pytest.mark.parametrize("shift", [0.25, 0.5])
def test_place_of_the_screw_in_the_mesh_hardly_matters(reference, shift):
    """A trajectory may sweep freely through a mesh as coarse as half the diameter."""
    found = embedded(3.25, shift=shift)
    assert found.lateral == pytest.approx(reference.lateral, rel=0.05)
    assert found.axial == pytest.approx(reference.axial, rel=0.05)
