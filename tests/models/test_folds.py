import time

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from radiocard.models.folds import stratified_group_splits


def by_scikit_learn(codes, groups, *, folds, random_state):
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros((len(codes), 1)), codes, groups))


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize("seed", range(60))
def test_same_rows_as_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    n, folds = int(rng.integers(40, 250)), int(rng.integers(2, 11))
    codes = np.unique(rng.integers(0, rng.integers(2, 10), n), return_inverse=True)[1]
    groups = np.array([f"g{i}" for i in (np.arange(n) if seed % 2 else rng.integers(0, rng.integers(25, n), n))])
    ours = stratified_group_splits(codes, groups, folds=folds, random_state=seed)
    theirs = by_scikit_learn(codes, groups, folds=folds, random_state=seed)
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_too_few_groups_are_refused_as_by_scikit_learn():
    with pytest.raises(ValueError, match="greater than the number of groups: 2"):
        stratified_group_splits(np.tile([0, 1], 6), np.repeat(["a", "b"], 6), folds=3, random_state=0)


def test_thousands_of_patients_take_a_fraction_of_the_time_of_scikit_learn():
    codes, groups = np.arange(1500) % 5, np.arange(1500)
    seconds = []
    for make in (stratified_group_splits, by_scikit_learn):
        start = time.process_time()
        make(codes, groups, folds=5, random_state=0)
        seconds.append(time.process_time() - start)
    assert seconds[0] < seconds[1] / 3
