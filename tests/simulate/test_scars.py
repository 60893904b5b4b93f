import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.simulate.heart import HeartParameters, end_diastole
from radiocard.simulate.layers import WallPoints
from radiocard.simulate.scars import ScarParameters, aha_segment, scar_truth, wall_parts


@pytest.fixture(scope="module")
def shape():
    numbers = {"lvedv_ml": 150.0, "lvef": 0.55, "rvef": 0.55, "sv_ratio": 1.0, "myocardium_ml": 120.0}
    walls = {"septal_excess": 0.1, "septal_centre_deg": 165.0, "deficit": 0.1, "thinning": 0.01, "territory": "LAD"}
    size = {"territory_shift_deg": 0.0, "territory_scale": 1.0, "length_mm": 85.0, "apex_mm": 5.0, "descent": 0.27}
    return end_diastole(HeartParameters(**numbers, **walls, **size))


def ring(pattern, transmurality=1.0, **kwargs):
    return ScarParameters(pattern, width_deg=360.0, from_level=0.0, to_level=1.0, transmurality=transmurality, **kwargs)


def test_scar_of_the_whole_wall_is_the_whole_wall(shape):
    truth = scar_truth(shape, ring("subendocardial"))
    cap = (shape.epi_mm[120:] ** 2).sum() * shape.dz_mm[-1] * np.pi / 120 / 1000  # below the end of the cavity
    assert truth["lvm_lge_g"] == pytest.approx(1.05 * 120.0, rel=0.002)
    assert truth["scar_mass_g"] == pytest.approx(1.05 * (120.0 - cap), rel=0.002)
    for n in range(1, 17):
        assert truth[f"scar_aha_{n:02d}_pct"] == pytest.approx(100.0)
        assert truth[f"transmurality_aha_{n:02d}_pct"] == pytest.approx(100.0)


def test_inner_and_outer_layer_fill_the_wall(shape):
    whole = scar_truth(shape, ring("subendocardial"))["scar_mass_g"]
    inner = scar_truth(shape, ring("subendocardial", 0.3))["scar_mass_g"]
    outer = scar_truth(shape, ring("subepicardial", 0.7))["scar_mass_g"]
    assert inner + outer == pytest.approx(whole, rel=1e-9)
    assert inner < 0.3 * whole  # the inner layer of a ring is the shorter one
    middle = scar_truth(shape, ring("mid_wall", 0.4))["scar_mass_g"]
    bands = [scar_truth(shape, ring(p, 0.3))["scar_mass_g"] for p in ("subendocardial", "subepicardial")]
    assert middle + sum(bands) == pytest.approx(whole, rel=1e-9)


def test_mass_grows_with_the_angle(shape):
    parts = [scar_truth(shape, ScarParameters("subendocardial", width_deg=w))["scar_mass_g"] for w in (40.0, 80.0)]
    assert parts[1] == pytest.approx(2 * parts[0], rel=0.03)  # the wall varies a little around the axis


def test_transmurality_and_share_of_a_segment_that_is_scarred_all_over(shape):
    scar = ScarParameters(
        "mid_wall", centre_deg=150.0, width_deg=70.0, from_level=0.30, to_level=0.70, transmurality=0.35
    )
    truth = scar_truth(shape, scar)
    assert truth["transmurality_aha_08_pct"] == pytest.approx(35.0)  # 120 to 180 degree, levels 1/3 to 2/3
    assert truth["scar_aha_08_pct"] == pytest.approx(35.0, abs=1.0)  # the middle layer of a ring has its mean length
    assert truth["transmurality_aha_11_pct"] == 0
    assert truth["scar_aha_11_pct"] == 0


def test_no_scar(shape):
    truth = scar_truth(shape, ScarParameters("none"))
    assert {v for k, v in truth.items() if k != "lvm_lge_g"} == {0.0}


def test_no_reflow_is_a_part_of_the_scar(shape):
    truth = scar_truth(shape, ScarParameters("subendocardial", no_reflow=0.5))
    assert (
        0 < truth["no_reflow_mass_g"] < 0.25 * truth["scar_mass_g"]
    )  # half the angle, half the length, part of the depth


def test_segments_are_those_of_the_heart_association():
    level = np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.9, 0.9, 1.1, -0.1])
    theta = np.array([90.0, 150.0, 210.0, 270.0, 0.0, 180.0, 0.0, 0.0, 0.0])
    # anterior, anteroseptal, inferoseptal, mid inferior, mid inferolateral/anterolateral, apical septal, apical lateral
    assert aha_segment(level, theta).tolist() == [1, 2, 3, 10, 12, 14, 16, 0, 0]


def at(theta, depth, level=0.5):
    return WallPoints(level, np.array([theta]), np.array([depth]), np.array([30.0]), np.array([10.0]))


def test_signal_is_half_way_at_the_edge_and_falls_over_the_border():
    enhanced = wall_parts(ScarParameters("subendocardial", centre_deg=90.0, transmurality=0.5), 85.0, border_mm=2.0)[
        "scar"
    ]
    assert enhanced(at(90.0, 0.5)) == pytest.approx(0.5)
    assert enhanced(at(90.0, 0.4)) == pytest.approx(1.0)
    assert enhanced(at(90.0, 0.6)) == pytest.approx(0.0)
    assert enhanced(at(90.0, 0.0)) == pytest.approx(1.0)  # the endocardium is no edge
    assert enhanced(at(130.0, 0.1)) == pytest.approx(0.5)
    assert enhanced(at(90.0, 0.1, level=0.25)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"width_deg": 0.0}, "Scar width is 0.0 degree"),
        ({"from_level": 0.8, "to_level": 0.3}, "Scar levels are 0.8 to 0.3"),
        ({"transmurality": 1.2}, "Transmurality is 1.2"),
        ({"no_reflow": 1.0}, "No-reflow share is 1.0"),
    ],
)
def test_refuses_impossible_scars(kwargs, text):
    with pytest.raises(UsageError, match=text):
        ScarParameters("subendocardial", **kwargs)
