"""Co-rotational beams: gradient, tangent, rigid motion."""

import numpy as np
from nltools import difference_tangent, evaluate, random_configuration

from spinefix.fem import beams_finite, rotations
from spinefix.fem.beams import BeamGroup, beam_axes, beam_stiffness
from spinefix.fem.items import Configuration


def beams(points, conn, *, E=100.0, nu=0.3, A=2.0, Iy=0.5, Iz=0.8, J=0.9, k=5 / 6, orientation=(0.1, 1.0, 0.2)):
    b = len(conn)
    full = {"E": E, "G": E / 2 / (1 + nu), "A": A, "Iy": Iy, "Iz": Iz, "J": J, "ky": k, "kz": k}
    axes = beam_axes(points, conn, np.tile(orientation, (b, 1)).astype(float))
    group = BeamGroup(np.arange(b, dtype=np.int32), conn, **{n: np.full(b, v) for n, v in full.items()}, axes=axes)
    return beams_finite.FiniteBeams(points, group, np.arange(len(points), dtype=np.int32))


POINTS = np.array([[0.0, 0, 0], [1.3, 0.2, -0.1], [2.0, 0.9, 0.4]])
CONN = np.array([[0, 1], [1, 2]], np.int32)


def test_full_tangent_of_one_beam():
    """The unsymmetric tangent itself, before its symmetric part is taken."""
    item = beams(POINTS[:2], CONN[:1])
    x = random_configuration(2, 2, amount=0.2, turn=0.1)
    frames = item.frames(x)
    local = item._stiffness()
    _, K = beams_finite._global(frames, local, np.einsum("bij,bj->bi", local, frames.deformation), True)
    order = np.concatenate([np.arange(3) + 3 * i for i in (0, 2, 1, 3)])
    K_fd = difference_tangent(item, x)[0][np.ix_(order, order)]
    assert np.allclose(K[0], K_fd, atol=1e-6 * np.abs(K_fd).max())


def test_rigid_motion_costs_nothing_and_small_motion_is_linear():
    item = beams(POINTS, CONN)
    Q = rotations.exp(np.array([2.0, -1.5, 1.0]))
    rigid = Configuration(POINTS @ Q.T + 5.0 - POINTS, np.tile(Q, (3, 1, 1)))
    r, _, energy = evaluate(item, rigid)
    assert np.abs(r).max() < 1e-11
    assert abs(energy) < 1e-24
    _, K, _ = evaluate(item, Configuration.rest(3, 3), tangent=True)
    blocks = beam_stiffness(POINTS, item.group)
    linear = np.zeros((6, 6, 3, 3))
    for c, ids in enumerate(item.cliques()[0]):
        linear[np.ix_(ids, ids)] += blocks[c]
    assert np.allclose(K, linear.transpose(0, 2, 1, 3).reshape(18, 18), rtol=1e-12, atol=1e-10)
