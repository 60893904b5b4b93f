import numpy as np
import pandas as pd
import pytest

from radiocard.errors import CohortError, ModelError
from radiocard.models.table import align, to_array


def test_order_is_irrelevant_and_extra_columns_are_said():
    X = pd.DataFrame({"b": [1.0], "site": ["A"], "a": [np.nan]})
    array, issues = align(X, ["a", "b"])
    np.testing.assert_array_equal(array, [[np.nan, 1.0]])
    assert [i.code for i in issues] == ["W_EXTRA_COLUMNS"]
    assert issues[0].message == "The table has 1 columns that the model does not use: site."


def test_missing_columns_are_named():
    with pytest.raises(ModelError, match="lacks 2 of 3 columns: a, c") as caught:
        align(pd.DataFrame({"b": [1.0]}), ["a", "b", "c"])
    assert caught.value.code == "E_COLUMNS"


def test_doubled_columns_are_refused():
    with pytest.raises(ModelError, match="twice in the table: a"):
        align(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), ["a"])


def test_text_is_refused():
    with pytest.raises(CohortError, match="Columns hold text .*: b") as caught:
        to_array(pd.DataFrame({"a": [1.0], "b": ["high"]}))
    assert caught.value.code == "E_TABLE"


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e31])
def test_infinite_values_are_refused(value):
    with pytest.raises(CohortError, match="infinite values: a"):
        to_array(pd.DataFrame({"a": [value], "b": [1.0]}))


def test_nullable_columns_become_nan():
    X = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    np.testing.assert_array_equal(to_array(X), [[1.0], [np.nan]])
