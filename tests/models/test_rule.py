import numpy as np
import pandas as pd
import pytest

from radiocard.cardiac.dictionary import CLINICAL
from radiocard.errors import UsageError
from radiocard.models.rule import make_rule, read_rule, why_not_applicable

CLASSES = ("DCM", "HCM", "MINF", "NOR", "RV")
COLUMNS = list(CLINICAL)


def heart(**changes):
    """A healthy heart by the published cut-offs, with changes."""
    row = {f"thickening_aha_{n:02d}_pct": 60.0 for n in range(1, 17)}
    row |= {f"wt_max_aha_{n:02d}_ed_mm": 9.0 for n in range(1, 17)}
    row |= {
        "lvef_pct": 60.0, "lvedvi_ml_m2": 70.0, "rvedvi_ml_m2": 75.0, "rvef_pct": 55.0, "lvmi_g_m2": 60.0,
        "mwt_max_mm": 9.0, "thickening_low_n": 0.0,
    }  # fmt: skip
    return row | changes


NORMAL = heart()
DILATED = heart(
    lvef_pct=20.0,
    lvedvi_ml_m2=150.0,
    thickening_low_n=9.0,
    **{f"thickening_aha_{n:02d}_pct": 8.0 for n in range(1, 17)},
)
HYPERTROPHIC = heart(
    lvef_pct=70.0, lvmi_g_m2=120.0, mwt_max_mm=18.0, wt_max_aha_02_ed_mm=19.0, wt_max_aha_03_ed_mm=18.0
)
INFARCT = heart(lvef_pct=32.0, thickening_low_n=4.0, **{f"thickening_aha_{n:02d}_pct": 2.0 for n in (7, 8, 13, 14)})
RIGHT = heart(rvedvi_ml_m2=140.0, rvef_pct=30.0)


@pytest.fixture(scope="module")
def rule():
    return make_rule(read_rule("rule_cine"), CLASSES, COLUMNS)


@pytest.mark.parametrize(
    ("row", "label"),
    [(NORMAL, "NOR"), (DILATED, "DCM"), (HYPERTROPHIC, "HCM"), (INFARCT, "MINF"), (RIGHT, "RV")],
)
@pytest.mark.parametrize("sex", ["F", "M", None])
def test_textbook_hearts(rule, row, label, sex):
    X = pd.DataFrame([row])
    (decision,) = rule.decide(X, [sex])
    assert decision.answer == label
    assert not decision.abstained
    assert decision.unmet[label] == 0
    assert rule.predict(X, [sex]).tolist() == [label]
    assert rule.predict_proba(X, [sex])[0, CLASSES.index(label)] == 1


def test_infarct_with_a_large_ventricle_is_not_dilated(rule):
    assert rule.predict(pd.DataFrame([INFARCT | {"lvedvi_ml_m2": 130.0}])).tolist() == ["MINF"]


def test_both_ventricles_dilated_is_dcm(rule):
    assert rule.decide(pd.DataFrame([DILATED | {"rvedvi_ml_m2": 140.0}]))[0].answer == "DCM"


def test_cut_offs_depend_on_sex(rule):
    X = pd.DataFrame([heart(rvedvi_ml_m2=105.0)] * 3)
    women, men, unknown = rule.decide(X, ["F", "M", None])
    assert women.answer == "RV"
    assert men.answer is None  # neither below 100 (normal) nor above 110 (abnormal): borderline
    assert unknown.answer is None
    assert unknown.by_sex["F"] == ("RV", "RV")
    assert unknown.by_sex["M"] == men.by_sex["M"]
    assert set(unknown.by_sex) == {"F", "M"}


def test_disagreeing_cut_offs_share_the_vote(rule):
    X = pd.DataFrame([heart(lvedvi_ml_m2=85.0, lvef_pct=52.0)])
    (decision,) = rule.decide(X)
    assert decision.by_sex["M"][0] == "NOR"
    assert decision.by_sex["F"][0] is None
    assert decision.abstained
    assert rule.predict_proba(X).sum() == pytest.approx(1)


