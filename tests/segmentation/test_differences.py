import numpy as np
import pytest
import statsmodels.stats.api as sms

from radiocard.errors import UsageError
from radiocard.segmentation.differences import bland_altman, mean_over

MANY = {"n_bootstrap": 2000, "random_state": 0}


def pairs(n=60, seed=3):
    rng = np.random.default_rng(seed)
    reference = rng.normal(150, 40, n)
    return reference + rng.normal(4, 6, n), reference


def test_limits_are_bias_and_196_standard_deviations():
    a, b = pairs()
    found = bland_altman(a, b, **MANY)
    d = a - b
    assert found.bias.value == pytest.approx(d.mean())
    assert found.sd.value == pytest.approx(d.std(ddof=1))
    assert found.lower.value == pytest.approx(d.mean() - 1.959964 * d.std(ddof=1))
    assert found.upper.value == pytest.approx(d.mean() + 1.959964 * d.std(ddof=1))
    assert found.mae.value == pytest.approx(np.abs(d).mean())
    assert found.n_undefined == 0


def test_the_interval_of_the_bias_is_that_of_the_t_distribution():
    a, b = pairs()
    found = bland_altman(a, b, **MANY).bias
    low, high = sms.DescrStatsW(a - b).tconfint_mean()
    assert found.low == pytest.approx(low, abs=0.25)
    assert found.high == pytest.approx(high, abs=0.25)
    assert found.n == 60


def test_the_interval_of_a_limit_is_as_wide_as_bland_and_altman_say():
    a, b = pairs(n=200)
    found = bland_altman(a, b, **MANY)
    # standard error of a limit: sqrt(3 sd^2 / n), Lancet 1986
    half = 1.96 * np.sqrt(3) * found.sd.value / np.sqrt(200)
    assert found.upper.high - found.upper.low == pytest.approx(2 * half, rel=0.2)


def test_a_constant_difference_has_no_spread():
    reference = np.linspace(1e6, 2e6, 9)
    found = bland_altman(reference + 5, reference, **MANY)
    assert found.bias.value == pytest.approx(5)
    assert found.sd.value == pytest.approx(0, abs=1e-6)
    assert "all alike" in found.mae.method


def test_undefined_patients_are_left_out_and_counted():
    found = bland_altman([1.0, None, 4.0, 3.0], [0.0, 1.0, float("nan"), 1.0], **MANY)
    assert found.bias.value == 1.5
    assert found.n_undefined == 2
    assert found.to_dict()["n_undefined"] == 2


def test_fewer_than_two_patients_have_no_value():
    found = bland_altman([1.0, None], [0.0, 1.0], **MANY)
    assert found.bias.value is None
    assert "fewer than 2 patients" in found.sd.method


def test_rows_of_one_person_count_as_one():
    a, b = pairs(n=20)
    alone = bland_altman(a, b, **MANY).bias
    twice = bland_altman(np.tile(a, 2), np.tile(b, 2), groups=[str(i) for i in [*range(20), *range(20)]], **MANY).bias
    assert twice.n == 20
    assert twice.high - twice.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_unequal_lengths_are_refused():
    with pytest.raises(UsageError, match="2 predicted and 1 reference values"):
        bland_altman([1.0, 2.0], [1.0], **MANY)
    with pytest.raises(UsageError, match="1 groups for 2 values"):
        mean_over([1.0, 2.0], better=1, groups=["a"], **MANY)


def test_the_worst_patient_is_the_smallest_dice_and_the_largest_distance():
    values = [0.9, 0.5, None, 0.8]
    dice, distance = (mean_over(values, better=sign, **MANY) for sign in (1, -1))
    assert (dice.worst, distance.worst) == (0.5, 0.9)
    assert dice.median == 0.8
    assert dice.mean.value == pytest.approx(2.2 / 3)
    assert dice.to_dict()["n_undefined"] == 1


def test_a_score_that_nobody_has_is_null():
    found = mean_over([None, None], better=1, **MANY)
    assert (found.mean.value, found.median, found.worst, found.n_undefined) == (None, None, None, 2)
