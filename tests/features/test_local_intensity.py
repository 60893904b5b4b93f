import numpy as np
import pytest

from radiocard.features.local_intensity import RADIUS_MM, local_intensity, sphere


def brute_force(region):
    """Both peaks from their definition, voxel by voxel."""
    grid = np.indices(region.context.shape).reshape(3, -1).T
    means, values = [], []
    for voxel in np.argwhere(region.intensity_mask):
        distance = np.linalg.norm((grid - voxel - region.origin) * region.spacing, axis=1)
        means.append(region.context.reshape(-1)[distance <= RADIUS_MM].mean())
        values.append(region.values[tuple(voxel)])
    peaks = np.array(values) == max(values)
    return {"loc_peak_loc": np.array(means)[peaks].max(), "loc_peak_glob": max(means)}


def placed(make_region, context, origin, mask, spacing):
    box = tuple(slice(o, o + n) for o, n in zip(origin, mask.shape, strict=True))
    return make_region(mask, spacing, values=context[box])._replace(context=context, origin=origin)


def test_the_sphere_holds_one_cubic_centimetre():
    assert 4 / 3 * np.pi * RADIUS_MM**3 == pytest.approx(1000)
    lines = sphere((0.2, 0.2, 0.1))
    assert np.sum(2 * lines[:, 2] + 1) * 0.2 * 0.2 * 0.1 == pytest.approx(1000, rel=0.01)
    assert sphere((8.0, 7.0, 6.0)).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.4, 1.6, 8.0), (3.0, 9.0, 1.7)])
@pytest.mark.parametrize("origin", [(0, 0, 0), (3, 2, 4)])
def test_peaks_are_those_of_the_definition(spacing, origin, make_region):
    rng = np.random.default_rng(0)
    mask = rng.random((5, 4, 6)) < 0.4
    region = placed(make_region, rng.normal(size=(9, 8, 13)), origin, mask, spacing)
    assert local_intensity(region) == pytest.approx(brute_force(region), rel=1e-12)


def test_of_equal_maxima_the_brighter_neighbourhood_counts(make_region):
    values = np.zeros((30, 1, 1))
    values[[3, 24]], values[23] = 10, 4
    region = make_region(np.ones(values.shape, bool), (2.0, 2.0, 2.0), values=values)
    assert local_intensity(region)["loc_peak_loc"] == pytest.approx(14 / 7)  # 3 voxels to either side


def test_the_global_peak_need_not_be_at_the_maximum(make_region):
    values = np.zeros((30, 1, 1))
    values[4], values[16:23] = 10, 5
    region = make_region(np.ones(values.shape, bool), (2.0, 2.0, 2.0), values=values)
    assert local_intensity(region) == pytest.approx({"loc_peak_loc": 10 / 7, "loc_peak_glob": 5})


def test_only_the_intensity_mask_is_searched(make_region):
    values = np.array([9.0, 0, 0, 0, 0, 0, 0, 0, 1, 2]).reshape(10, 1, 1)
    keep = values < 5
    region = make_region(np.ones(values.shape, bool), (6.0, 6.0, 6.0), values=values, intensity_mask=keep)
    assert local_intensity(region) == pytest.approx({"loc_peak_loc": 1.5, "loc_peak_glob": 3.0})


def test_a_sphere_with_voxels_that_are_not_finite_has_no_mean(make_region):
    context = np.ones((9, 9, 9))
    context[0, 0, 0] = np.nan
    mask = np.ones((3, 3, 3), bool)
    near, far = (placed(make_region, context, origin, mask, (3.0, 3.0, 3.0)) for origin in ((1, 1, 1), (5, 5, 5)))
    assert local_intensity(near) == {"loc_peak_loc": None, "loc_peak_glob": None}
    assert local_intensity(far) == {"loc_peak_loc": 1, "loc_peak_glob": 1}


def test_digital_phantom_has_the_consensus_values(digital_phantom):
    found = local_intensity(digital_phantom)
    assert found == pytest.approx({"loc_peak_loc": 2.6, "loc_peak_glob": 3.1}, abs=0.05)
