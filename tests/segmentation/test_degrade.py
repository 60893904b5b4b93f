import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.image import Image
from radiocard.segmentation.degrade import FAMILIES, degrade

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def image():
    i, j = np.ogrid[:64, :48]
    disc = np.hypot(i - 30, j - 20) < 9
    return Image(np.repeat((100.0 + 300 * disc)[:, :, None], 3, axis=2), AFFINE)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_worse_the_further_from_the_image(family):
    source = image()
    off = [
        np.abs(degrade(source, family=family, severity=s, random_state=0).array - source.array).mean()
        for s in (0.0, 0.3, 1.0)
    ]
    assert off[0] == 0 < off[1] < off[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_grid_and_seed(family):
    source = image()
    a, b = (degrade(source, family=family, severity=0.5, random_state=4) for _ in range(2))
    np.testing.assert_array_equal(a.array, b.array)
    np.testing.assert_array_equal(a.affine, source.affine)
    assert a.array.shape == source.array.shape
    assert np.isfinite(a.array).all()


def test_noise_is_rician():
    dark = Image(np.concatenate([np.zeros((200, 200, 1)), np.full((4, 200, 1), 1.0)]), AFFINE)
    found = degrade(dark, family="noise", severity=0.2, random_state=0).array[:200]
    scale = float(np.percentile(dark.array, 99)) or 1.0
    assert found.mean() == pytest.approx(0.1 * scale * np.sqrt(np.pi / 2), rel=0.02)  # mean of a Rayleigh law


def test_ghosts_are_half_the_image_away():
    found = degrade(image(), family="ghosts", severity=1.0, random_state=0).array[:, :, 0]
    weak = (1 - 0.1) / 2
    shifted = np.roll(image().array[:, :, 0], 32, axis=0)
    np.testing.assert_allclose(found, np.abs((1 - weak) * image().array[:, :, 0] + weak * shifted), rtol=1e-6)


@pytest.mark.parametrize("family", ["blur", "motion", "ghosts", "coarse", "contrast"])
def test_the_heart_stays_in_place(family):
    source = image()
    shifts = []
    for seed in range(10):
        worse = degrade(source, family=family, severity=0.3, random_state=seed)
        turn = (
            np.fft.fft2(worse.array, axes=(0, 1))[[1, 0], [0, 1]]
            / np.fft.fft2(source.array, axes=(0, 1))[[1, 0], [0, 1]]
        )
        shifts.append(np.angle(turn) / (2 * np.pi) * np.array([[64], [48]]))
    assert np.abs(shifts).max() < 0.5  # pixels


def test_what_is_not_known_is_refused():
    with pytest.raises(UsageError, match="'rain' is not known; expected one of noise, blur"):
        degrade(image(), family="rain", severity=0.5, random_state=0)
    with pytest.raises(UsageError, match="severity is 1.5, expected 0 to 1"):
        degrade(image(), family="noise", severity=1.5, random_state=0)
