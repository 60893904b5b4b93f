import numpy as np
import pytest

from radiocard.cardiac.regional import motion_values, thickening_values, thickness_values
from radiocard.cardiac.wall import WallSamples


def samples(thickness_of_segment, radius=10.0):
    """Four samples in each of 16 segments; segments 1 to 6 in slice 0, 7 to 12 in slice 1, the rest in slice 2."""
    segment = np.repeat(np.arange(1, 17), 4)
    spread = np.tile([-1.0, 0.0, 0.0, 1.0], 16)
    thickness = np.asarray(thickness_of_segment, dtype=float)[segment - 1] + spread
    k = np.minimum((segment - 1) // 6, 2)
    radii = np.broadcast_to(np.asarray(radius, dtype=float), (16,))[segment - 1]
    return WallSamples(k, np.zeros((64, 2)), thickness, radii, segment)


def test_segment_and_global_thickness():
    values = thickness_values(samples(np.arange(1, 17) + 5.0), "ed")
    assert values["wt_aha_03_ed_mm"] == pytest.approx(8.0)
    assert values["wt_max_aha_03_ed_mm"] == pytest.approx(9.0)
    assert values["wt_sd_aha_03_ed_mm"] == pytest.approx(np.sqrt(0.5))
    assert values["mwt_max_ed_mm"] == pytest.approx(21.0)
    assert values["mwt_mean_ed_mm"] == pytest.approx(13.5)
    assert values["mwt_sd_ed_mm"] == pytest.approx(np.sqrt((16**2 - 1) / 12))  # uniform on 16 steps


def test_slice_descriptors():
    values = thickness_values(samples([8.0] * 6 + [10.0] * 6 + [12.0] * 4), "es")
    assert values["mwt_slice_max_es_mm"] == pytest.approx(12.0)
    assert values["mwt_slice_sd_es_mm"] == pytest.approx(np.sqrt(8 / 3))
    assert values["mwt_sd_slice_mean_es_mm"] == pytest.approx(np.sqrt(0.5))
    assert values["mwt_sd_slice_sd_es_mm"] == pytest.approx(0.0, abs=1e-9)


def test_a_segment_without_wall_is_undefined_not_zero():
    wall = samples(np.full(16, 9.0))
    wall.thickness_mm[wall.segment == 2] = np.nan
    values = thickness_values(wall, "ed")
    assert values["wt_aha_02_ed_mm"] is None
    assert values["wt_sd_aha_02_ed_mm"] is None
    assert values["mwt_mean_ed_mm"] == pytest.approx(9.0)


def test_a_segment_of_which_little_is_wall_is_undefined():
    segment = np.repeat([1, 2], 10)
    thickness = np.full(20, np.nan)
    thickness[[0, 1, 10, 11, 12]] = 9.0  # 2 of 10 points in segment 1, 3 of 10 in segment 2
    wall = WallSamples(np.zeros(20, dtype=int), np.zeros((20, 2)), thickness, np.full(20, 20.0), segment)
    values = thickness_values(wall, "ed")
    assert values["wt_aha_01_ed_mm"] is None
    assert values["wt_aha_02_ed_mm"] == pytest.approx(9.0)


def test_thickening():
    thickness = {f"wt_aha_{n:02d}_{phase}_mm": 10.0 for n in range(1, 17) for phase in ("ed", "es")}
    thickness |= {f"wt_aha_{n:02d}_es_mm": 14.0 for n in range(1, 13)}  # 40 % in twelve segments, 0 % in four
    thickness |= {"wt_aha_16_es_mm": 9.0, "wt_aha_15_es_mm": None}
    values = thickening_values(thickness)
    assert values["thickening_aha_01_pct"] == pytest.approx(40.0)
    assert values["thickening_aha_15_pct"] is None
    assert values["thickening_mean_pct"] == pytest.approx((12 * 40 - 10) / 15)
    assert values["thickening_min_pct"] == pytest.approx(-10.0)
    assert values["thickening_low_n"] == 3.0


def test_inward_motion():
    after = np.full(16, 14.0)
    after[:4] = 21.0  # four segments bulge outwards by 1 mm, twelve come in by 6 mm
    values = motion_values(samples(np.full(16, 9.0), 20.0), samples(np.full(16, 9.0), after))
    assert values["endo_motion_aha_01_mm"] == pytest.approx(-1.0)
    assert values["endo_motion_aha_09_mm"] == pytest.approx(6.0)
    assert values["endo_motion_min_mm"] == pytest.approx(-1.0)
    assert values["endo_motion_mean_mm"] == pytest.approx(4.25)
    assert values["endo_motion_sd_mm"] == pytest.approx(7.0 * np.sqrt(0.25 * 0.75))


def test_nothing_measured_is_undefined():
    none = np.empty(0)
    empty = WallSamples(none.astype(int), np.empty((0, 2)), none, none, none.astype(int))
    values = thickness_values(empty, "ed") | thickness_values(empty, "es")
    assert set(values.values()) == {None}
    assert set(thickening_values(values).values()) == {None}
    assert set(motion_values(empty, empty).values()) == {None}
