"""T1 from formulas, against scipy.optimize.curve_fit, and on a real phantom where one is given."""

import os
import time

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.optimize import curve_fit

from radiocard.cardiac.series import Reason
from radiocard.cardiac.t1 import fit_molli, fit_sasha
from radiocard.errors import UsageError

MOLLI_533 = np.array([100.0, 180.0, 1000.0, 1080.0, 1900.0, 1980.0, 2800.0, 3700.0])
MOLLI_335 = np.array([100, 200, 350, 1000, 1100, 1250, 1900, 2000, 2150, 2900, 3800.0])
SASHA_TIMES = np.array([100.0, 150, 225, 300, 375, 450, 525, 600, 650, 700, np.inf])
T1 = np.linspace(200.0, 2000.0, 181)


def molli(t1, times, ratio=1.95, amplitude=100.0):
    """The fit's own model: T1* = T1 / (B/A - 1)."""
    t1, ratio = np.broadcast_arrays(np.asarray(t1, dtype=float), ratio)
    return np.abs(amplitude * (1 - ratio[..., None] * np.exp(-times / (t1 / (ratio - 1))[..., None])))


def sasha(t1, times, efficiency=1.0, amplitude=100.0):
    return amplitude * (1 - efficiency * np.exp(-times / np.asarray(t1, dtype=float)[..., None]))


@pytest.mark.parametrize("times", [MOLLI_533, MOLLI_335])
@pytest.mark.parametrize("ratio", [1.7, 1.95, 2.0, 2.4])
def test_molli_recovers_its_own_model_to_a_thousandth(times, ratio):
    fit = fit_molli(molli(T1[None], times, ratio), times)
    np.testing.assert_allclose(fit.t1_ms[0], T1, rtol=1e-3)
    np.testing.assert_allclose(fit.t1_ms[0], T1, rtol=1e-6)  # what is reached
    np.testing.assert_allclose(fit.a[0], 100.0, rtol=1e-6)
    np.testing.assert_allclose(fit.b[0], 100.0 * ratio, rtol=1e-6)
    assert fit.quality.all()


@pytest.mark.parametrize("times", [MOLLI_533, MOLLI_335[:3]])
def test_two_parameters_are_a_perfect_inversion(times):
    fit = fit_molli(molli(T1[None], times, 2.0), times, n_parameters=2)
    np.testing.assert_allclose(fit.t1_ms[0], T1, rtol=1e-6)
    np.testing.assert_allclose(fit.a[0], 100.0, rtol=1e-6)
    np.testing.assert_allclose(fit.b[0], 200.0, rtol=1e-6)
    assert fit.quality.all()
    assert fit_molli(molli(T1[None], MOLLI_335, 2.0), MOLLI_335, n_parameters=2).t1_se_ms.max() < 1e-3


def test_two_parameters_do_not_correct_for_the_readout():
    # inversion was perfect, and the readout shortened T1* to T1 / 1.4: B/A = 1 + T1/T1*
    fit = fit_molli(molli(T1[None], MOLLI_335, 2.4), MOLLI_335, n_parameters=2)
    assert np.median(fit.t1_ms[0] / T1) < 0.97


@pytest.mark.parametrize(("n_parameters", "efficiency"), [(2, 1.0), (3, 1.0), (3, 0.93)])
@pytest.mark.parametrize("times", [SASHA_TIMES, SASHA_TIMES[:-1]])
def test_sasha_recovers_its_own_model_to_a_hundredth(times, n_parameters, efficiency):
    fit = fit_sasha(sasha(T1[None], times, efficiency), times, n_parameters=n_parameters)
    np.testing.assert_allclose(fit.t1_ms[0], T1, rtol=1e-2)
    np.testing.assert_allclose(fit.t1_ms[0], T1, rtol=1e-6)  # what is reached
    np.testing.assert_allclose(fit.b[0] / fit.a[0], efficiency, rtol=1e-6)
    assert fit.quality.all()


def test_two_parameters_are_biased_by_imperfect_saturation():
    fit = fit_sasha(sasha(T1[None], SASHA_TIMES, 0.93), SASHA_TIMES, n_parameters=2)
    assert (fit.t1_ms[0] < 0.97 * T1).all()


