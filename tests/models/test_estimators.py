import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import CohortError
from radiocard.models.estimators import Cascade, NearestNeighbours


@parametrize_with_checks([Cascade(), NearestNeighbours(n_neighbors=1)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def blobs():
    return make_blobs(n_samples=90, centers=4, cluster_std=4.0, random_state=0)


def test_stages_by_hand():
    X, y = blobs()
    model = Cascade(LogisticRegression(C=0.5), LogisticRegression(), normal=2).fit(X, y)
    p = model.predict_proba(X)
    first = LogisticRegression(C=0.5).fit(X, y == 2).predict_proba(X)[:, 1]
    second = LogisticRegression().fit(X[y != 2], y[y != 2]).predict_proba(X)
    assert p[:, 2] == pytest.approx(first, abs=1e-4)
    assert p[:, [0, 1, 3]] == pytest.approx((1 - first)[:, None] * second, abs=1e-4)
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_two_classes_need_no_second_stage():
    X, y = blobs()
    rows = y < 2
    model = Cascade(normal=0).fit(X[rows], y[rows])
    assert model.second_ is None
    assert model.predict_proba(X) == pytest.approx(
        LogisticRegression().fit(X[rows], y[rows]).predict_proba(X), abs=1e-4
    )


def test_refuse_a_class_that_is_not_there():
    X, y = blobs()
    with pytest.raises(CohortError, match="No row has the class 9 that the first stage sets apart"):
        Cascade(normal=9).fit(X, y)
    with pytest.raises(CohortError, match="only one class"):
        Cascade().fit(X, np.zeros(len(X)))


def test_neighbours_are_those_of_scikit_learn_and_enough():
    X, y = blobs()
    ours, theirs = (kind(n_neighbors=7).fit(X, y) for kind in (NearestNeighbours, KNeighborsClassifier))
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    with pytest.raises(CohortError, match="Found 90 training patients, expected at least the 91 neighbours"):
        NearestNeighbours(n_neighbors=91).fit(X, y)
