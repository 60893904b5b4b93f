import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from statsmodels.stats.multitest import multipletests

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.drift import SMALLEST, drift_report
from radiocard.evaluation.drift_measures import range_p_value


def compare(a, b, answers=None, **options):
    a, b = pd.DataFrame(a), pd.DataFrame(b)
    said = answers or (["x", "y"] * len(a), ["x", "y"] * len(b))
    cut = (said[0][: len(a)], said[1][: len(b)])
    return drift_report(a, b, training_answers=cut[0], incoming_answers=cut[1], classes=("x", "y"), **options)


def column(report, name):
    return next(c for c in report.columns if c.column == name)


def test_a_shifted_column_is_red_and_the_others_green():
    rng = np.random.default_rng(0)
    a, b = ({name: rng.normal(size=n) for name in ("same", "moved", "other")} for n in (150, 100))
    b["moved"] = b["moved"] + 1.5
    report = compare(a, b)
    assert report.columns[0].column == "moved"
    assert (report.light, report.columns[0].light) == ("red", "red")
    assert {c.light for c in report.columns[1:]} == {"green"}
    assert report.columns[0].smd == pytest.approx(1.5, abs=0.4)
    assert "moved: large change" in report.sentences[1]


def test_ks_is_scipys_and_the_discovery_rate_holds_over_all_tests():
    rng = np.random.default_rng(1)
    a, b = ({name: rng.normal(size=n) for name in "abc"} for n in (60, 40))
    report = compare(a, b)
    raw = [ks_2samp(a[c], b[c]) for c in "abc"]
    ranges = [range_p_value(int(sum((b[c] < min(a[c])) | (b[c] > max(a[c])))), n_training=60, n_incoming=40) for c in a]
    family = [*(p for r, o in zip(raw, ranges, strict=True) for p in (r.pvalue, o)), 1.0]
    adjusted = multipletests(family, method="fdr_bh")[1]
    for i, c in enumerate("abc"):
        found = column(report, c)
        assert found.ks == pytest.approx(raw[i].statistic)
        assert (found.ks_q, found.outside_q) == pytest.approx((adjusted[2 * i], adjusted[2 * i + 1]))


def test_chance_alone_exceeds_the_convention_and_still_stays_green():
    rng = np.random.default_rng(3)
    false_alarms, over = 0, 0
    for _ in range(30):
        a, b = ({f"c{i}": rng.normal(size=n) for i in range(10)} for n in (60, 30))
        report = compare(a, b)
        false_alarms += report.light != "green"
        over += sum((c.psi or 0) >= 0.25 for c in report.columns)
    assert over > 60  # of 300: the limits of the index alone would alarm
    assert false_alarms <= 5  # 1.5 expected at 5 %, more than 5 in less than 0.5 % of such runs


def test_a_column_that_is_gone_is_red():
    rng = np.random.default_rng(2)
    a, b = ({name: rng.normal(size=n) for name in "ab"} for n in (60, 40))
    b["a"] = np.full(40, np.nan)
    found = column(compare(a, b), "a")
    assert (found.light, found.n_incoming, found.psi) == ("red", 0, None)
    assert "no value in 100%" in found.why


def test_few_values_are_not_judged_and_that_is_said():
    rng = np.random.default_rng(2)
    a, b = ({name: rng.normal(size=n) for name in "ab"} for n in (25, 25))
    for side in (a, b):
        side["a"][:10] = np.nan
    report = compare(a, b)
    assert column(report, "a").light == "grey"
    assert any("1 columns have fewer than 20 values" in s for s in report.sentences)


def test_values_outside_the_training_range_show():
    rng = np.random.default_rng(4)
    a, b = {"a": rng.uniform(size=200)}, {"a": rng.uniform(size=40)}
    b["a"][:4] = 1.5
    found = column(compare(a, b), "a")
    assert found.outside.value == pytest.approx(0.1)
    assert (found.light, found.why) == ("amber", "10% outside the training range")


def test_constant_columns_do_not_break_it():
    report = compare({"a": np.ones(30)}, {"a": np.ones(30)})
    assert (column(report, "a").psi, report.light) == (None, "green")


def test_other_answers_show():
    rng = np.random.default_rng(5)
    a, b = {"a": rng.normal(size=100)}, {"a": rng.normal(size=60)}
    report = compare(a, b, (["x", "y"] * 50, ["x"] * 54 + ["y"] * 6))
    assert (report.mix.light, report.light) == ("red", "red")
    assert report.mix.training == {"x": 0.5, "y": 0.5}
    assert report.mix.incoming["x"].value == pytest.approx(0.9)
    assert any(s.startswith("The answers differ") for s in report.sentences)


def test_one_answer_only_is_no_test():
    rng = np.random.default_rng(5)
    a, b = {"a": rng.normal(size=30)}, {"a": rng.normal(size=30)}
    assert compare(a, b, (["x"] * 30, ["x"] * 30)).mix.light == "green"


def test_too_few_patients_are_refused():
    few = {"a": np.arange(SMALLEST - 1.0)}
    with pytest.raises(UsageError, match="30 training and 19 incoming patients, expected 20"):
        compare({"a": np.arange(30.0)}, few)


def test_unknown_answers_are_refused():
    with pytest.raises(CohortError, match="Answers z are not among the classes x, y"):
        compare({"a": np.arange(30.0)}, {"a": np.arange(30.0)}, (["z"] * 30, ["x"] * 30))


def test_the_report_is_plain_data():
    found = compare({"a": np.arange(30.0)}, {"a": np.arange(30.0)}).to_dict()
    assert json.loads(json.dumps(found))["limits"] == {"psi_moderate": 0.1, "psi_large": 0.25, "false_discovery": 0.05}
