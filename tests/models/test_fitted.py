import numpy as np
import pandas as pd
import pytest

from radiocard.errors import ModelError


def test_final_classifier_reproduces_the_pipeline(models, planted):
    X = planted[0]
    for model in models[:-1]:
        through = model.final.predict_proba(model.transform(X).to_numpy())
        np.testing.assert_array_equal(through, model.predict_proba(X))


def test_transform_keeps_the_index_and_names(models, planted):
    X = planted[0]
    out = models[0].transform(X)
    assert out.index.equals(X.index)
    assert tuple(out.columns) == models[0].final_columns
    assert out.notna().all().all()


def test_no_patient_gives_no_probability(models, planted):
    assert models[0].predict_proba(planted[0].iloc[:0]).shape == (0, 3)


def test_a_probability_that_is_not_a_number_is_refused(models, planted, monkeypatch):
    model = models[3]
    monkeypatch.setattr(model.final, "coef_", np.full_like(model.final.coef_, np.nan))
    with pytest.raises(ModelError, match="'logistic' gave a probability that is not a number"):
        model.predict_proba(planted[0])


def test_missing_columns_are_named(models):
    with pytest.raises(ModelError, match="lacks 11 of 11 columns"):
        models[0].predict_proba(pd.DataFrame({"x": [1.0]}))
