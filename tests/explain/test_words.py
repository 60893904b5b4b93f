import dataclasses

import numpy as np
import pytest

from radiocard.cardiac.reference import ReferenceRange
from radiocard.errors import UsageError
from radiocard.explain.families import OTHER, group_families
from radiocard.explain.shap_values import Explanation
from radiocard.explain.words import (
    Context,
    answer_sentence,
    class_name,
    find_reasons,
    format_percent,
    format_value,
    scope_sentence,
)
from radiocard.features.registry import ColumnInfo

TEXTURE = "lv_myocardium__cine_ed__original__cm_joint_entr_2d_avg_fbn32"
INFO = {
    i.column: i
    for i in (
        ColumnInfo("lvef_pct", "LV ejection fraction", "Share ejected.", "%", None, "Function"),
        ColumnInfo("rvef_pct", "RV ejection fraction", "Share ejected.", "%", None, "Function"),
        ColumnInfo("lvedvi_ml_m2", "LV end-diastolic volume index", "Blood.", "mL/m2", None, "LV volumes"),
        ColumnInfo("mwt_max_mm", "Maximal wall thickness", "Thickest.", "mm", None, "Wall thickness"),
        ColumnInfo(TEXTURE, "Joint entropy of the LV wall", "High where grey is disordered.", "bit", "TU9B", "glcm"),
    )
}
COLUMNS = ("lvef_pct", "rvef_pct", "lvedvi_ml_m2", "mwt_max_mm", TEXTURE, "mystery")
VALUES = {
    "lvef_pct": 24.3, "rvef_pct": 55.0, "lvedvi_ml_m2": 143.2, "mwt_max_mm": 9.0, TEXTURE: 4.217, "mystery": None,
}  # fmt: skip
REFERENCE = {
    "lvef_pct": ReferenceRange("lvef_pct", 58.0, 5.0, 48.0, 68.0, -6.7),
    "rvef_pct": ReferenceRange("rvef_pct", 55.0, 5.0, 45.0, 65.0, 0.0),
}
TRAINING = {
    "lvef_pct": {"DCM": [20.0, 25.0, 30.0], "NOR": [55.0, 60.0, 65.0, 70.0]},
    "mwt_max_mm": {"DCM": [7.0, 7.5, 8.0, 9.5], "NOR": [8.0, 9.0]},
}
CONTEXT = Context(INFO.get, REFERENCE, "M", TRAINING)


def make_explanation(phi, classes=("DCM", "NOR")):
    values = np.zeros((1, len(classes), len(COLUMNS)))
    values[0, 0], values[0, 1] = phi, -np.asarray(phi)
    output = values.sum(axis=2)
    return Explanation(
        "rf", ("p1",), classes, COLUMNS, values, np.zeros(len(classes)), output, output, "log-odds", "test", "note"
    )


PHI = (1.5, 0.2, 0.9, -0.6, 0.4, -0.1)


def test_the_answer_in_one_sentence():
    sentence = answer_sentence([0.02, 0.81, 0.10, 0.05, 0.02], ["NOR", "DCM", "HCM", "MINF", "RV"])
    assert sentence == (
        "Pattern most like dilated cardiomyopathy: 81 % among the five classes this model knows, at the training class "
        "mix; hypertrophic cardiomyopathy (10 %) not excluded."
    )


def test_the_answer_without_rivals_with_several_and_without_majority():
    assert answer_sentence([0.97, 0.03], ["NOR", "X1"]).endswith(
        "the two classes this model knows, at the training class mix."
    )
    several = answer_sentence([0.40, 0.25, 0.35], ["X1", "HCM", "NOR"])
    assert several.startswith("No class reaches 50 %; pattern most like X1: 40 % among the three classes")
    assert several.endswith("; normal (35 %) and hypertrophic cardiomyopathy (25 %) not excluded.")
    assert "most like A:" in answer_sentence([0.5, 0.5], ["A", "B"])
    assert "among the 12 classes" in answer_sentence([1 / 12] * 12, list("ABCDEFGHIJKL"))


def test_refuse_probabilities_that_do_not_fit():
    with pytest.raises(UsageError, match="There are 2 probabilities for 3 classes"):
        answer_sentence([0.5, 0.5], ["A", "B", "C"])


