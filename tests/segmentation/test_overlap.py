import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial import cKDTree

from radiocard.errors import GeometryError, MaskError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, LabelMap
from radiocard.segmentation.overlap import compare_masks, dice, surface_distance_mm

SPACING = (1.4, 1.5, 8.0)
AFFINE = np.diag([*SPACING, 1.0])


def box(shape, low, high):
    out = np.zeros(shape, bool)
    out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return out


def blob(seed, shape=(30, 28, 9)):
    """Return a random connected-looking region that does not touch the border."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    centre = np.array(shape) / 2 + rng.normal(0, 1, 3)
    radius = np.array(shape) * rng.uniform(0.2, 0.35, 3)
    r = np.sqrt((((grid - centre[:, None, None, None]) / radius[:, None, None, None]) ** 2).sum(axis=0))
    return r + 0.15 * rng.standard_normal(shape) < 1


def surface_points(region, spacing):
    """Centres of the voxels with a face neighbour outside, found by shifting; shape (n, 3) [mm]."""
    padded = np.pad(region, 1)
    inside = padded.copy()
    for axis in range(3):
        for step in (-1, 1):
            inside &= np.roll(padded, step, axis)
    return np.argwhere((padded & ~inside)[1:-1, 1:-1, 1:-1]) * np.array(spacing)


def masks(a, b):
    """Two label maps whose LV cavity is a region each."""
    return tuple(LabelMap(m.astype(np.uint8) * 3, AFFINE, labels=LABELS_ACDC) for m in (a, b))


@pytest.mark.parametrize("shift", [(2, 0, 0), (0, 3, 0), (0, 0, 1)])
def test_shifted_cubes_have_the_dice_and_the_distance_of_the_shift(shift):
    a = box((20, 20, 8), (4, 4, 2), (14, 14, 5))
    b = np.roll(a, shift, (0, 1, 2))
    side = (10, 10, 3)
    common = np.prod([n - s for n, s in zip(side, shift, strict=True)])
    assert dice(a, b) == pytest.approx(common / np.prod(side))
    farthest = surface_distance_mm(a, b, spacing_mm=SPACING, percent=100)
    assert farthest == pytest.approx(np.dot(shift, SPACING))


def test_concentric_spheres_are_as_far_apart_as_their_radii():
    grid = np.stack(np.meshgrid(*[np.arange(61) - 30] * 3, indexing="ij"))
    r = np.sqrt((grid**2).sum(axis=0)) * 0.5
    found = surface_distance_mm(r <= 13, r <= 10, spacing_mm=(0.5, 0.5, 0.5))
    assert found == pytest.approx(3.0, abs=0.5)
    assert dice(r <= 13, r <= 10) == pytest.approx(2 * 10**3 / (10**3 + 13**3), rel=0.01)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("percent", [50, 95, 100])
def test_distance_equals_a_search_for_the_nearest_point(seed, percent):
    a, b = blob(seed), blob(seed + 100)
    pa, pb = surface_points(a, SPACING), surface_points(b, SPACING)
    pooled = np.concatenate([cKDTree(pb).query(pa)[0], cKDTree(pa).query(pb)[0]])
    found = surface_distance_mm(a, b, spacing_mm=SPACING, percent=percent)
    assert found == pytest.approx(np.percentile(pooled, percent), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_dice_equals_simpleitk(seed):
    a, b = blob(seed), blob(seed + 50)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)))
    assert dice(a, b) == pytest.approx(measures.GetDiceCoefficient(), rel=1e-12)


@pytest.mark.parametrize("shift", [(3, 1, 0), (1, 2, 1)])
def test_largest_distance_of_shifted_regions_equals_simpleitk(shift):
    a = box((24, 24, 9), (5, 5, 2), (15, 16, 6))
    b = np.roll(a, shift, (0, 1, 2))
    images = []
    for m in (a, b):
        image = sitk.GetImageFromArray(m.astype(np.uint8).T)
        image.SetSpacing(SPACING)
        images.append(image)
    filter_ = sitk.HausdorffDistanceImageFilter()
    filter_.Execute(*images)
    found = surface_distance_mm(a, b, spacing_mm=SPACING, percent=100)
    assert found == pytest.approx(filter_.GetHausdorffDistance(), rel=1e-6)


def test_distance_is_symmetric_and_zero_to_itself():
    a, b = blob(1), blob(2)
    assert surface_distance_mm(a, b, spacing_mm=SPACING) == surface_distance_mm(b, a, spacing_mm=SPACING)
    assert surface_distance_mm(a, a, spacing_mm=SPACING) == 0


def test_a_region_at_the_border_of_the_volume_has_its_surface_there():
    a = np.ones((5, 5, 3), bool)
    b = box((5, 5, 3), (2, 2, 1), (3, 3, 2))
    farthest = surface_distance_mm(a, b, spacing_mm=(1.0, 1.0, 1.0), percent=100)
    assert farthest == pytest.approx(np.sqrt(4 + 4 + 1))


@pytest.mark.parametrize(
    ("predicted", "reference", "score", "reason"),
    [
        (False, False, None, "absent from both masks"),
        (True, False, 0.0, "absent from the reference mask"),
        (False, True, 0.0, "absent from the predicted mask"),
    ],
)
def test_an_empty_region_is_never_a_silent_number(predicted, reference, score, reason):
    part = box((6, 6, 3), (1, 1, 0), (3, 3, 2))
    found = compare_masks(*masks(part & predicted, part & reference), case="a", regions=("lv_cavity",))["lv_cavity"]
    assert (found.dice, found.hd95_mm, found.reason) == (score, None, reason)
    assert found.to_dict()["hd95_mm"] is None


def test_volumes_are_in_ml_and_label_numbers_may_differ():
    part = box((6, 6, 3), (1, 1, 0), (3, 3, 2))
    a, _ = masks(part, part)
    b = LabelMap(part.astype(np.uint8), AFFINE, labels=LABELS_MNMS)
    found = compare_masks(a, b, case="a", regions=("lv_cavity",))["lv_cavity"]
    assert found.dice == 1.0
    assert found.volume_ml == pytest.approx(8 * 1.4 * 1.5 * 8 / 1000)
    assert found.reference_ml == found.volume_ml


def test_other_grids_are_refused():
    part = box((6, 6, 3), (1, 1, 0), (3, 3, 2))
    a, _ = masks(part, part)
    moved = AFFINE.copy()
    moved[0, 3] = 0.7
    with pytest.raises(GeometryError, match="0.5 voxels apart"):
        compare_masks(a, LabelMap(a.array, moved, labels=LABELS_ACDC), case="a")


def test_an_unstated_region_is_refused():
    part = box((6, 6, 3), (1, 1, 0), (3, 3, 2))
    a, _ = masks(part, part)
    b = LabelMap(a.array, AFFINE, labels={"lv_cavity": 3})
    with pytest.raises(MaskError, match="reference mask states no label number for lv_myocardium, rv_cavity"):
        compare_masks(a, b, case="a")
