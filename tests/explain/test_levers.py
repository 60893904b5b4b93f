import numpy as np
import pytest

from radiocard.explain.levers import consistency, make_levers, movable

HEART = {
    "lvedv_ml": 150.0,
    "lvesv_ml": 60.0,
    "lvsv_ml": 90.0,
    "lvef_pct": 60.0,
    "lvedvi_ml_m2": 75.0,
    "lvesvi_ml_m2": 30.0,
    "lvsvi_ml_m2": 45.0,
    "rvedv_ml": 160.0,
    "rvesv_ml": 70.0,
    "rvsv_ml": 90.0,
    "rvef_pct": 56.25,
    "lvm_g": 105.0,
    "lvmi_g_m2": 52.5,
    "lv_wall_es_ml": 100.0,
    "mass_volume_ratio_g_ml": 0.7,
    "lv_wall_cavity_es_ratio": 100 / 60,
    "lv_rv_edv_ratio": 150 / 160,
    "lv_rv_esv_ratio": 60 / 70,
    "mwt_mean_ed_mm": 8.0,
    "mwt_max_mm": 11.0,
    "mwt_mean_es_mm": 12.0,
    "mwt_max_map_mm": 10.0,
    "wt_aha_07_ed_mm": 8.0,
    "wt_aha_07_es_mm": 12.0,
    "thickening_aha_07_pct": 50.0,
    "age_y": 50.0,
    "sphericity_ed": 0.4,
    "thickening_low_n": 2.0,
    "lv_myocardium__cine_ed__original__x": 3.0,
}


def levers_of(values):
    columns = tuple(sorted(values))
    row = np.array([values[c] for c in columns])
    return make_levers(columns, row, np.full(len(row), 10.0))


def after(values, **steps):
    levers = levers_of(values)
    vector = np.array([[steps.get(name, 0.0) for name in levers.names]])
    return dict(zip(levers.columns, levers.apply(vector)[0].tolist(), strict=True))


def test_no_step_changes_nothing():
    assert after(HEART) == pytest.approx(HEART)


@pytest.mark.parametrize(
    "steps", [{"lv_ed": 3.0}, {"lv_es": -1.5, "rv_ed": 2.0}, {"mass": 4.0, "rv_es": 1.0, "lv_ed": -2}]
)
def test_everything_that_follows_is_computed_anew(steps):
    v = after(HEART, **steps)
    for side in ("lv", "rv"):
        assert v[f"{side}sv_ml"] == pytest.approx(v[f"{side}edv_ml"] - v[f"{side}esv_ml"])
        assert v[f"{side}ef_pct"] == pytest.approx(100 * v[f"{side}sv_ml"] / v[f"{side}edv_ml"])
    for quantity, unit in (("lvedv", "ml"), ("lvesv", "ml"), ("lvsv", "ml"), ("lvm", "g")):
        assert v[f"{quantity}i_{unit}_m2"] == pytest.approx(v[f"{quantity}_{unit}"] / 2)  # a body of 2 m2 stays
    assert v["mass_volume_ratio_g_ml"] == pytest.approx(v["lvm_g"] / v["lvedv_ml"])
    assert v["lv_wall_cavity_es_ratio"] == pytest.approx(v["lv_wall_es_ml"] / v["lvesv_ml"])
    assert v["lv_rv_edv_ratio"] == pytest.approx(v["lvedv_ml"] / v["rvedv_ml"])
    assert v["lv_rv_esv_ratio"] == pytest.approx(v["lvesv_ml"] / v["rvesv_ml"])
    assert v["lvm_g"] / v["lv_wall_es_ml"] == pytest.approx(1.05)


def test_a_step_is_one_standard_deviation_of_the_leading_column():
    assert after(HEART, lv_ed=1.0)["lvedv_ml"] == pytest.approx(160)
    assert after(HEART, mass=-2.0)["lvm_g"] == pytest.approx(85)


def test_a_wall_thickens_as_a_whole():
    v = after(HEART, wall_ed=0.2, wall_es=0.3)
    assert v["mwt_max_mm"] / v["mwt_mean_ed_mm"] == pytest.approx(11 / 8)
    assert v["mwt_max_map_mm"] / v["mwt_mean_ed_mm"] == pytest.approx(10 / 8)
    expected = 100 * (v["wt_aha_07_es_mm"] / v["wt_aha_07_ed_mm"] - 1)
    assert v["thickening_aha_07_pct"] == pytest.approx(expected)


def test_age_shape_counts_and_texture_never_move():
    v = after(HEART, **dict.fromkeys(levers_of(HEART).names, 0.1))
    kept = ("age_y", "sphericity_ed", "thickening_low_n", "lv_myocardium__cine_ed__original__x")
    assert all(v[c] == HEART[c] for c in kept)
    free = movable(tuple(HEART), levers_of(HEART).names)
    assert free == set(HEART) - set(kept)


def test_ejection_fraction_alone_is_a_lever():
    v = after({"lvef_pct": 60.0}, lv_es=-2.0)
    assert v == pytest.approx({"lvef_pct": 40.0})


def test_map_values_move_together_and_their_spread_stays():
    values = {"t1_native_ms": 1000.0, "t1_native_septal_ms": 1010.0, "t1_native_aha_03_ms": 990.0}
    values |= {"t1_native_sd_ms": 50.0, "t1_native_blood_ms": 1600.0, "ecv_pct": 27.0}
    v = after(values, t1_native=4.0)
    assert v["t1_native_ms"] == 1040
    assert (v["t1_native_septal_ms"], v["t1_native_aha_03_ms"]) == (1050, 1030)
    assert (v["t1_native_sd_ms"], v["t1_native_blood_ms"], v["ecv_pct"]) == (50, 1600, 27)


def test_unknown_values_are_no_levers():
    assert "mass" not in levers_of(HEART | {"lvm_g": float("nan"), "lvmi_g_m2": float("nan")}).names
    assert levers_of({"age_y": 50.0}).names == ()


def test_ties_are_those_of_one_heart():
    values = {c: np.array([v]) for c, v in HEART.items()}
    found = {k: float(v[0]) for k, v in consistency(values).items()}
    assert found == pytest.approx(
        {
            "lv emptying": 0.4,
            "rv emptying": 70 / 160,
            "wall thickness, cavity and mass": 8 * 150 ** (2 / 3) / 105,
            "systolic thickening": 1.5,
            "left and right stroke volume": 1.0,
            "wall volume of both phases": 100 / 105,
        }
    )
    grown = {c: v * {"mwt": 2, "lvm": 8, "lve": 8}.get(c[:3], 1) for c, v in values.items()}
    # All lengths doubled: volumes and mass times 8, thickness times 2; the tie must not notice.
    tie = "wall thickness, cavity and mass"
    assert consistency(grown)[tie][0] == pytest.approx(found[tie])
