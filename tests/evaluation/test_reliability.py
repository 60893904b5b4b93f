import numpy as np
import pandas as pd
import pytest

from radiocard.errors import UsageError
from radiocard.evaluation.reliability import intraclass_correlation

# Shrout and Fleiss, Psychol Bull 86 (1979) 420, table 2: 6 targets, 4 judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_published_example_of_shrout_and_fleiss():
    found = intraclass_correlation(SHROUT_FLEISS[..., None])
    assert round(found.icc_1_1[0, 0], 2) == 0.17  # ICC(1,1)
    assert round(found.icc_a_1[0, 0], 2) == 0.29  # ICC(2,1)
    assert (found.n.tolist(), found.n_repeats) == ([6], 4)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_pingouin_with_its_intervals(seed):
    pingouin = pytest.importorskip("pingouin", reason="pingouin is not installed: not run")
    rng = np.random.default_rng(seed)
    n, k, p = 8 + 7 * seed, 2 + seed, 3
    x = rng.normal(size=(n, 1, p)) * [3, 1, 0.2] + 0.5 * rng.normal(size=(1, k, p)) + rng.normal(size=(n, k, p))
    found = intraclass_correlation(x)
    for j in range(p):
        long = pd.DataFrame(x[:, :, j]).stack().rename_axis(["patient", "repeat"]).rename("value").reset_index()
        old = pingouin.options.copy()
        pingouin.options.update({key: None for key in old if key.startswith("round")})
        try:
            theirs = pingouin.intraclass_corr(long, targets="patient", raters="repeat", ratings="value")
        finally:
            pingouin.options.update(old)
        theirs = theirs.set_index("Type")
        for name, ours in (("ICC(1,1)", found.icc_1_1[j]), ("ICC(A,1)", found.icc_a_1[j])):
            assert ours[0] == pytest.approx(theirs.loc[name, "ICC"], abs=1e-6)
            assert ours[1:] == pytest.approx(theirs.loc[name, "CI95"], abs=1e-6)


def test_a_shared_shift_counts_as_error():
    x = np.random.default_rng(0).normal(size=(40, 1, 1)) + np.array([0.0, 2.0])[None, :, None]
    found = intraclass_correlation(x)
    assert found.icc_1_1[0, 0] < 0.1
    assert found.icc_a_1[0, 0] == pytest.approx(np.var(x[:, 0, 0], ddof=1) / (np.var(x[:, 0, 0], ddof=1) + 2))


def test_interval_covers_the_true_coefficient():
    rng = np.random.default_rng(1)
    x = np.sqrt(0.8) * rng.normal(size=(20, 1, 2000)) + np.sqrt(0.2) * rng.normal(size=(20, 3, 2000))
    found = intraclass_correlation(x)
    covered = ((found.icc_1_1[:, 1] < 0.8) & (found.icc_1_1[:, 2] > 0.8)).mean()
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_incomplete_patients_are_left_out_column_by_column():
    x = np.random.default_rng(2).normal(size=(12, 3, 2))
    x[4, 1, 0] = np.nan
    found = intraclass_correlation(x)
    assert found.n.tolist() == [11, 12]
    np.testing.assert_allclose(found.icc_1_1[0], intraclass_correlation(np.delete(x, 4, 0)[:, :, :1]).icc_1_1[0])


def test_undefined_where_constant_or_too_few_and_1_where_identical():
    x = np.ones((12, 2, 3))
    x[:, :, 1] = np.arange(12.0)[:, None]
    x[:9, 0, 2] = np.nan
    found = intraclass_correlation(x)
    assert found.estimate(0, kind="icc_a_1").value is None
    assert found.estimate(1, kind="icc_a_1").value == 1.0
    assert found.estimate(1, kind="icc_1_1").low == 1.0
    assert found.estimate(2, kind="icc_1_1").value is None


def test_scale_and_origin_do_not_matter():
    x = np.random.default_rng(3).normal(size=(15, 4, 1))
    a, b = intraclass_correlation(x), intraclass_correlation(1e-7 * x + 5e3)
    np.testing.assert_allclose(a.icc_a_1, b.icc_a_1, rtol=1e-3)


def test_refuses_one_repeat():
    with pytest.raises(UsageError, match=r"shape \(3, 1, 1\)"):
        intraclass_correlation(np.zeros((3, 1, 1)))
