"""What moved: closed forms, scipy, and mixes that are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, ks_2samp, norm

from radiocard.errors import CohortError
from radiocard.evaluation.shift import class_mix, diagnose_shift, feature_shift


def test_difference_and_distance_of_each_feature():
    rng = np.random.default_rng(0)
    a = pd.DataFrame({"still": rng.normal(size=300), "moved": rng.normal(size=300), "flat": np.ones(300)})
    b = pd.DataFrame({"moved": rng.normal(1, 2, 200), "still": rng.normal(size=200), "flat": np.ones(200)})
    b.loc[:9, "moved"] = np.nan
    found = {f.name: f for f in feature_shift(a, b)}
    x, y = a["moved"], b["moved"].dropna()
    assert found["moved"].smd == pytest.approx((y.mean() - x.mean()) / np.sqrt((x.var() + y.var()) / 2))
    assert found["moved"].p == pytest.approx(ks_2samp(x, y).pvalue)
    assert found["moved"].moved
    assert not found["still"].moved
    assert found["flat"].smd is None
    assert feature_shift(a, b)[0].name == "moved"


def test_p_values_are_adjusted_as_scipy_does():
    rng = np.random.default_rng(7)
    a = pd.DataFrame(rng.normal(size=(40, 12))).rename(columns=str)
    b = pd.DataFrame(rng.normal(0.4, 1, size=(40, 12))).rename(columns=str)
    found = feature_shift(a, b)
    assert [f.q for f in found] == pytest.approx(list(false_discovery_control([f.p for f in found])))


def test_false_discoveries_are_held_at_their_rate():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(20):
        a, b = (pd.DataFrame(rng.normal(size=(40, 15))).rename(columns=str) for _ in range(2))
        wrong += any(f.moved for f in feature_shift(a, b))
    assert wrong <= 4  # 1 of 20 is expected; more than 4 has p < 0.003


def two_normals(n, share, seed):
    """One feature, two classes 2 apart: the true posterior at equal shares."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < share
    x = rng.normal(size=n) + 2 * y
    p = norm.pdf(x, 2) / (norm.pdf(x, 2) + norm.pdf(x))
    return np.column_stack([1 - p, p]), y


@pytest.mark.parametrize("share", [0.15, 0.5, 0.8])
def test_the_class_mix_is_found_without_labels(share):
    p, y = two_normals(1500, share, 2)
    mix = class_mix(p, classes=("a", "b"), training=[0.5, 0.5], n_bootstrap=100, random_state=0)
    assert mix["b"].value == pytest.approx(share, abs=0.04)
    assert mix["b"].low <= y.mean() <= mix["b"].high
    assert mix["a"].value + mix["b"].value == pytest.approx(1)


def test_patients_of_one_group_count_once():
    p, _ = two_normals(100, 0.5, 3)
    once = class_mix(p, classes=("a", "b"), training=[0.5, 0.5], n_bootstrap=100, random_state=0)
    twice = class_mix(
        np.vstack([p, p]),
        classes=("a", "b"),
        training=[0.5, 0.5],
        groups=np.tile([f"{i:03d}" for i in range(100)], 2),
        n_bootstrap=100,
        random_state=0,
    )
    assert twice["b"].n == 100
    assert twice["b"].high - twice["b"].low == pytest.approx(once["b"].high - once["b"].low)


def test_words_name_what_moved():
    p, _ = two_normals(800, 0.8, 4)
    rng = np.random.default_rng(5)
    a, b = pd.DataFrame({"lvef_pct": rng.normal(60, 5, 200)}), pd.DataFrame({"lvef_pct": rng.normal(50, 5, 200)})
    report = diagnose_shift(
        a, b, probabilities=p, classes=("HCM", "DCM"), training=[0.5, 0.5], n_bootstrap=100, random_state=0
    )
    assert "1 of 1 features" in report.sentences[0]
    assert "lvef_pct 2.0 SD lower" in report.sentences[0] or "lvef_pct 1.9 SD lower" in report.sentences[0]
    assert "in training 50%" in report.sentences[1]
    assert "share of HCM, DCM differs" in report.sentences[2]
    assert set(report.to_dict()) == {"features", "training_mix", "target_mix", "sentences"}


def test_missing_columns_are_refused():
    with pytest.raises(CohortError, match="lacks 1 columns: a"):
        feature_shift(pd.DataFrame({"a": [1.0, 2]}), pd.DataFrame({"b": [1.0, 2]}))
