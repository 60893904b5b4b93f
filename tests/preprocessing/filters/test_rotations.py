import numpy as np
import pytest

from radiocard.preprocessing.filters.rotations import pool, right_angle_turns, turned_chains


def _matrix(order, flips):
    return np.array([(-1.0 if flip else 1.0) * np.eye(len(order))[at] for at, flip in zip(order, flips, strict=True)])


@pytest.mark.parametrize(("n_axes", "n"), [(2, 4), (3, 24)])
def test_turns_are_the_rotation_group(n_axes, n):
    turns = [_matrix(*turn) for turn in right_angle_turns(n_axes)]
    assert len({turn.tobytes() for turn in turns}) == n
    assert all(round(np.linalg.det(turn)) == 1 for turn in turns)
    products = {(np.round(a @ b) + 0.0).tobytes() for a in turns for b in turns}
    assert products == {(turn + 0.0).tobytes() for turn in turns}


def test_symmetric_kernels_are_turned_once():
    same = ((np.array([1.0, 2, 1]), 1),)
    other = ((np.array([-1.0, 2, -1]), 1),)
    odd = ((np.array([-1.0, 0, 1]), 1),)
    assert len(turned_chains([same, same, same])) == 1
    assert len(turned_chains([same, same, other])) == 3
    assert len(turned_chains([same, same, odd])) == 6
    assert len(turned_chains([same, odd])) == 4


def test_a_reversed_kernel_keeps_its_centre():
    even = ((np.array([1.0, 2, 3, 4]), 2),)
    found = {tuple(kernel[0]): kernel[1] for chains in turned_chains([even, even]) for (kernel,) in chains}
    assert found == {(1, 2, 3, 4): 2, (4, 3, 2, 1): 1}


@pytest.mark.parametrize(("how", "expected"), [("max", 5.0), ("min", -1.0), ("average", 2.0)])
def test_pool(how, expected):
    responses = [np.full((2, 1, 1), value) for value in (2.0, 5.0, -1.0)]
    assert (pool(iter(responses), how) == expected).all()
    assert (responses[0] == 2).all()