@pytest.mark.filterwarnings("ignore:overflow", "ignore:Covariance of the parameters")  # wrong polarities
def test_noisy_molli_is_that_of_curve_fit():
    rng = np.random.default_rng(0)
    true, times = rng.uniform(300, 1800, 20), MOLLI_335
    rows = np.abs(molli(true, times) + rng.standard_normal((20, times.size)))
    fit = fit_molli(rows[None], times)

    def curve(t, t1, a, b):
        return a - b * np.exp(-t * (b / a - 1) / t1)

    for i, row in enumerate(rows):
        tried = []
        for n in range(times.size):  # the number of images taken as negative
            signed = np.where(np.arange(times.size) < n, -row, row)
            try:
                best, covariance = curve_fit(curve, times, signed, p0=(true[i], 100, 195), xtol=1e-12, ftol=1e-12)
            except RuntimeError:
                continue
            rms = np.sqrt(((signed - curve(times, *best)) ** 2).mean())
            tried.append((rms, *best, np.sqrt(covariance[0, 0])))
        found = [a[0, i] for a in (fit.residual, fit.t1_ms, fit.a, fit.b, fit.t1_se_ms)]
        np.testing.assert_allclose(found, min(tried), rtol=1e-4)
    assert fit.residual_rel[0] == pytest.approx(fit.residual[0] / rows.max(axis=1))


@pytest.mark.parametrize("n_parameters", [2, 3])
def test_noisy_sasha_is_that_of_curve_fit(n_parameters):
    rng = np.random.default_rng(1)
    true, times = rng.uniform(400, 1800, 20), SASHA_TIMES
    rows = sasha(true, times) + rng.standard_normal((20, times.size))
    fit = fit_sasha(rows[None], times, n_parameters=n_parameters)

    def curve(t, t1, a, b=None):
        return a - (a if b is None else b) * np.exp(-t / t1)

    for i, row in enumerate(rows):
        p0 = (true[i], 100.0, 100.0)[:n_parameters]
        best, covariance = curve_fit(curve, np.minimum(times, 1e9), row, p0=p0, xtol=1e-12, ftol=1e-12)
        found = [fit.t1_ms[0, i], fit.a[0, i], fit.b[0, i]][:n_parameters]
        np.testing.assert_allclose(found, best, rtol=1e-5)
        assert fit.t1_se_ms[0, i] == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-4)


def test_the_standard_error_is_the_scatter_of_repeated_measurements():
    rng = np.random.default_rng(2)
    rows = molli(np.full(4000, 1100.0), MOLLI_335, amplitude=500.0)
    fit = fit_molli(np.abs(rows + 5.0 * rng.standard_normal(rows.shape))[None], MOLLI_335)
    scatter = fit.t1_ms.std()
    assert np.sqrt((fit.t1_se_ms**2).mean()) == pytest.approx(scatter, rel=0.05)


def test_two_images_at_one_time_weigh_as_their_mean_twice():
    rng = np.random.default_rng(6)
    times = np.append(SASHA_TIMES, np.inf)
    rows = sasha(rng.uniform(400, 1800, 10), times) + rng.standard_normal((10, times.size))
    fit = fit_sasha(rows[None], times, n_parameters=3)
    mean = np.column_stack([rows[:, :-2], rows[:, -2:].mean(axis=1, keepdims=True).repeat(2, axis=1)])
    np.testing.assert_allclose(fit.t1_ms, fit_sasha(mean[None], times, n_parameters=3).t1_ms, rtol=1e-8)


def test_a_stack_is_fitted_slice_by_slice():
    images = molli(T1[:30].reshape(2, 5, 3), MOLLI_533)
    whole = fit_molli(images, MOLLI_533)
    assert whole.t1_ms.shape == (2, 5, 3)
    for k in range(3):
        np.testing.assert_array_equal(whole.t1_ms[:, :, k], fit_molli(images[:, :, k], MOLLI_533).t1_ms)


def test_a_pixel_that_is_not_fitted_holds_nothing():
    images = molli(T1[:20].reshape(4, 5), MOLLI_533)
    images[0, 0] = 0.0
    mask = np.ones((4, 5), dtype=bool)
    mask[3] = False
    fit = fit_molli(images, MOLLI_533, mask=mask)
    without = fit.reasons == Reason.NOT_FITTED
    assert np.argwhere(without).tolist() == [[0, 0], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]]
    for values in (fit.t1_ms, fit.t1_se_ms, fit.a, fit.b, fit.residual, fit.residual_rel):
        np.testing.assert_array_equal(np.isnan(values), without)
    np.testing.assert_array_equal(fit.quality, ~without)


