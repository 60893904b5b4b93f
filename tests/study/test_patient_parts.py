import pytest

from radiocard.errors import Issue
from radiocard.models.rule import read_rule
from radiocard.study.patient_parts import (
    CHECKS,
    CINE_CHECKS,
    LAST_CHECKS,
    check_rows,
    light,
    mask_check,
)
from radiocard.study.patient_rule import published_rule
from radiocard.study.sure import Likeness

HEART = {
    "lvef_pct": 60.0,
    "lvedvi_ml_m2": 85.0,
    "rvedvi_ml_m2": 90.0,
    "rvef_pct": 55.0,
    "lvmi_g_m2": 60.0,
    "mwt_max_mm": 9.0,
    "thickening_low_n": 0.0,
    **{f"wt_max_aha_{n:02d}_ed_mm": 9.0 for n in range(1, 17)},
    **{f"thickening_aha_{n:02d}_pct": 50.0 for n in range(1, 17)},
}
CLASSES = ("DCM", "HCM", "MINF", "NOR", "RV")


@pytest.mark.parametrize(
    ("codes", "override", "level"),
    [
        ((), None, "reliable"),
        (("W_ORIENTATION", "W_IDENTICAL_IMAGES"), None, "reliable"),
        (("W_PHYSIOLOGY",), None, "caution"),
        (("W_MODEL_INPUT",), None, "caution"),
        (("W_MASK_WARN",), None, "caution"),
        (("W_MASK_ASK",), None, "not reliable"),
        (("W_PHASE", "W_PHYSIOLOGY"), None, "not reliable"),
        ((), "forced", "not reliable"),
    ],
)
def test_the_light_follows_the_input_checks(codes, override, level):
    found = light([Issue(c, c) for c in codes], override=override, like=Likeness("usual", "unlike"))
    assert found.level == level
    assert "unlike" not in found.causes


@pytest.mark.parametrize(("how", "level"), [("unusual", "caution"), ("very unusual", "not reliable")])
def test_a_patient_unlike_the_training_is_not_called_reliable(how, level):
    found = light([], override=None, like=Likeness(how, "LVEF sticks out."))
    assert (found.level, found.causes) == (level, ["LVEF sticks out."])


def test_who_drew_the_masks_is_said_where_it_was_a_network():
    assert mask_check({"sex": "F"}) == {}
    checks = mask_check({"mask_network": "net-1a2b", "mask_verdict": "accept", "mask_confidence": 0.973})
    (row,) = check_rows([], checks)
    assert row.passed
    assert row.message == (
        "Masks drawn by the network net-1a2b and accepted by its quality estimate, least certain region 97 % sure"
    )
    assert not any(row.passed for row in check_rows([Issue("W_MASK_WARN", "doubt")], checks))


def test_every_check_is_listed_once_passed_or_failed():
    rows = check_rows([Issue("W_PHASE", "ESV >= EDV")], {**CHECKS, **CINE_CHECKS, **LAST_CHECKS})
    assert [r.code for r in rows if not r.passed] == ["W_PHASE"]
    assert "phases" not in {r.code for r in rows}
    assert sum(r.passed for r in rows) == 9


def test_both_cut_offs_are_named_where_the_sex_is_unknown():
    unknown = published_rule(read_rule("rule_cine"), HEART, CLASSES, sex=None, prediction="NOR")
    assert unknown.answer is None
    assert unknown.note == "Sex unknown, both cut-offs tried: for women no class, for men NOR."
    texts = [c.text for r in unknown.classes if r.label == "NOR" for g in r.groups for c in g.criteria]
    assert "LV end-diastolic volume index: below 80.0 mL/m² (women)" in texts
    assert all(len(g.criteria) == 1 for r in unknown.classes if r.label == "NOR" for g in r.groups)
    man = published_rule(read_rule("rule_cine"), HEART, CLASSES, sex="M", prediction="NOR")
    assert (man.answer, man.agrees, man.note) == ("NOR", True, None)


def test_segments_are_counted_in_one_line():
    rule = published_rule(read_rule("rule_cine"), HEART, CLASSES, sex="M", prediction="NOR")
    (line,) = [
        c for r in rule.classes if r.label == "HCM" for g in r.groups for c in g.criteria if c.unit == "segments"
    ]
    assert (line.value, line.holds) == (0, False)
    assert "above 15.0 mm in at least 2 of 16 segments" in line.text


def test_classes_that_no_definition_knows_get_no_rule():
    assert published_rule(read_rule("rule_cine"), HEART, ("sepsis", "normal"), sex="M", prediction="normal") is None
