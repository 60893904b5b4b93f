import numpy as np
import pytest
from sklearn.base import clone

from radiocard.errors import SpecError
from radiocard.models.pipeline import build_pipeline
from radiocard.specs import read_recipe


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("svm", ["drop", "impute", "decorrelate", "scale", "select", "model"]),
        ("logistic", ["drop", "impute", "decorrelate", "scale", "select", "model"]),
        ("rf", ["drop", "impute", "decorrelate", "select", "model"]),
        ("xgboost", ["drop", "impute", "decorrelate", "select", "model"]),
        ("majority", ["model"]),
    ],
)
def test_steps_of_the_shipped_recipes(name, steps):
    pipeline = build_pipeline(read_recipe(name), random_state=3)
    assert [s for s, _ in pipeline.steps] == steps
    assert clone(pipeline).get_params().keys() == pipeline.get_params().keys()


def test_seed_reaches_every_step_that_draws():
    params = build_pipeline(read_recipe("rf"), random_state=11).get_params()
    assert params["select__random_state"] == params["model__random_state"] == 11


def test_bad_recipe_is_refused():
    recipe = read_recipe("rf").model_copy(update={"fixed": {"depth": 3}})
    with pytest.raises(SpecError, match="unknown parameter 'depth'"):
        build_pipeline(recipe, random_state=0)


def test_training_medians_fill_undefined_values(models, planted):
    X = planted[0]
    logistic = models[3]
    median = logistic.estimator.named_steps["impute"].statistics_
    kept = [c for c in logistic.columns if c not in {"empty", "constant"}]
    np.testing.assert_allclose(median, X[kept].median().to_numpy())
