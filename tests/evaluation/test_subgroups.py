import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from radiocard.errors import UsageError
from radiocard.evaluation.metrics import Predictions, from_probabilities
from radiocard.evaluation.subgroups import SMALLEST, smallest_detectable, subgroup_labels, subgroup_table
from radiocard.specs import EvaluationPlan, parse_as

PLAN = parse_as(
    EvaluationPlan,
    {
        "schema": "radiocard/evaluation/1",
        "name": "small",
        "outer_folds": 2,
        "repeats": 1,
        "inner_folds": 2,
        "n_bootstrap": 200,
        "calibration_bins": 5,
        "random_state": 0,
    },
    "small",
)


def told(right, y=None, groups=None, repeats=1):
    """Two classes; ``right`` says whom the model gets right."""
    right = np.asarray(right)
    y = np.arange(right.size) % 2 if y is None else np.asarray(y)
    answer = np.where(right, y, 1 - y)
    p = np.where(answer[:, None] == np.arange(2), 0.8, 0.2)
    labels = np.array(["a", "b"])[y]
    return from_probabilities(np.stack([p] * repeats), labels, classes=("a", "b"), groups=groups)


def rows_of(table, covariate):
    return {r.group: r for r in table.rows if r.covariate == covariate}


def test_each_group_has_the_accuracy_and_interval_of_its_own_patients():
    sex = np.repeat(["F", "M"], 40)
    right = np.r_[np.arange(40) < 36, np.arange(40) < 20]
    rows = rows_of(subgroup_table(told(right), {"sex": sex}, plan=PLAN), "Sex")
    for group, k in (("F", 36), ("M", 20)):
        found = rows[group].metrics["accuracy"]
        assert (found.low, found.high) == pytest.approx(proportion_confint(k, 40, method="wilson"))
        assert found.value == k / 40
        assert rows[group].metrics["balanced_accuracy"].value == pytest.approx(k / 40)
        assert rows[group].sensitivity["a"].value == pytest.approx(k / 40)
    assert rows["F"].metrics["macro_auc"].value > rows["M"].metrics["macro_auc"].value


def test_the_interval_of_one_pair_is_newcombes():
    # Newcombe, Stat Med 17 (1998) 873, table II, example (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339.
    sex = np.r_[np.repeat("F", 70), np.repeat("M", 80)]
    right = np.r_[np.arange(70) < 56, np.arange(80) < 48]
    (found,) = subgroup_table(told(right), {"sex": sex}, plan=PLAN).differences
    assert (found.difference.low, found.difference.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert (found.better, found.worse, found.shown) == ("F", "M", True)
    assert "more than chance" in found.sentence


def test_more_pairs_widen_the_interval():
    sex = np.r_[np.repeat("F", 70), np.repeat("M", 80)]
    right = np.r_[np.arange(70) < 56, np.arange(80) < 48]
    site = np.array(["x", "y", "z"])[np.arange(150) % 3]
    found = subgroup_table(told(right), {"sex": sex, "site": site}, plan=PLAN).differences[0]
    assert found.difference.low < 0.05
    assert "Bonferroni for 4 pairs" in found.difference.method


def test_repeats_and_copies_do_not_add_patients():
    sex = np.repeat(["F", "M"], 40)
    right = np.r_[np.arange(40) < 36, np.arange(40) < 20]
    groups = np.r_[np.arange(40) // 2, 100 + np.arange(40)]
    rows = rows_of(subgroup_table(told(right, groups=groups, repeats=3), {"sex": sex}, plan=PLAN), "Sex")
    assert (rows["F"].n, rows["M"].n) == (20, 40)
    assert rows["F"].metrics["accuracy"].n == 20


def test_a_small_group_gets_no_figure_and_is_named():
    site = np.r_[np.repeat("big", 30), np.repeat("tiny", SMALLEST - 1), np.repeat("other", SMALLEST)]
    table = subgroup_table(told(np.ones(site.size, bool)), {"site": site}, plan=PLAN)
    rows = rows_of(table, "Site")
    assert rows["tiny"].metrics == {}
    assert rows["other"].metrics
    assert any(f"Site tiny ({SMALLEST - 1})" in note for note in table.notes)


def test_nothing_to_compare_is_said():
    table = subgroup_table(told(np.ones(12, bool)), {"site": ["x"] * 12}, plan=PLAN)
    assert table.differences == ()
    assert any("nothing can be compared" in note for note in table.notes)


def test_no_difference_comes_with_what_could_have_been_seen():
    sex = np.repeat(["F", "M"], 20)
    (found,) = subgroup_table(told(np.arange(40) % 10 > 0), {"sex": sex}, plan=PLAN).differences
    assert not found.shown
    assert f"from {100 * found.detectable:.0f} % on" in found.sentence
    assert "equality is not shown" in found.sentence


def test_detectable_difference_is_cohens_closed_form_and_has_that_power():
    n, alpha = 60, 0.05
    h = (norm.isf(alpha / 2) + norm.ppf(0.8)) * math.sqrt(2 / n)
    expected = 0.9 - math.sin(math.asin(math.sqrt(0.9)) - h / 2) ** 2
    found = smallest_detectable(0.9, n, n, alpha=alpha)
    assert found == pytest.approx(expected, abs=1e-4)
    rng = np.random.default_rng(0)
    a, b = rng.binomial(n, 0.9, 20_000) / n, rng.binomial(n, 0.9 - found, 20_000) / n
    z = 2 * (np.arcsin(np.sqrt(a)) - np.arcsin(np.sqrt(b))) * math.sqrt(n / 2)
    assert np.mean(np.abs(z) > norm.isf(alpha / 2)) == pytest.approx(0.8, abs=0.03)
    assert smallest_detectable(0.5, 2, 2, alpha=alpha) is None


def test_groups_without_probabilities_have_no_auc():
    p = told(np.ones(40, bool))
    bare = Predictions(p.classes, p.y, p.groups, p.predicted, None)
    rows = rows_of(subgroup_table(bare, {"sex": np.repeat(["F", "M"], 20)}, plan=PLAN), "Sex")
    assert "macro_auc" not in rows["F"].metrics


def test_labels_are_bands_fixed_beforehand():
    table = pd.DataFrame(
        {
            "sex": ["F", "M", None],
            "age_y": [44.9, 45.0, 65.0],
            "height_cm": [160.0, 180.0, np.nan],
            "weight_kg": [50.0, 80.0, 70.0],
            "site": ["x", "x", "x"],
            "field_strength_t": [1.5, 3.0, np.nan],
        }
    )
    found = subgroup_labels(table)
    assert list(found) == ["sex", "age", "bsa", "field_strength_t"]
    assert found["age"].tolist() == ["below 45 y", "45 to 65 y", "65 y and above"]
    assert found["bsa"].tolist() == ["below 1.7 m²", "2 m² and above", "unknown"]  # 180 cm, 80 kg: 2.0 m2
    assert found["sex"].tolist() == ["F", "M", "unknown"]


def test_every_patient_needs_a_label():
    with pytest.raises(UsageError, match="3 labels of 'sex' and 12 patients"):
        subgroup_table(told(np.ones(12, bool)), {"sex": ["F", "M", "F"]}, plan=PLAN)


def test_the_table_is_plain_data():
    table = subgroup_table(told(np.ones(40, bool)), {"sex": np.repeat(["F", "M"], 20)}, plan=PLAN)
    assert json.loads(json.dumps(table.to_dict()))["rows"][0]["n"] == 20
    assert len(table.sentences) == 2
