"""What is known of a load on one side is a guess for the other side."""

from dataclasses import replace

import numpy as np
from soft_column import column

from spinefix.analysis.mirror import MirrorImage
from spinefix.analysis.nonlinear import Structure, rotation_index
from spinefix.analysis.response import NonlinearResponse
from spinefix.fem import newton
from spinefix.model.core import LoadCase


def on_the_midline():
    model, _, top = column()
    mesh = replace(model.mesh, points=model.mesh.points - [0.0, 5.0, 0.0])
    return replace(model, mesh=mesh), top


def test_the_other_side_is_known_at_once():
    model, top = on_the_midline()
    cases = {
        name: LoadCase(name, moments={top: sign * np.array([300.0, 0.0, 100.0])})
        for name, sign in (("left", 1.0), ("right", -1.0))
    }
    cases["flexion"] = LoadCase("flexion", moments={top: np.array([0.0, 300.0, 0.0])})
    image = MirrorImage.of(model.mesh, rotation_index(model))
    assert image is not None
    assert image.counterpart(cases["left"], cases.values()) == "right"
    assert image.counterpart(cases["flexion"], cases.values()) is None
    response = NonlinearResponse(Structure(model), cases, control=newton.Control(first=0.5), mirror=image)
    left, right = response.follow("left"), response.follow("right")
    assert sum(a.iterations for a in left.history) > 5
    assert [a.iterations for a in right.history] == [0], "the image is in balance"
    n = model.mesh.n_points
    assert np.allclose(right.u[-1][:n], left.u[-1][:n][image.partner] * [1.0, -1.0, 1.0])
    assert np.allclose(right.rotation(top)[-1], left.rotation(top)[-1] * [-1.0, 1.0, -1.0])


def test_a_lopsided_mesh_has_no_image():
    model, _ = on_the_midline()
    points = model.mesh.points.copy()
    points[3, 1] += 0.01
    assert MirrorImage.of(replace(model.mesh, points=points), rotation_index(model)) is None
