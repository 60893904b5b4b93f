import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.segmentation.saliency import occlusion_map

SLICES, SIDE = 3, 32


def _ask(hearts):
    """Class 1 is the brightness of one patch of slice 1 at end-diastole, nothing else."""
    p = hearts[:, 1, 8:16, 20:28].mean(axis=(1, 2))
    return np.stack([1 - p, p], axis=1)


@pytest.fixture
def heart():
    channels = np.random.default_rng(0).normal(0, 0.1, (2 * SLICES, SIDE, SIDE)).astype(np.float32)
    channels[1, 8:16, 20:28] = 0.9
    return channels


def test_occlusion_is_greatest_where_the_answer_comes_from(heart):
    found = occlusion_map(heart, _ask, answer=1, slices=SLICES, patch_px=8)
    assert found.shape == (SLICES, SIDE, SIDE)
    k, i, j = np.unravel_index(found.argmax(), found.shape)
    assert (k, 8 <= i < 16, 20 <= j < 28) == (1, True, True)
    assert np.abs(found[[0, 2]]).max() == pytest.approx(0, abs=1e-7)
    assert np.abs(found[1, :4]).max() == pytest.approx(0, abs=1e-7)


def test_occlusion_against_the_other_class_has_the_opposite_sign(heart):
    one, other = (occlusion_map(heart, _ask, answer=a, slices=SLICES) for a in (1, 0))
    np.testing.assert_allclose(one, -other, atol=1e-6)


def test_hiding_the_whole_patch_costs_what_it_gave(heart):
    """With patches that do not overlap the source but for one, the loss is the closed form."""
    found = occlusion_map(heart, _ask, answer=1, slices=SLICES, patch_px=SIDE)
    np.testing.assert_allclose(found[1], heart[1, 8:16, 20:28].mean(), atol=1e-6)


@pytest.mark.parametrize("patch", [1, SIDE + 1])
def test_a_patch_that_does_not_fit_is_refused(heart, patch):
    with pytest.raises(UsageError, match="expected 2 to 32"):
        occlusion_map(heart, _ask, answer=1, slices=SLICES, patch_px=patch)