def test_what_is_not_trusted_has_its_reason_and_keeps_its_value():
    rng = np.random.default_rng(3)
    rows = np.stack(
        [
            molli(1000.0, MOLLI_533),
            molli(40.0, MOLLI_335[:8] / 20, ratio=2.0),  # only seen with short times
            molli(1000.0, MOLLI_533, ratio=1.3),
            rng.uniform(40, 100, 8),
            np.full(8, 50.0),
        ]
    )
    fit = fit_molli(rows[None], MOLLI_533, trusted_ms=(500.0, 1500.0))
    assert fit.reasons[0, 0] == 0
    assert fit.reasons[0, 2] == Reason.IMPLAUSIBLE
    assert fit.t1_ms[0, 2] == pytest.approx(1000.0, rel=1e-6)
    assert fit.reasons[0, 3] & Reason.RESIDUAL
    assert fit.reasons[0, 4] != 0
    out_of_range = fit_molli(rows[None, :1], MOLLI_533, trusted_ms=(100.0, 900.0))
    assert out_of_range.reasons[0, 0] == Reason.OUT_OF_RANGE
    assert out_of_range.t1_ms[0, 0] == pytest.approx(1000.0, rel=1e-6)
    assert fit_molli(rows[None, 3:4], MOLLI_533, max_residual=0.9).reasons[0, 0] & Reason.RESIDUAL == 0
    never = fit_sasha(np.full((1, 1, 5), 50.0), SASHA_TIMES[:5], n_parameters=2)
    assert never.reasons[0, 0] == Reason.NOT_CONVERGED
    assert np.isnan(never.t1_ms[0, 0])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: fit_molli(np.ones((2, 2, 8)), MOLLI_533 / 1000), "inversion times .* look like seconds"),
        (lambda: fit_molli(np.ones((2, 2, 8)), MOLLI_533[::-1]), "expected increasing"),
        (lambda: fit_molli(np.ones((2, 2, 3)), MOLLI_533[:3]), "at 3 different times, expected at least 4"),
        (lambda: fit_molli(np.ones((2, 2, 8)), MOLLI_533, n_parameters=1), "MOLLI .* 1 parameters, expected 2 or 3"),
        (lambda: fit_molli(np.ones((2, 2, 11)), SASHA_TIMES), "expected finite"),
        (lambda: fit_molli(np.ones((2, 2, 8)), MOLLI_533, trusted_ms=(900.0, 100.0)), "range is 900 to 100 ms"),
        (lambda: fit_sasha(np.ones((2, 2, 11)), SASHA_TIMES / 1000, n_parameters=3), "saturation times .* seconds"),
        (
            lambda: fit_sasha(np.ones((2, 2, 3)), SASHA_TIMES[:3], n_parameters=3),
            "at 3 different times, expected at least 4",
        ),
        (lambda: fit_sasha(np.ones((2, 2, 11)), SASHA_TIMES, n_parameters=4), "SASHA .* 4 parameters, expected 2 or 3"),
    ],
)
def test_calls_that_are_refused(call, match):
    with pytest.raises(UsageError, match=match):
        call()


def test_a_slice_is_fitted_in_a_second_and_twice_to_the_same_bits():
    rng = np.random.default_rng(4)
    images = molli(rng.uniform(200, 2000, (256, 256)), MOLLI_335)
    images = np.abs(images + 2.0 * rng.standard_normal(images.shape))
    first = fit_molli(images, MOLLI_335)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        again = fit_molli(images, MOLLI_335)
        seconds.append(time.process_time() - start)
    np.testing.assert_array_equal(first.t1_ms, again.t1_ms)
    np.testing.assert_array_equal(first.t1_se_ms, again.t1_se_ms)
    assert min(seconds) < 1.0


@pytest.mark.skipif("RADIOCARD_MOLLI" not in os.environ, reason="not run: RADIOCARD_MOLLI is not set")
def test_a_real_phantom_agrees_with_its_offline_map():
    data = loadmat(os.environ["RADIOCARD_MOLLI"])
    series, offline_s = data["MOLLIT1wTI"][0, 0], data["MOLLIoffLineT1Map"][0]  # five images, then five times [s]
    images = np.moveaxis(series[:5], 0, -1)
    fit = fit_molli(images, 1000.0 * series[5:, 0, 0])
    bright = images.max(axis=-1) > images.max() / 4
    compared = bright & (offline_s > 0.1) & (offline_s < 3.5)
    assert compared.sum() > 5000
    difference = np.abs(fit.t1_ms / (1000.0 * offline_s + ~compared) - 1.0)[compared]
    assert np.median(np.nan_to_num(difference, nan=np.inf)) <= 0.01
