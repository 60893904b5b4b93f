import pytest

from radiocard.cardiac.dictionary import CLINICAL
from radiocard.cardiac.reference import intervals, read_reference
from radiocard.errors import SpecError


@pytest.fixture
def ukbb():
    return read_reference("ukbb_2017")


def test_published_values(ukbb):
    # Petersen et al. 2017, abstract: LVEF 58 +- 5 % in men, 61 +- 5 % in women; LV mass index 53 +- 9 and 42 +- 7 g/m²
    published = {("lvef_pct", "M"): (58, 5), ("lvef_pct", "F"): (61, 5), ("lvmi_g_m2", "M"): (53, 9),
                 ("lvmi_g_m2", "F"): (42, 7)}  # fmt: skip
    held = {(i.column, i.sex): (i.mean, i.sd) for i in ukbb.intervals}
    assert published.items() <= held.items()
    assert ukbb.age_y == (45, 74)
    assert ukbb.papillary == "cavity"


def test_published_volumes_agree_with_each_other(ukbb):
    mean = {(i.column, i.sex): i.mean for i in ukbb.intervals}
    for sex in "MF":
        stroke = mean["lvedv_ml", sex] - mean["lvesv_ml", sex]
        assert stroke == pytest.approx(mean["lvsv_ml", sex], abs=1.5)
        assert 100 * stroke / mean["lvedv_ml", sex] == pytest.approx(mean["lvef_pct", sex], abs=1.0)


def test_every_reference_column_is_measured_for_both_sexes(ukbb):
    assert {i.column for i in ukbb.intervals} <= set(CLINICAL)
    by_sex = [{i.column for i in ukbb.intervals if i.sex == sex} for sex in "MF"]
    assert by_sex[0] == by_sex[1]


def test_interval_and_z_score(ukbb):
    found = intervals(ukbb, {"lvef_pct": 71.0, "lvmi_g_m2": None}, sex="F", age_y=45, papillary="cavity")
    assert set(found) == {"lvef_pct", "lvmi_g_m2"}
    assert found["lvef_pct"].z == pytest.approx(2.0)
    assert found["lvef_pct"].low == pytest.approx(51.2)
    assert found["lvef_pct"].high == pytest.approx(70.8)
    assert found["lvmi_g_m2"].z is None


@pytest.mark.parametrize(
    ("sex", "age", "papillary"),
    [(None, 60, "cavity"), ("M", None, "cavity"), ("M", 44, "cavity"), ("M", 75, "cavity"), ("M", 60, "myocardium")],
)
def test_silent_where_the_reference_does_not_hold(ukbb, sex, age, papillary):
    assert intervals(ukbb, {"lvef_pct": 60.0}, sex=sex, age_y=age, papillary=papillary) == {}


def test_an_unknown_reference_is_refused():
    with pytest.raises(SpecError, match="There is no shipped specification 'ukbb_2071'"):
        read_reference("ukbb_2071")
