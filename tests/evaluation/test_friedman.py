import math

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import UsageError
from radiocard.evaluation.friedman import friedman_nemenyi

# Demšar (2006), table 6: AUC of four variants of C4.5 on 14 data sets; the paper ranks the two equal values of the
# data set "voting" 2 and 3, by digits that it does not print.
DEMSAR = """
0.763 0.768 0.771 0.798   0.599 0.591 0.590 0.569   0.954 0.971 0.968 0.967   0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898   0.936 0.931 0.916 0.931   0.661 0.668 0.609 0.685   0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875   1.000 1.000 1.000 1.000   0.940 0.962 0.965 0.962   0.619 0.666 0.614 0.669
0.972 0.981 0.97501 0.975   0.957 0.978 0.946 0.970
"""


@pytest.fixture
def demsar():
    values = np.array(DEMSAR.split(), dtype=float).reshape(-1, 4)
    return pd.DataFrame(values, columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"])


def test_friedman_and_nemenyi_as_published(demsar):
    found = friedman_nemenyi(demsar, rows="data sets")
    assert found.mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.critical_difference == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    n, k = demsar.shape
    without_ties = 12 * n / (k * (k + 1)) * (np.sum(found.mean_ranks**2) - k * (k + 1) ** 2 / 4)
    assert without_ties == pytest.approx(9.28, abs=5e-3)
    ties = sum(size**3 - size for row in demsar.to_numpy() for size in np.unique(row, return_counts=True)[1])
    assert found.chi2 == pytest.approx(without_ties / (1 - ties / (n * k * (k**2 - 1))))
    assert "p-values are rough" in found.note


def test_two_models_at_the_critical_difference_have_p_5_percent():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.random((12, 6)), columns=list("abcdef"))
    found = friedman_nemenyi(table, rows="sites")
    assert found.note == ""
    below = np.abs(found.mean_ranks[:, None] - found.mean_ranks[None]) < found.critical_difference
    assert ((found.p_pairs > 0.05) == below).all()
    turned = friedman_nemenyi(-table, rows="sites", higher_is_better=False)
    assert turned.mean_ranks == pytest.approx(found.mean_ranks)


def test_all_equal_is_no_difference():
    found = friedman_nemenyi(pd.DataFrame(np.ones((4, 3)), columns=list("abc")), rows="sites")
    assert (found.chi2, found.p, found.to_dict()["mean_ranks"]) == (0.0, 1.0, [2.0, 2.0, 2.0])


@pytest.mark.parametrize("rows", ["folds", "repeats", "seeds"])
def test_folds_are_refused(demsar, rows):
    with pytest.raises(UsageError, match="expected 'sites' or 'data sets'.*Folds share their patients"):
        friedman_nemenyi(demsar, rows=rows)


def test_a_table_too_small_or_with_gaps_is_refused(demsar):
    with pytest.raises(UsageError, match="14 rows and 2 models"):
        friedman_nemenyi(demsar.iloc[:, :2], rows="sites")
    with pytest.raises(UsageError, match="finite values"):
        friedman_nemenyi(demsar.where(demsar < 1), rows="sites")
