import numpy as np
import pytest

from radiocard.errors import UsageError


def test_the_id_is_that_of_the_content(bundle, planted, models, tools):
    again = tools["bundle_of"](*planted, models)
    assert again.model_id == bundle.model_id
    X, y, groups = planted
    other = tools["bundle_of"](X + 1e-9, y, groups, models)
    assert other.model_id != bundle.model_id


def test_undefined_numbers_become_null(bundle):
    assert bundle.evaluation == {"accuracy": 0.9, "undefined": None}


def test_versions_and_groups(bundle):
    assert {"numpy", "scikit-learn", "radiocard"} <= set(bundle.versions)
    assert sorted(bundle.groups.tolist()) == list(range(36))
    assert (bundle.training_labels == np.repeat(["DCM", "HCM", "NOR"], 12)).all()
    assert bundle.training_table.shape == (36, 11)


def test_parts_that_do_not_belong_together(planted, models, tools):
    X, y, groups = planted
    with pytest.raises(UsageError, match="do not belong together"):
        tools["bundle_of"](X, y, groups, [*models, models[0]])
    with pytest.raises(UsageError, match="do not belong together"):
        tools["bundle_of"](X, np.where(y == "DCM", "HCM", y), groups, models)
