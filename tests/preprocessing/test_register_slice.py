import numpy as np
import pytest

from radiocard.image import Image
from radiocard.preprocessing import register_slice
from radiocard.preprocessing.register_optimise import Fit
from radiocard.preprocessing.register_slice import Failure, align_slice, jacobian_of
from radiocard.specs.registration import RegistrationSettings

SETTINGS = RegistrationSettings(contrast="different")
SIZE = 48


@pytest.fixture
def image():
    x, y = np.meshgrid(*2 * [np.arange(SIZE) - 23.5], indexing="ij")
    r = np.hypot(x, 1.3 * y)
    plane = np.where(r < 8, 1.0, np.where(r < 13, 0.4, 0.1)) + 0.5 * (np.hypot(x - 10, y + 9) < 4)
    rng = np.random.default_rng(0)
    return Image((plane + 0.02 * rng.standard_normal(plane.shape))[:, :, None], np.diag([2.0, 2.0, 8.0, 1.0]))


def align(image):
    everywhere = np.ones((SIZE, SIZE), dtype=bool)
    return align_slice(image, image, 0, heart=everywhere, region=everywhere, settings=SETTINGS)


def test_jacobian_of_a_linear_map_is_its_determinant():
    i, j = np.meshgrid(np.arange(8) * 1.5, np.arange(9) * 2.0, indexing="ij")
    field = np.stack([0.2 * i + 0.1 * j, -0.3 * i + 0.05 * j], axis=-1)
    assert np.allclose(jacobian_of(field, (1.5, 2.0)), 1.2 * 1.05 + 0.1 * 0.3)


def fake(monkeypatch, field, *, stopped=False):
    fit = Fit(0.0, np.zeros_like(field), field, stopped)
    monkeypatch.setattr(register_slice, "optimise", lambda *_, **__: fit)


def test_folding_and_loss_of_similarity_are_noticed(image, monkeypatch):
    """Mirroring the slice about its middle column folds it everywhere: the Jacobian is -1."""
    field = np.zeros((SIZE, SIZE, 2))
    field[..., 0] = 2.0 * (SIZE - 1 - 2 * np.arange(SIZE))[:, None]
    fake(monkeypatch, field)
    found = align(image)
    assert found.jacobian_min == pytest.approx(-1.0)
    assert "folding: smallest Jacobian -1.00" in found.reasons[Failure.FOLDING]
    assert "similarity did not improve: 1.000 before" in found.reasons[Failure.NOT_IMPROVED]
    assert not found.succeeded


def test_region_that_leaves_the_moving_image_is_noticed(image, monkeypatch):
    field = np.full((SIZE, SIZE, 2), 18.0)
    fake(monkeypatch, field)
    assert "66 % of the region" in align(image).reasons[Failure.NO_OVERLAP]  # (39 / 48)^2


@pytest.mark.parametrize("shift_mm", [0.3, 2.0])
def test_motion_that_gains_nothing_is_none_where_the_images_lie_in_place(image, monkeypatch, shift_mm):
    """The second is a whole pixel, which noise and a spline reach; no shift of all that were searched is better."""
    fake(monkeypatch, np.full((SIZE, SIZE, 2), shift_mm))
    found = align(image)
    assert found.succeeded
    assert not found.displacement_mm.any()


def test_optimiser_that_gives_up_is_noticed(image, monkeypatch):
    def give_up(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(register_slice, "optimise", give_up)
    assert "the optimiser gave up" in align(image).reasons[Failure.OPTIMISER]