def test_borderline_hearts_abstain_but_have_a_nearest_class(rule):
    (decision,) = rule.decide(pd.DataFrame([heart(lvef_pct=48.0)]), ["M"])
    assert decision.answer is None
    assert decision.nearest == "NOR"
    assert decision.unmet["NOR"] == 1 / 5


def test_undefined_measurements_are_not_met(rule):
    (decision,) = rule.decide(pd.DataFrame([heart(rvef_pct=np.nan)]), ["M"])
    assert decision.answer is None
    check = next(c for c in rule.explain(heart(rvef_pct=np.nan), "M") if c.column == "rvef_pct")
    assert check.value is None
    assert check.met is None


def test_explain_states_value_cut_off_and_outcome(rule):
    checks = rule.explain(NORMAL)
    volume = [(c.sex, c.cut_off, c.met) for c in checks if c.label == "NOR" and c.column == "lvedvi_ml_m2"]
    assert volume == [("F", 80.0, True), ("M", 90.0, True)]
    men = rule.explain(pd.Series(DILATED), "M")
    ef = next(c for c in men if c.label == "DCM" and c.column == "lvef_pct")
    assert (ef.op, ef.value, ef.cut_off, ef.met, ef.at_least) == ("lt", 20.0, 40.0, True, 1)
    assert {c.label for c in men} == set(CLASSES)


def test_aliases_keep_the_labels_of_the_cohort():
    rule = make_rule(read_rule("rule_cine"), ["Normal", "previous_myocardial_infarction"], COLUMNS)
    assert rule.predict(pd.DataFrame([NORMAL, INFARCT])).tolist() == ["Normal", "previous_myocardial_infarction"]


def test_classes_that_the_cohort_lacks_are_never_answered():
    rule = make_rule(read_rule("rule_cine"), ["DCM", "HCM", "NOR"], COLUMNS)
    assert set(rule.predict(pd.DataFrame([RIGHT, INFARCT]))) <= {"DCM", "HCM", "NOR"}


@pytest.mark.parametrize(
    ("classes", "columns", "reason"),
    [
        (["NOR", "amyloidosis"], COLUMNS, "does not define 'amyloidosis'"),
        (["NOR", "normal", "DCM"], COLUMNS, "one definition for several of the classes: NOR, normal"),
        (["NOR", "DCM"], ["lvef_pct"], "lacks columns that the rule compares: lvedvi_ml_m2"),
    ],
)
def test_where_it_does_not_apply_it_says_so(classes, columns, reason):
    assert make_rule(read_rule("rule_cine"), classes, columns) is None
    assert reason in why_not_applicable(read_rule("rule_cine"), classes, columns)


def test_every_column_of_the_rule_is_measured(rule):
    assert [c for c in rule.columns if c not in CLINICAL] == []


def test_sex_must_fit_the_table(rule):
    with pytest.raises(UsageError, match="1 patients and 2 entries of sex"):
        rule.decide(pd.DataFrame([NORMAL]), ["F", "M"])


def test_the_published_numbers():
    """Bernard et al. 2018: the cut-offs by which the groups were defined."""
    cut = {
        (c.label, x.column): x.value
        for c in read_rule("rule_cine").classes for g in c.criteria for x in g.of if "aha" not in x.column
    }  # fmt: skip
    assert cut["DCM", "lvedvi_ml_m2"] == 100
    assert cut["DCM", "lvef_pct"] == cut["MINF", "lvef_pct"] == 40
    assert cut["HCM", "lvmi_g_m2"] == 110
    assert cut["NOR", "lvef_pct"] == 50
    assert cut["NOR", "mwt_max_mm"] == 12
    assert dict(cut["NOR", "lvedvi_ml_m2"]) == {"M": 90, "F": 80}
    assert dict(cut["RV", "rvedvi_ml_m2"]) == {"M": 110, "F": 100}
    assert cut["RV", "rvef_pct"] == 40