def test_unknown_labels_stand_as_they_are():
    assert class_name("Takotsubo?") == "Takotsubo?"
    assert "normal and Takotsubo?" in scope_sentence(["NOR", "Takotsubo?"])
    found = find_reasons(make_explanation(PHI, ("AL-7", "NOR")), "AL-7", values=VALUES, context=CONTEXT)
    assert found.sentences[0].endswith("speaks for AL-7.")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (24.3, "%", "24 %"), (5.26, "%", "5.3 %"), (143.2, "mL/m2", "143 mL/m2"), (9.04, "mm", "9.0 mm"),
        (12.34, "mm", "12.3 mm"), (1.234, "", "1.23"), (3.0, "segments", "3 segments"),
        (float("nan"), "mm", "not defined"),
        (-4.2, "%", "-4.2 %"), (1.5e7, "", "1.50e+07"), (2e-5, "", "2.00e-05"), (0.0, "mm", "0.0 mm"),
    ],
)  # fmt: skip
def test_values_carry_their_unit(value, unit, text):
    assert format_value(value, unit) == text


def test_percent_never_claims_certainty():
    assert [format_percent(p) for p in (0, 0.004, 0.005, 0.5, 0.994, 0.996, 1.0)] == [
        "0 %", "< 1 %", "< 1 %", "50 %", "99 %", "> 99 %", "100 %",
    ]  # fmt: skip


def test_reasons_in_clinical_words():
    found = find_reasons(make_explanation(PHI), "DCM", values=VALUES, context=CONTEXT)
    assert [r.column for r in found.speaks_for] == ["lvef_pct", "lvedvi_ml_m2", TEXTURE]
    assert [r.column for r in found.against] == ["mwt_max_mm"]
    assert found.sentences == (
        "LV ejection fraction 24 % (low; reference 48 to 68 % for men; below all training patients without this "
        "diagnosis) speaks for dilated cardiomyopathy.",
        "LV end-diastolic volume index 143 mL/m2 speaks for dilated cardiomyopathy.",
        "Joint entropy of the LV wall 4.22 bit speaks for dilated cardiomyopathy. High where grey is disordered.",
        "Maximal wall thickness 9.0 mm (above 75 % of the training patients with this diagnosis) speaks against "
        "dilated cardiomyopathy.",
    )


def test_within_the_reference_and_no_reference_is_invented():
    phi = (0.0, 1.0, -1.0, 0.0, 0.0, 0.0)
    found = find_reasons(make_explanation(phi), "DCM", values=VALUES, context=CONTEXT)
    assert found.sentences[0] == (
        "RV ejection fraction 55 % (within reference 45 to 65 % for men) speaks for dilated cardiomyopathy."
    )
    assert "(" not in found.sentences[1]
    bare = find_reasons(make_explanation(PHI), "DCM", values=VALUES, context=Context(INFO.get))
    assert not any("reference" in s or "training" in s for s in bare.sentences)
    unknown_sex = dataclasses.replace(CONTEXT, sex=None)
    text = find_reasons(make_explanation(phi), "DCM", values=VALUES, context=unknown_sex).sentences[0]
    assert "men" not in text


def test_an_undefined_value_and_a_column_without_entry_are_said():
    found = find_reasons(make_explanation((0, 0, 0, 0, 0, 1.0)), "DCM", values=VALUES, context=CONTEXT)
    assert found.sentences == (
        "mystery not defined (the training median stands in for it) speaks for dilated cardiomyopathy.",
        "No single measurement speaks against dilated cardiomyopathy in this model.",
    )


def test_nothing_speaks_for_it():
    found = find_reasons(make_explanation(PHI), "NOR", values=VALUES, context=CONTEXT, n_against=2)
    assert len(found.against) == 2
    only_against = find_reasons(make_explanation((-1, 0, 0, 0, 0, 0)), "DCM", values=VALUES, context=CONTEXT)
    assert only_against.sentences[0] == "No single measurement speaks for dilated cardiomyopathy."


def test_trifles_are_not_reasons():
    found = find_reasons(make_explanation((1.0, 0.001, 0, -0.001, 0, 0)), "DCM", values=VALUES, context=CONTEXT)
    assert [r.column for r in (*found.speaks_for, *found.against)] == ["lvef_pct"]


def test_same_words_again():
    a, b = (find_reasons(make_explanation(PHI), "DCM", values=VALUES, context=CONTEXT) for _ in range(2))
    assert a == b


def test_families_add_up():
    explanation = make_explanation(PHI)
    shares = group_families(explanation, "DCM", describe=INFO.get)
    assert [(s.family, pytest.approx(s.contribution)) for s in shares] == [
        ("Function", 1.7), ("LV volumes", 0.9), ("Wall thickness", -0.6), ("Texture", 0.4), (OTHER, -0.1),
    ]  # fmt: skip
    assert sum(s.contribution for s in shares) == pytest.approx(explanation.output[0, 0])
    assert shares[0].columns == ("lvef_pct", "rvef_pct")
