import pytest

from radiocard.checks.physiology import check_measures, stroke_volume_difference_pct

GOOD = {
    "lvedv_ml": 150.0, "lvesv_ml": 60.0, "lvef_pct": 60.0, "rvedv_ml": 160.0, "rvesv_ml": 70.0, "rvef_pct": 56.0,
    "lvm_g": 110.0, "mwt_max_mm": 10.0,
}  # fmt: skip


@pytest.fixture
def check(spec):
    return lambda **changes: check_measures({**GOOD, **changes}, spec.checks.physiology, "C1")


def test_a_healthy_heart_has_no_finding(check):
    assert check() == []


@pytest.mark.parametrize("column", list(GOOD))
def test_what_is_not_known_is_not_judged(check, spec, column):
    assert check(**{column: None}) == []
    assert check_measures({}, spec.checks.physiology, "C1") == []


@pytest.mark.parametrize(("side", "es"), [("lv", 150.0), ("lv", 170.0), ("rv", 160.0)])
def test_ventricle_that_does_not_shrink(check, side, es):
    issues = check(**{f"{side}esv_ml": es})
    assert [issue.code for issue in issues] == ["W_PHASE"]
    assert f"The {side.upper()} is not smaller at end-systole: {es:.1f} mL against" in issues[0].message
    assert (issues[0].case, issues[0].severity) == ("C1", "warn")


def test_difference_of_stroke_volumes_is_relative_to_their_mean():
    assert stroke_volume_difference_pct(100, 100) == 0
    assert stroke_volume_difference_pct(60, 100) == stroke_volume_difference_pct(100, 60) == 50
    assert stroke_volume_difference_pct(50, 150) == 100


def test_stroke_volumes_apart_warn_above_the_limit(check, spec):
    limit = spec.checks.physiology.stroke_volume_difference_pct
    right = 90 * (1 - limit / 200) / (1 + limit / 200)  # closed form: 90 mL on the left, exactly the limit apart
    assert check(rvesv_ml=160 - right - 0.01) == []
    (issue,) = check(rvesv_ml=160 - right + 0.01)
    assert issue.code == "W_STROKE_VOLUME"
    assert f"(limit {limit:g} %)" in issue.message


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("lvef_pct", 2.0, "LV ejection fraction is 2.0 %, expected 5 to 85 %"),
        ("lvef_pct", 91.0, "LV ejection fraction is 91.0 %"),
        ("rvef_pct", 1.9, "RV ejection fraction is 1.9 %, expected 10 to 85 %"),
        ("lvm_g", 3.0, "LV mass is 3.0 g"),
        ("mwt_max_mm", 1.0, "largest wall thickness at end-diastole is 1.0 mm, expected 3 to 40 mm"),
    ],
)
def test_values_outside_physiology_warn(check, column, value, text):
    (issue,) = check(**{column: value})
    assert (issue.code, issue.field) == ("W_PHYSIOLOGY", column)
    assert text in issue.message


def test_lost_spacing_shows_itself(check):
    """A 1.5 x 1.5 x 8 mm study read as 1 x 1 x 1 mm has volumes 18 times too small."""
    wrong = {name: value / 18 for name, value in GOOD.items() if name.endswith(("_ml", "_g"))}
    found = {issue.field for issue in check(**wrong)}
    assert {"lvedv_ml", "rvedv_ml", "lvm_g"} <= found
