import numpy as np
import pytest
from scipy.stats import norm

from radiocard.errors import UsageError
from radiocard.models.prevalence import _posterior, estimate_prevalence, reweight, reweight_estimated, training_mix
from radiocard.models.selection import fit_best

EQUAL = {"DCM": 1 / 3, "HCM": 1 / 3, "NOR": 1 / 3}


def test_bayes_rule_by_hand(bundle):
    found = reweight(bundle, [[0.5, 0.25, 0.25]], {"DCM": 0.1, "HCM": 0.1, "NOR": 0.8})
    np.testing.assert_allclose(found.probabilities, [[0.05 / 0.275, 0.025 / 0.275, 0.2 / 0.275]])
    assert found.training == pytest.approx(EQUAL)
    assert not found.transductive


def test_the_training_mix_changes_nothing(bundle):
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=5)
    np.testing.assert_allclose(reweight(bundle, p, EQUAL).probabilities, p, rtol=1e-12)


def test_reweighting_gives_the_posterior_of_the_other_mix():
    x = np.linspace(-3, 5, 9)
    density = np.column_stack([norm(0, 1).pdf(x), norm(2, 1).pdf(x)])

    def posterior(mix):
        joint = density * mix
        return joint / joint.sum(axis=1, keepdims=True)

    before, after = np.array([0.3, 0.7]), np.array([0.9, 0.1])
    np.testing.assert_allclose(_posterior(posterior(before), after, before), posterior(after), rtol=1e-12)


def test_em_finds_the_mix_of_a_simulated_site():
    rng = np.random.default_rng(0)
    truth = np.array([0.8, 0.2])
    x = rng.normal(np.where(rng.random(20000) < truth[0], 0.0, 2.0), 1.0)
    density = np.column_stack([norm(0, 1).pdf(x), norm(2, 1).pdf(x)])
    p = density / density.sum(axis=1, keepdims=True)
    found = estimate_prevalence(p, [0.5, 0.5])
    assert found == pytest.approx(truth, abs=0.015)
    best = max(np.linspace(0.01, 0.99, 981), key=lambda s: np.log(p @ [s, 1 - s]).sum())
    assert found[0] == pytest.approx(best, abs=0.001)


def test_estimated_mix_is_marked(bundle):
    p = np.random.default_rng(0).dirichlet([4, 1, 1], size=50)
    found = reweight_estimated(bundle, p)
    assert found.transductive
    assert found.prevalence["DCM"] > 0.5
    assert sum(found.prevalence.values()) == pytest.approx(1)
    assert "estimated from these patients" in found.sentence(0)


def test_a_class_the_site_does_not_have(bundle):
    found = reweight(bundle, [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], {"DCM": 0.0, "HCM": 0.4, "NOR": 0.6})
    np.testing.assert_allclose(found.probabilities, [[0, 0.4, 0.6], [0, 1, 0]])


def test_sentence(bundle):
    found = reweight(bundle, [[0.5, 0.25, 0.25]], {"DCM": 0.1, "HCM": 0.1, "NOR": 0.8})
    assert found.sentence(0, names={"NOR": "no disease found"}) == (
        "At the class mix stated for this site (80 % no disease found, 33 % in training) its probability is 73 % "
        "instead of 25 %; this holds only if the patients of one class look alike at both sites."
    )


def test_identical_patients_count_once_in_the_mix(planted, models, tools):
    X, y, groups = planted
    groups = groups.copy()
    groups[1:4] = groups[0]
    assert training_mix(tools["bundle_of"](X, y, groups, models))["DCM"] == pytest.approx(9 / 33)


def test_weighted_classes_are_at_equal_shares_unless_calibrated(planted, tools):
    X, y, groups = planted
    keep = np.arange(36) < 30
    X, y, groups = X[keep], y[keep], groups[keep]
    recipe = tools["small"]("logistic")
    weighted = recipe.model_copy(update={"fixed": {**recipe.fixed, "class_weight": "balanced"}, "calibration": "none"})
    calibrated = weighted.model_copy(update={"calibration": "temperature"})
    mixes = [
        training_mix(tools["bundle_of"](X, y, groups, [fit_best(r, X, y, groups, inner_folds=3, random_state=0)]))
        for r in (weighted, calibrated)
    ]
    assert mixes[0] == pytest.approx(EQUAL)
    assert mixes[1]["NOR"] == pytest.approx(6 / 30)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"DCM": 0.5, "HCM": 0.5}, "names DCM, HCM; expected DCM, HCM, NOR"),
        ({"DCM": 0.5, "HCM": 0.5, "NOR": 0.5}, "sums to 1.5"),
        ({"DCM": -0.5, "HCM": 0.5, "NOR": 1.0}, "a number below 0"),
        ({"DCM": float("nan"), "HCM": 0.5, "NOR": 0.5}, "a number below 0"),
    ],
)
def test_bad_mixes_are_refused(mix, message, bundle):
    with pytest.raises(UsageError, match=message):
        reweight(bundle, [[0.5, 0.25, 0.25]], mix)


def test_no_patient_gives_no_estimate(bundle):
    with pytest.raises(UsageError, match="no patient to estimate"):
        reweight_estimated(bundle, np.zeros((0, 3)))
