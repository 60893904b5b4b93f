from dataclasses import replace

import numpy as np
import pytest

from radiocard.cardiac.blood import BloodT1
from radiocard.cardiac.ecv import (
    Haematocrit,
    HaematocritCalibration,
    ecv_map,
    ecv_pct,
    synthetic_haematocrit,
)
from radiocard.errors import GeometryError, UsageError

BLOOD = BloodT1(native_ms=1600.0, post_ms=400.0)
HCT = Haematocrit(0.42)


def test_closed_form():
    # contrast agent raises the rate of a tissue by relaxivity x concentration x share of its volume
    dose, ecv = 0.0021, np.linspace(0.15, 0.7, 23)
    native = np.linspace(900.0, 1400.0, 23)
    post = 1 / (1 / native + dose * ecv)
    for haematocrit in (0.25, 0.42, 0.6):
        blood = BloodT1(1650.0, 1 / (1 / 1650.0 + dose * (1 - haematocrit)))
        found = ecv_map(native[None], post[None], blood=blood, haematocrit=Haematocrit(haematocrit))
        np.testing.assert_allclose(found.ecv_pct[0], 100 * ecv, rtol=1e-9)
        one = ecv_pct(native[3], post[3], blood=blood, haematocrit=Haematocrit(haematocrit))
        assert one == pytest.approx(100 * ecv[3], rel=1e-9)
        assert found.quality.all()
        assert not found.synthetic


def test_a_voxel_without_t1_has_no_ecv():
    native = np.array([[1000.0, np.nan, 0.0, 1000.0, 1000.0, 1000.0]])
    post = np.array([[500.0, 500.0, 500.0, np.nan, -1.0, 1100.0]])
    found = ecv_map(native, post, blood=BLOOD, haematocrit=HCT)
    assert np.isnan(found.ecv_pct[0]).tolist() == [False, True, True, True, True, False]
    assert found.ecv_pct[0, 5] < 0  # kept, not clipped
    assert found.quality[0].tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("fraction", "match"),
    [(42.0, "is 42, expected a fraction.*looks like a percentage"), (0.0, "laboratory"), (0.9, "0.1 to 0.75")],
)
def test_haematocrit_is_a_fraction(fraction, match):
    with pytest.raises(UsageError, match=match):
        Haematocrit(fraction)
    with pytest.raises(UsageError, match="Haematocrit is nan"):
        Haematocrit(np.nan)


@pytest.mark.parametrize(
    ("native", "post", "match"),
    [
        (400.0, 1600.0, "1600 ms post-contrast and 400 ms native, expected a drop.*exchanged"),
        (1600.0, 1600.0, "expected a drop"),
        (1.6, 0.4, "native blood T1 is 1.6 ms.*looks like seconds"),
        (1600.0, 0.4, "post-contrast blood T1 is 0.4 ms.*looks like seconds"),
        (np.nan, 400.0, "is nan ms"),
        (1600.0, -5.0, "is -5 ms.*Check the map"),
    ],
)
def test_blood_values_that_are_refused(native, post, match):
    with pytest.raises(UsageError, match=match):
        BloodT1(native, post)


def test_myocardial_values_that_are_refused():
    with pytest.raises(UsageError, match="native myocardial T1 is 1 ms.*seconds"):
        ecv_pct(1.0, 0.5, blood=BLOOD, haematocrit=HCT)
    with pytest.raises(UsageError, match="median of the post-contrast T1 map is 0.5 ms.*seconds"):
        ecv_map(np.full((2, 2), 1000.0), np.full((2, 2), 0.5), blood=BLOOD, haematocrit=HCT)
    with pytest.raises(UsageError, match="median of the native T1 map is 0 ms.*Check the map"):
        ecv_map(np.full((2, 2), np.nan), np.full((2, 2), 500.0), blood=BLOOD, haematocrit=HCT)
    with pytest.raises(GeometryError, match=r"\(2, 3\), native map \(2, 2\).*Register"):
        ecv_map(np.full((2, 2), 1000.0), np.full((2, 3), 500.0), blood=BLOOD, haematocrit=HCT)


LOCAL = HaematocritCalibration(866.0, -0.1232, "ShMOLLI", 1.5, "test site, 40 blood samples")


def test_synthetic_haematocrit_is_marked():
    found = synthetic_haematocrit(1600.0, calibration=LOCAL, sequence="ShMOLLI", field_strength_t=1.5)
    assert found.fraction == pytest.approx(866.0 / 1600.0 - 0.1232, rel=1e-12)
    assert found.synthetic
    assert found.calibration is LOCAL
    assert found.calibration.source == "test site, 40 blood samples"
    assert ecv_map(np.full((1, 1), 1000.0), np.full((1, 1), 500.0), blood=BLOOD, haematocrit=found).synthetic
    assert not HCT.synthetic


@pytest.mark.parametrize(
    ("t1", "sequence", "field", "match"),
    [
        (1600.0, "MOLLI 5(3)3", 1.5, r"Map is MOLLI 5\(3\)3 at 1.5 T, the calibration .* ShMOLLI at 1.5 T"),
        (1600.0, "ShMOLLI", 3.0, "ShMOLLI at 3 T, the calibration"),
        (1.6, "ShMOLLI", 1.5, "native blood T1 is 1.6 ms.*seconds"),
        (700.0, "ShMOLLI", 1.5, "Haematocrit is 1.11"),
    ],
)
def test_a_calibration_holds_for_its_own_maps_only(t1, sequence, field, match):
    with pytest.raises(UsageError, match=match):
        synthetic_haematocrit(t1, calibration=LOCAL, sequence=sequence, field_strength_t=field)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"slope_ms": np.nan}, "nan ms / T1 . -0.1232 at 1.5 T, expected finite"),
        ({"slope_ms": -866.0}, "expected finite numbers, slope and field strength positive.*red cells"),
        ({"intercept": np.inf}, "expected finite"),
        ({"field_strength_t": 0.0}, "at 0 T, expected finite"),
        ({"source": " "}, "sequence 'ShMOLLI' and source ' ', expected both.*where and on how many"),
        ({"sequence": ""}, "sequence '' and source"),
    ],
)
def test_a_calibration_states_where_it_comes_from(changed, match):
    with pytest.raises(UsageError, match=match):
        replace(LOCAL, **changed)
