import functools

import numpy as np
import pytest
from scipy.stats import multivariate_normal, truncnorm

from radiocard.errors import UsageError
from radiocard.simulate.bayes import bayes_accuracy, log_posteriors
from radiocard.simulate.classes import (
    AGE_LIMITS,
    CLASSES,
    LATENTS,
    MODELS,
    age_log_density,
    correlation,
    draw_latents,
    to_natural,
    to_transformed,
)
from radiocard.simulate.heart import N_CAVITY, HeartParameters, end_diastole


@functools.cache
def draws(name, n=1500):
    rng = np.random.default_rng(11)
    rows = [draw_latents(name, rng) for _ in range(n)]
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), np.array([r[2] for r in rows])


@pytest.mark.parametrize(
    ("name", "sex", "latent", "mean", "sd", "tolerance"),
    [
        # Petersen 2017
        ("NOR", "M", "lvef", 0.58, 0.05, 0.006),
        ("NOR", "F", "lvef", 0.61, 0.05, 0.006),
        ("NOR", "M", "lvmi_g_m2", 53, 9, 1.2),
        ("NOR", "F", "lvmi_g_m2", 42, 7, 1.0),
        # Mikami 2016, Merkle 2009: 32 (12) and 33 (14)
        ("DCM", "M", "lvef", 0.33, 0.11, 0.02),
        # Luijkx 2012
        ("RV", "M", "rvef", 0.35, 0.09, 0.03),
        ("RV", "F", "rvef", 0.43, 0.08, 0.02),
        ("RV", "M", "lvef", 0.48, 0.07, 0.03),
        ("RV", "F", "lvef", 0.52, 0.07, 0.02),
    ],
)
def test_published_means(name, sex, latent, mean, sd, tolerance):
    sexes, _, x = draws(name)
    values = x[sexes == sex, LATENTS.index(latent)]
    assert values.mean() == pytest.approx(mean, abs=tolerance)
    assert values.std() == pytest.approx(sd, rel=0.25)


@pytest.mark.parametrize(
    ("name", "men", "age", "spread"),
    [("DCM", 0.58, 57, 14), ("HCM", 0.678, 49.6, 15.4), ("RV", 0.64, 45.4, 15)],  # Mikami, Lopes, Luijkx
)
def test_published_sex_and_age(name, men, age, spread):
    sexes, ages, _ = draws(name)
    assert (sexes == "M").mean() == pytest.approx(men, abs=0.035)
    assert ages.mean() == pytest.approx(age, abs=2.0)
    assert ages.std() == pytest.approx(spread, rel=0.2)
    assert ages.min() >= AGE_LIMITS[0]
    assert ages.max() <= AGE_LIMITS[1]


@pytest.mark.parametrize(("sex", "expected"), [("M", 149), ("F", 115)])
def test_right_ventricular_volume_of_the_rv_group(sex, expected):
    # Luijkx 2012; the volume follows from both ejection fractions and the stroke volumes
    sexes, _, x = draws("RV")
    lvedvi, lvef, rvef, ratio = x[sexes == sex, :4].T
    assert (lvedvi * lvef * ratio / rvef).mean() == pytest.approx(expected, rel=0.08)


def test_maximal_wall_thickness_of_the_hcm_group():
    # Lopes 2015: 18.5 (4.4) mm; healthy walls stay below the 15 mm of the diagnosis
    thickness = {"HCM": [], "NOR": []}
    for name, out in thickness.items():
        sexes, _, x = draws(name)
        for sex, row in zip(sexes[:150], x[:150].tolist(), strict=True):
            lvedvi, lvef, rvef, ratio, lvmi, excess, deficit, thin = row
            bsa = {"F": 1.73, "M": 1.98}[sex]
            p = HeartParameters(
                lvedvi * bsa, lvef, rvef, ratio, lvmi * bsa / 1.05, excess, deficit, thin,
                "LAD", 0.0, 1.0, 165.0, 84.0 * (lvedvi * bsa / 140) ** 0.22, 5.0, 0.27,
            )  # fmt: skip
            shape = end_diastole(p)
            out.append((shape.epi_mm - shape.endo_mm)[: 2 * N_CAVITY // 3].max())
    assert np.mean(thickness["HCM"]) == pytest.approx(18.5, abs=1.5)
    assert np.std(thickness["HCM"]) == pytest.approx(4.4, abs=1.3)
    assert np.max(thickness["NOR"]) < 15


def test_transform_round_trip():
    _, _, x = draws("HCM", 50)
    np.testing.assert_allclose(to_natural(to_transformed(x)), x, rtol=1e-12)


def test_correlation_is_positive_definite():
    assert np.linalg.eigvalsh(correlation()).min() > 0.1


def test_age_density_equals_scipy():
    model = MODELS["HCM"]
    mean, sd = model.age_y
    low, high = AGE_LIMITS
    ages = np.array([18.5, 40.0, 87.0])
    expected = truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd).logpdf(ages)
    np.testing.assert_allclose(age_log_density(model, ages), expected, rtol=1e-10)


def test_posteriors_equal_an_independent_computation():
    sexes, ages, x = draws("DCM", 40)
    male = sexes == "M"
    expected = np.empty((40, len(CLASSES)))
    for row in range(40):
        for column, name in enumerate(CLASSES):
            model = MODELS[name]
            mean, cov = model.normal(sexes[row])
            share = model.men if male[row] else 1 - model.men
            mu, sd = model.age_y
            low, high = AGE_LIMITS
            age = truncnorm((low - mu) / sd, (high - mu) / sd, mu, sd).pdf(ages[row])
            expected[row, column] = share * age * multivariate_normal(mean, cov).pdf(to_transformed(x[row]))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_posteriors(male, ages, x)), expected, rtol=1e-6, atol=1e-12)


def test_bayes_accuracy_is_stated_and_leaves_room_for_error():
    best = bayes_accuracy(n=20_000, seed=5)
    assert best.standard_error < 0.002
    assert 0.85 + 3 * best.standard_error < best.value < 0.95 - 3 * best.standard_error
    # mean largest posterior and share named correctly estimate the same number
    assert np.mean(list(best.per_class.values())) == pytest.approx(best.value, abs=0.008)


def test_bayes_accuracy_is_what_the_documentation_says():
    assert bayes_accuracy().value == pytest.approx(0.924, abs=0.002)


def test_patients_are_sure_uncertain_and_wrong():
    for name in CLASSES:
        sexes, ages, x = draws(name, 300)
        log_p = log_posteriors(sexes == "M", ages, x)
        assert (np.exp(log_p.max(axis=1)) > 0.95).any()
        assert (np.exp(log_p.max(axis=1)) < 0.75).any()
        assert (log_p.argmax(axis=1) != CLASSES.index(name)).any()


def test_too_few_draws_are_refused():
    with pytest.raises(UsageError, match="n is 10, expected at least 100"):
        bayes_accuracy(n=10)
