import math
import re

import numpy as np
import pytest

from radiocard.cardiac.function import body_surface_area_m2, function_values, ratio, sphericity, volume_ml
from radiocard.errors import MaskError
from radiocard.image import LABELS_ACDC, LabelMap


def ellipsoid(a: float, b: float, c: float, spacing: tuple[float, float, float]) -> LabelMap:
    n = [int(2 * r / s) + 4 for r, s in zip((a, b, c), spacing, strict=True)]
    x, y, z = ((np.arange(m) - (m - 1) / 2) * s for m, s in zip(n, spacing, strict=True))
    inside = (x[:, None, None] / a) ** 2 + (y[None, :, None] / b) ** 2 + (z[None, None, :] / c) ** 2 <= 1
    labels = np.where(inside, LABELS_ACDC["lv_cavity"], 0)
    labels[0, 0, 0], labels[1, 0, 0] = LABELS_ACDC["rv_cavity"], LABELS_ACDC["lv_myocardium"]
    return LabelMap(labels, np.diag([*spacing, 1.0]), labels=LABELS_ACDC)


@pytest.mark.parametrize("axes", [(25, 25, 25), (22, 27, 45), (40, 18, 30)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.3, 1.0)])
def test_sphere_and_ellipsoid_volumes(axes, spacing):
    exact = 4 / 3 * math.pi * math.prod(axes) / 1000
    assert volume_ml(ellipsoid(*axes, spacing), "lv_cavity") == pytest.approx(exact, rel=0.005)


def test_slice_gaps_belong_to_the_volume():
    labels = np.full((10, 10, 5), LABELS_ACDC["lv_cavity"])
    thick, gapped = (LabelMap(labels, np.diag([1, 1, dz, 1.0]), labels=LABELS_ACDC) for dz in (8.0, 10.0))
    assert volume_ml(thick, "lv_cavity") == pytest.approx(4.0)
    assert volume_ml(gapped, "lv_cavity") == pytest.approx(5.0)


def test_an_oblique_affine_does_not_change_the_volume():
    mask = ellipsoid(20, 20, 20, (1.0, 1.0, 2.0))
    t = np.deg2rad(30)
    turn = np.array([[np.cos(t), -np.sin(t), 0, 5], [np.sin(t), np.cos(t), 0, -3], [0, 0, 1, 9], [0, 0, 0, 1]])
    turned = LabelMap(mask.array, turn @ mask.affine, labels=LABELS_ACDC)
    assert volume_ml(turned, "lv_cavity") == pytest.approx(volume_ml(mask, "lv_cavity"), rel=1e-12)


def test_ejection_fraction_mass_and_indices(settings):
    def block(lv: int, rv: int) -> LabelMap:
        labels = np.zeros((10, 10, 30), dtype=int)
        labels[..., :lv] = LABELS_ACDC["lv_cavity"]
        labels[..., lv : lv + rv] = LABELS_ACDC["rv_cavity"]
        labels[..., lv + rv :] = LABELS_ACDC["lv_myocardium"]
        return LabelMap(labels, np.diag([2.0, 2.5, 20.0, 1.0]), labels=LABELS_ACDC)  # 10 mL per slice

    values = function_values(block(15, 12), block(6, 6), {"height_cm": 180, "weight_kg": 80}, settings)
    expected = {
        "lvedv_ml": 150, "lvesv_ml": 60, "lvsv_ml": 90, "lvef_pct": 60, "rvedv_ml": 120, "rvesv_ml": 60,
        "rvsv_ml": 60, "rvef_pct": 50, "lvm_g": 31.5, "bsa_m2": 2, "lvedvi_ml_m2": 75, "lvesvi_ml_m2": 30,
        "lvsvi_ml_m2": 45, "rvedvi_ml_m2": 60, "rvesvi_ml_m2": 30, "rvsvi_ml_m2": 30, "lvmi_g_m2": 15.75,
        "lv_rv_edv_ratio": 1.25, "lv_rv_esv_ratio": 1, "mass_volume_ratio_g_ml": 0.21,
        "lv_wall_es_ml": 180, "lv_wall_cavity_es_ratio": 3,
    }  # fmt: skip
    assert values == pytest.approx(expected)


def test_body_surface_area_formulas():
    # Mosteller's and Du Bois' published formulas, worked by hand
    assert body_surface_area_m2(160, 90, formula="mosteller") == pytest.approx(2.0)
    assert body_surface_area_m2(170, 70, formula="dubois") == pytest.approx(1.8097, abs=1e-3)


@pytest.mark.parametrize(("height", "weight"), [(None, 80), (180, None), (0, 80), (float("nan"), 80), (180, "n/a")])
def test_unknown_body_size_leaves_indices_undefined(height, weight):
    assert body_surface_area_m2(height, weight, formula="mosteller") is None


def test_a_ratio_by_nothing_is_undefined():
    assert ratio(1.0, 0.0) is None
    assert ratio(None, 1.0) is None
    assert ratio(3.0, 2.0) == 1.5


def test_sphericity_of_a_sphere_is_one_and_of_an_ellipsoid_its_axis_ratio_squared():
    assert sphericity(ellipsoid(30, 30, 30, (1.0, 1.0, 1.0))) == pytest.approx(1.0, rel=0.02)
    assert sphericity(ellipsoid(20, 20, 40, (1.0, 1.0, 1.0))) == pytest.approx(0.25, rel=0.02)


def test_an_empty_region_is_refused():
    mask = LabelMap(np.zeros((3, 3, 3), int), np.eye(4), labels=LABELS_ACDC)
    with pytest.raises(MaskError, match=re.escape("Label 3 (lv_cavity) is not present")):
        volume_ml(mask, "lv_cavity")
