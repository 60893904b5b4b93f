import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from radiocard.cardiac.measure import measure
from radiocard.simulate.cohort import simulate_patient
from radiocard.specs import read_spec
from radiocard.study.pictures import Turn, edge_letters, make_images, reading_turn


def pixels(picture):
    """Return grey levels 0 to 255, shape (rows, columns)."""
    return np.rint(imread(io.BytesIO(base64.b64decode(picture.png_base64)), format="png")[..., 0] * 255)


@pytest.mark.parametrize("storage", range(8))
def test_display_puts_left_to_the_right_and_anterior_up(storage):
    axes = np.diag([-1.4, -1.4, 8.0])  # i to the patient's left, j to posterior
    i, j = (1, 0) if storage & 1 else (0, 1)
    matrix = axes[:, [i, j, 2]] * [-1 if storage & 2 else 1, -1 if storage & 4 else 1, 1]
    affine = np.eye(4)
    affine[:3, :3] = matrix
    letters = edge_letters(affine, reading_turn(affine))
    assert (letters.left, letters.right, letters.top, letters.bottom) == ("R", "L", "A", "P")


def test_turn_moves_pixels_as_it_says():
    plane = np.arange(6).reshape(2, 3)
    assert Turn(False, False, False).apply(plane).tolist() == plane.T.tolist()
    assert Turn(True, True, True).apply(plane).tolist() == plane[::-1, ::-1].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_black_and_the_others_keep_their_grey(value):
    case = simulate_patient("NOR", 0, seed=5).case
    heart = measure(case, read_spec("cine_sax").cardiac)
    outside = {key: mask.array == 0 for key, mask in case.masks.items()}
    # the dark end of the background, which the window clips to black anyway, becomes not finite
    darkest = {key: outside[key] & (i.array <= np.percentile(i.array, 0.1)) for key, i in case.images.items()}
    spoiled = {key: replace(i, array=np.where(darkest[key], value, i.array)) for key, i in case.images.items()}
    sound = make_images(case, heart, sequence="cine").slices
    shown = make_images(replace(case, images=spoiled), heart, sequence="cine").slices
    assert any(d.any() for d in darkest.values())
    for before, after in zip(sound, shown, strict=True):
        assert pixels(after).max() == 255
        assert np.abs(pixels(after) - pixels(before)).max() <= 8
