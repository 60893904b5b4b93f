"""Registration on a drawn heart whose every displacement is known in closed form."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from radiocard.errors import GeometryError, IntensityError, MaskError, UsageError
from radiocard.image import Image, LabelMap
from radiocard.preprocessing.register import Failure, move_image, register, register_series, transfer_mask
from radiocard.specs.registration import RegistrationSettings

SPACING = 1.5
SIZE = 72
RIGID = RegistrationSettings(contrast="different", deformable=False)
FULL = RegistrationSettings(contrast="different")
LABELS = {"lv_myocardium": 2, "lv_cavity": 3}
AFFINE = np.array([[0, -SPACING, 0, 40.0], [SPACING, 0, 0, -30], [0, 0, 8, 5], [0, 0, 0, 1]])
CENTRE = (SIZE - 1) / 2


def grid():
    return np.meshgrid(*2 * [(np.arange(SIZE) - CENTRE) * SPACING], indexing="ij")


def radius(x, y):
    return np.hypot(x, y), np.arctan2(y, x)


def soft(x):
    return 1 / (1 + np.exp(-x / 0.8))


def draw(x, y, tissue=(0.2, 1.0, 0.45, 0.9)):
    """Lung, blood, muscle, right ventricle: an oval ring with a crescent and two papillary muscles."""
    lung, blood, muscle, right = tissue
    r, a = radius(x, 1.15 * y)
    out = np.full(x.shape, lung) + 0.25 * lung * np.sin(x / 9) * np.cos(y / 7)
    crescent = soft(24 - np.hypot(x + 12, y - 4)) * soft(x + 40)
    out += crescent * (right - out)
    out += soft(24 + 1.5 * np.cos(3 * a) - r) * (muscle - out)
    out += soft(15 + 1.5 * np.cos(2 * a) - r) * (blood - out)
    for px, py in ((7, 7), (-2, -10)):
        out += soft(3.5 - np.hypot(x - px, y - py)) * (muscle - out)
    return out


def labels_at(x, y):
    r, a = radius(x, 1.15 * y)
    out = np.where(r < 24 + 1.5 * np.cos(3 * a), 2, 0)
    return np.where(r < 15 + 1.5 * np.cos(2 * a), 3, out).astype(np.uint8)


def rigid(x, y, shift_mm, turn_deg=0.0):
    """Where the content of the fixed image lies in the moving one, and its inverse."""
    t = np.deg2rad(turn_deg)
    there = np.cos(t) * x - np.sin(t) * y + shift_mm[0], np.sin(t) * x + np.cos(t) * y + shift_mm[1]
    u, v = x - shift_mm[0], y - shift_mm[1]
    return there, (np.cos(t) * u + np.sin(t) * v, -np.sin(t) * u + np.cos(t) * v)


INVERTED = (0.9, 0.1, 0.6, 0.15)
NULLED = (0.5, 0.8, 0.1, 0.7)


def stack(*planes, noise=0.02, seed=0, affine=AFFINE):
    rng = np.random.default_rng(seed)
    return Image(1000 * (np.stack(planes, axis=2) + noise * rng.standard_normal((SIZE, SIZE, len(planes)))), affine)


def fixed_image(n=1):
    return stack(*[draw(*grid())] * n)


def heart_mask(n=1):
    return np.stack([labels_at(*grid()) > 0] * n, axis=2)


def noise_image(seed, blur=0.0, n=1):
    white = np.random.default_rng(seed).standard_normal((SIZE, SIZE, n))
    return Image(ndimage.gaussian_filter(white, (blur, blur, 0)), AFFINE)


@pytest.mark.parametrize(
    ("contrast", "tissue"),
    [("same", (0.2, 1.0, 0.45, 0.9)), ("different", INVERTED), ("different", NULLED)],
)
@pytest.mark.parametrize(("shift_mm", "turn_deg"), [((0.7, -1.1), 0.0), ((6.4, 3.3), 4.0), ((-9.3, 2.2), -6.0)])
def test_known_shift_and_turn_are_recovered_to_half_a_pixel(contrast, tissue, shift_mm, turn_deg):
    there, back = rigid(*grid(), shift_mm, turn_deg)
    moving = stack(draw(*back, tissue), seed=1)
    settings = RegistrationSettings(contrast=contrast, deformable=False)
    found = register(fixed_image(), moving, settings=settings, fixed_mask=heart_mask())
    assert found.succeeded, found.reasons
    known = np.stack([t - g for t, g in zip(there, grid(), strict=True)], axis=-1)
    error = np.linalg.norm(found.displacement_mm[:, :, 0] - known, axis=-1)[heart_mask()[:, :, 0]]
    assert error.max() < 0.5 * SPACING
    assert found.slices[0].turn_deg == pytest.approx(turn_deg, abs=1.0)
    assert found.slices[0].jacobian_min == pytest.approx(1.0, abs=1e-6)
    assert found.slices[0].similarity_after > found.slices[0].similarity_before


def test_bsplines_bring_labels_back_where_a_rigid_motion_cannot():
    x, y = grid()
    swell = 1 / (1 + 0.15 * np.exp(-(x**2 + y**2) / 40**2))
    moving = stack(draw(x * swell - 2, y * swell + 3, INVERTED), seed=1)
    drawn = LabelMap(labels_at(x * swell - 2, y * swell + 3)[:, :, None], AFFINE, labels=LABELS)
    truth = labels_at(x, y)

    def overlap(array):
        a, b = array[:, :, 0] == 2, truth == 2
        return 2 * (a & b).sum() / (a.sum() + b.sum())

    found = [register(fixed_image(), moving, settings=s, fixed_mask=heart_mask()) for s in (RIGID, FULL)]
    assert all(f.succeeded for f in found)
    stiff, soft_ = (overlap(transfer_mask(drawn, f).array) for f in found)
    assert overlap(drawn.array) < stiff < soft_
    assert soft_ > 0.93
    moved = transfer_mask(drawn, found[1])
    assert moved.labels == LABELS
    assert set(np.unique(moved.array)) <= {0, 2, 3}
    assert moved.array.dtype == drawn.array.dtype


def test_same_bits_again():
    _, back = rigid(*grid(), (4.0, -3.0), 3.0)
    moving = stack(draw(*back, INVERTED), seed=1)
    runs = [register(fixed_image(), moving, settings=FULL, fixed_mask=heart_mask()).displacement_mm for _ in range(5)]
    assert runs[0].any()
    assert all(np.array_equal(runs[0], again) for again in runs[1:])  # with several threads they differ by 1e-14


def test_images_in_place_stay_in_place():
    found = register(fixed_image(), stack(draw(*grid(), INVERTED), seed=1), settings=RIGID, fixed_mask=heart_mask())
    assert found.succeeded
    assert np.abs(found.displacement_mm).max() < 0.5 * SPACING


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
def test_noise_is_not_registered(blur):
    moving = noise_image(3, blur)
    for fixed in (noise_image(4, blur), fixed_image()):
        found = register(fixed, moving, settings=FULL, fixed_mask=heart_mask())
        assert list(found.slices[0].reasons) == [Failure.INDISTINCT]
        assert "slice 0: " in found.reasons[0]
        assert found.moved.array is not moving.array
        assert np.array_equal(found.moved.array, moving.array)


def test_other_anatomy_is_noticed():
    x, y = grid()
    stripes = stack(0.5 + 0.4 * np.sin(x / 5 + y / 11), seed=1)
    found = register(fixed_image(), stripes, settings=FULL, fixed_mask=heart_mask())
    assert list(found.slices[0].reasons) == [Failure.INDISTINCT]


def test_flat_image_is_noticed():
    flat = Image(np.full((SIZE, SIZE, 1), 7), AFFINE)
    found = register(fixed_image(), flat, settings=FULL, fixed_mask=heart_mask())
    assert not found.succeeded
    assert "the moving image is flat" in found.reasons[0]
    assert np.array_equal(found.moved.array, flat.array)
    assert list(register(flat, fixed_image(), settings=FULL).slices[0].reasons) == [Failure.FLAT]


def test_shift_beyond_the_limit_is_noticed():
    _, back = rigid(*grid(), (11.0, 0.0))
    moving = stack(draw(*back, INVERTED), seed=1)
    drawn = LabelMap(labels_at(*back)[:, :, None], AFFINE, labels=LABELS)
    tight = RIGID.model_copy(update={"max_shift_mm": 8.0})
    found = register(fixed_image(), moving, settings=tight, fixed_mask=heart_mask())
    assert list(found.slices[0].reasons) == [Failure.SHIFT]
    assert found.slices[0].shift_mm == pytest.approx(11.0, abs=0.5 * SPACING)
    assert re.fullmatch(r"slice 0: shift of 1[01]\.\d mm, expected at most 8", found.reasons[0])
    assert not found.displacement_mm.any()
    assert np.array_equal(transfer_mask(drawn, found).array, drawn.array)


def test_turn_and_iterations_beyond_their_limits_are_noticed():
    _, back = rigid(*grid(), (2.0, 1.0), 8.0)
    moving = stack(draw(*back, INVERTED), seed=1)
    stopped = RIGID.model_copy(update={"max_iterations": 2})
    found = register(fixed_image(), moving, settings=stopped, fixed_mask=heart_mask())
    assert "stopped after 2 iterations" in found.slices[0].reasons[Failure.OPTIMISER]
    tight = RIGID.model_copy(update={"max_turn_deg": 3.0})
    found = register(fixed_image(), moving, settings=tight, fixed_mask=heart_mask())
    assert list(found.slices[0].reasons) == [Failure.TURN]


def test_deformation_beyond_the_limit_is_noticed():
    x, y = grid()
    swell = 1 / (1 + 0.15 * np.exp(-(x**2 + y**2) / 40**2))
    tight = FULL.model_copy(update={"max_deformation_mm": 1.0})
    moving = stack(draw(x * swell, y * swell, INVERTED))
    found = register(fixed_image(), moving, settings=tight, fixed_mask=heart_mask())
    assert list(found.slices[0].reasons) == [Failure.DEFORMATION]


def test_images_that_do_not_overlap_are_noticed():
    away = AFFINE.copy()
    away[:3, 3] += 80.0 * np.array([0, 1, 0])
    found = register(fixed_image(), replace(fixed_image(), affine=away), settings=FULL, fixed_mask=heart_mask())
    assert list(found.slices[0].reasons) == [Failure.NO_OVERLAP]
    above = AFFINE.copy()
    above[2, 3] += 8.0
    found = register(fixed_image(), replace(fixed_image(), affine=above), settings=FULL, fixed_mask=heart_mask())
    assert "0 % of the region lie in both images" in found.reasons[0]


def test_one_bad_slice_moves_nothing():
    _, back = rigid(*grid(), (5.0, 0.0))
    good = stack(draw(*back, INVERTED), seed=1)
    both = Image(np.concatenate([good.array, noise_image(9).array], axis=2), AFFINE)
    found = register(fixed_image(2), both, settings=RIGID, fixed_mask=heart_mask(2))
    assert [s.succeeded for s in found.slices] == [True, False]
    assert not found.succeeded
    assert np.array_equal(found.moved.array, both.array)


def test_slices_without_the_heart_are_left_alone():
    _, back = rigid(*grid(), (5.0, 0.0))
    moving = stack(draw(*back, INVERTED), draw(*back, INVERTED), seed=1)
    mask = heart_mask(2)
    mask[:, :, 1] = False
    found = register(fixed_image(2), moving, settings=RIGID, fixed_mask=mask)
    assert [s.k for s in found.slices] == [0]
    assert np.array_equal(found.moved.array[:, :, 1], moving.array[:, :, 1])


def test_grids_may_differ():
    """A moving image stored with other axes, spacing and slice order: the world shift is what is found."""
    step = 1.2
    i, j = np.meshgrid(*2 * [(np.arange(100) - 49.5) * step], indexing="ij")
    _, back = rigid(-j, i, (3.0, -4.5))
    plane = draw(*back, INVERTED)
    corner = AFFINE @ [CENTRE, CENTRE, 0, 1]
    affine = np.eye(4)
    affine[:3, 0] = AFFINE[:3, 1] / SPACING * step
    affine[:3, 1] = -AFFINE[:3, 0] / SPACING * step
    affine[:3, 2] = -AFFINE[:3, 2]
    affine[:3, 3] = corner[:3] - affine[:3, :2] @ [49.5, 49.5] - affine[:3, 2]
    rng = np.random.default_rng(0)
    array = np.stack([rng.standard_normal(plane.shape), plane], axis=2) * 1000
    moving = Image(array, affine)
    found = register(fixed_image(), moving, settings=RIGID, fixed_mask=heart_mask())
    assert found.succeeded, found.reasons
    assert np.allclose(found.displacement_mm[heart_mask()], (3.0, -4.5), atol=0.5 * SPACING)
    assert found.moved.array.shape == (SIZE, SIZE, 1)
    truth = 1000 * draw(*grid(), INVERTED)
    assert np.abs(found.moved.array[:, :, 0] - truth)[heart_mask()[:, :, 0]].mean() < 30
    assert found.covered[heart_mask()].all()


def test_other_maps_of_the_moving_series_follow():
    _, back = rigid(*grid(), (6.0, 3.0))
    moving = stack(draw(*back, INVERTED), seed=1)
    found = register(fixed_image(), moving, settings=RIGID, fixed_mask=heart_mask())
    x = Image(grid()[0][:, :, None], AFFINE)
    followed = move_image(x, found).array[:, :, 0]
    assert np.allclose((followed - grid()[0])[heart_mask()[:, :, 0]], 6.0, atol=0.5 * SPACING)
    with pytest.raises(GeometryError, match=r"The shape of the image is \(3, 3, 1\)"):
        move_image(Image(np.zeros((3, 3, 1)), AFFINE), found)
    elsewhere = AFFINE.copy()
    elsewhere[0, 3] += SPACING
    wrong = LabelMap(np.zeros((SIZE, SIZE, 1), int), elsewhere, labels=LABELS)
    with pytest.raises(GeometryError, match="The grid of the label map is up to 1 voxels away"):
        transfer_mask(wrong, found)


def test_frames_of_an_inversion_recovery_are_aligned_to_the_last():
    shifts = [(4.5, -3.0), (-3.7, 2.2), (0.0, 0.0)]
    tissues = [INVERTED, (0.5, 0.3, 0.7, 0.35), (0.2, 1.0, 0.45, 0.9)]
    frames = [
        stack(draw(*rigid(*grid(), s)[1], t), seed=n).array
        for n, (s, t) in enumerate(zip(shifts, tissues, strict=False))
    ]
    frames.insert(2, noise_image(5).array)
    series = np.stack(frames, axis=-1)
    found = register_series(series, AFFINE, settings=RIGID, fixed_mask=heart_mask())
    assert found.reference == 3
    assert found.failed == (2,)
    assert not found.succeeded
    assert found.reasons[0].startswith("frame 2, slice 0: the best shift")
    assert np.array_equal(found.images[..., 2], series[..., 2])
    assert np.array_equal(found.images[..., 3], series[..., 3])
    for n in (0, 1):
        error = found.registrations[n].displacement_mm[heart_mask()] - shifts[n]
        assert np.abs(error).max() < 0.5 * SPACING


def test_series_that_is_none():
    with pytest.raises(UsageError, match=r"The series has shape \(4, 4, 1\)"):
        register_series(np.zeros((4, 4, 1)), AFFINE, settings=FULL)
    with pytest.raises(UsageError, match="The reference frame is 3, but the series has 2 frames"):
        register_series(np.zeros((4, 4, 1, 2)), AFFINE, settings=FULL, reference=3)


def test_unusable_input_is_refused():
    image = fixed_image()
    with pytest.raises(GeometryError, match="affine of the moving image is not finite, or singular"):
        register(image, replace(image, affine=np.diag([1.0, 0.0, 1.0, 1.0])), settings=FULL)
    holes = image.array.copy()
    holes[3, 3] = np.nan
    with pytest.raises(IntensityError, match="The fixed image has 1 voxels that are NaN"):
        register(replace(image, array=holes), image, settings=FULL)
    with pytest.raises(GeometryError, match="slice planes of both images are 90.0 degrees apart"):
        register(image, replace(image, affine=AFFINE[:, [2, 1, 0, 3]]), settings=FULL)
    with pytest.raises(GeometryError, match=r"The shape of the mask is \(2, 2, 1\)"):
        register(image, image, settings=FULL, fixed_mask=np.ones((2, 2, 1), dtype=bool))
    with pytest.raises(MaskError, match="The mask has no voxel"):
        register(image, image, settings=FULL, fixed_mask=np.zeros(image.array.shape, dtype=bool))
