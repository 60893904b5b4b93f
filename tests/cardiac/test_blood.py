import numpy as np
import pytest

from radiocard.cardiac.blood import blood_pool, shared_blood_pool
from radiocard.errors import GeometryError, MaskError, UsageError

SPACING = (1.5, 2.0)


def ventricle(blood=1600.0, muscle=1000.0, sd=30.0, papillary_mm=3.0, shape=(60, 50, 2)):
    """A cavity of 20 mm radius with two papillary muscles, mixed with the wall in its outermost 2 mm."""
    i, j, _ = np.indices(shape)
    x, y = (i - shape[0] / 2) * SPACING[0], (j - shape[1] / 2) * SPACING[1]
    radius = np.hypot(x, y)
    cavity = radius < 20.0
    t1 = np.where(radius < 18.0, blood, (blood + muscle) / 2)
    t1 = np.where(cavity, t1, muscle)
    papillary = np.minimum(np.hypot(x - 9, y), np.hypot(x + 6, y - 7)) < papillary_mm
    t1 = np.where(papillary, muscle, t1) + sd * np.random.default_rng(3).standard_normal(shape)
    return t1, cavity, papillary, radius


@pytest.mark.parametrize(("blood", "muscle"), [(1600.0, 1000.0), (300.0, 480.0)])
def test_papillary_muscles_and_the_border_are_left_out(blood, muscle):
    t1, cavity, papillary, radius = ventricle(blood, muscle, sd=0.02 * blood)
    found = blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=4.0)
    assert not (found.mask & papillary).any()
    assert not (found.mask & (radius >= 18.0)).any()
    inner = (radius < 15.0) & ~papillary
    assert (found.mask & inner).sum() > 0.98 * inner.sum()
    assert found.t1_ms == pytest.approx(blood, rel=0.002)
    assert found.n_voxels == found.mask.sum()
    assert found.n_removed >= (papillary & (radius < 15.0)).sum()
    assert found.issues == ()
    mixed = t1[cavity].mean()
    assert abs(mixed - blood) > 10 * abs(found.t1_ms - blood)


@pytest.mark.parametrize("erosion_mm", [0.0, 3.0, 6.0])
def test_erosion_is_in_millimetres_on_both_axes(erosion_mm):
    cavity = np.zeros((40, 40), dtype=bool)
    cavity[5:35, 5:35] = True
    found = blood_pool(np.full((40, 40), 1600.0), cavity, spacing_mm=SPACING, erosion_mm=erosion_mm)
    rows, columns = np.nonzero(found.mask)
    skipped = [int(erosion_mm // s) for s in SPACING]  # centre to centre: voxels at exactly that distance go
    assert (rows.min() - 5, columns.min() - 5) == tuple(skipped)
    assert (34 - rows.max(), 34 - columns.max()) == tuple(skipped)
    assert found.t1_ms == 1600.0
    assert found.spread_pct == 0.0


def test_the_edge_of_the_image_is_a_border():
    found = blood_pool(np.full((20, 20), 1600.0), np.ones((20, 20), dtype=bool), spacing_mm=(2.0, 2.0), erosion_mm=3.0)
    assert found.n_voxels == 18 * 18


def test_slices_are_eroded_one_by_one():
    t1, cavity, _, _ = ventricle()
    whole = blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=4.0)
    cavity[:, :, 1] = False
    single = blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=4.0)
    assert single.n_voxels == pytest.approx(whole.n_voxels / 2, rel=0.02)


def test_voxels_without_a_value_are_left_out():
    t1, cavity, _, radius = ventricle()
    t1[radius < 3.0] = np.nan
    t1[(radius >= 3.0) & (radius < 5.0)] = 0.0
    found = blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=4.0)
    assert not (found.mask & (radius < 5.0)).any()


def test_a_wide_spread_is_told():
    t1, cavity, _, _ = ventricle(sd=300.0)
    found = blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=4.0)
    assert [issue.code for issue in found.issues] == ["W_PHYSIOLOGY"]
    assert f"spreads by {found.spread_pct:.1f} %, expected at most 10 %" in found.issues[0].message
    assert found.spread_pct == pytest.approx(100 * 300 / 1600, rel=0.15)


def test_the_blood_of_two_maps_is_what_is_blood_in_both():
    native, cavity, papillary, radius = ventricle()
    post = ventricle(blood=300.0, muscle=480.0, sd=6.0)[0]
    late = radius < 4.0  # mixed with muscle after contrast agent only
    post[late] = 420.0
    found = shared_blood_pool(native, post, cavity, spacing_mm=SPACING, erosion_mm=4.0)
    assert found.native.mask[late].any()
    assert not found.mask[late | papillary].any()
    np.testing.assert_array_equal(found.mask, found.native.mask & found.post.mask)
    assert found.n_voxels == found.mask.sum()
    assert found.t1.native_ms == pytest.approx(native[found.mask].mean(), rel=1e-12)
    assert found.t1.post_ms == pytest.approx(post[found.mask].mean(), rel=1e-12)
    assert (found.t1.native_ms, found.t1.post_ms) == pytest.approx((1600.0, 300.0), rel=0.003)
    assert found.issues == ()


def test_two_maps_that_share_no_blood_are_refused():
    native, cavity, _, _ = ventricle()
    post = np.full(native.shape, 300.0)
    settings = {"spacing_mm": SPACING, "erosion_mm": 4.0}
    left = np.indices(native.shape)[0] < 30
    with pytest.raises(MaskError, match="Blood pool has 0 of the .* expected at least 20"):
        shared_blood_pool(np.where(left, native, 0.0), np.where(left, 0.0, post), cavity, **settings)
    with pytest.raises(UsageError, match="expected a drop.*exchanged"):
        shared_blood_pool(post, native, cavity, **settings)
    with pytest.raises(GeometryError, match="expected one shape"):
        shared_blood_pool(native, post[:, :, 0], cavity, **settings)
    spread = np.where(cavity, 300.0 + 100.0 * np.random.default_rng(0).standard_normal(native.shape), 300.0)
    warned = shared_blood_pool(native, np.abs(spread) + 50.0, cavity, **settings)
    assert [issue.code for issue in warned.issues] == ["W_PHYSIOLOGY"]


def test_regions_that_are_refused():
    t1, cavity, _, _ = ventricle()
    with pytest.raises(MaskError, match="Blood pool has 0 of the .* expected at least 20") as caught:
        blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=25.0)
    assert caught.value.code == "E_ROI_SIZE"
    with pytest.raises(MaskError, match="expected at least 5000"):
        blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=4.0, min_voxels=5000)
    with pytest.raises(GeometryError, match=r"Cavity has shape \(60, 50\), T1 map \(60, 50, 2\)"):
        blood_pool(t1, cavity[:, :, 0], spacing_mm=SPACING, erosion_mm=4.0)
    with pytest.raises(UsageError, match="Erosion is -1 mm"):
        blood_pool(t1, cavity, spacing_mm=SPACING, erosion_mm=-1.0)
    with pytest.raises(UsageError, match="median T1 of the blood pool is 1.6.* ms.*looks like seconds"):
        blood_pool(t1 / 1000, cavity, spacing_mm=SPACING, erosion_mm=4.0)
