"""Curves from formulas; scipy.optimize.curve_fit as the independent implementation."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from radiocard.cardiac.fitting import CurveModel, fit_curves, standard_error

TIMES = np.array([5.0, 20.0, 40.0, 60.0, 90.0, 140.0])
RANGE = (1.0, 3000.0)
DECAY = CurveModel(rest=0.0, weight=1.0, has_offset=False, recover_polarity=False, tau_ms=RANGE)
DECAY_OFFSET = DECAY._replace(has_offset=True)
RECOVERY = DECAY._replace(rest=1.0, weight=-1.0)
INVERSION = DECAY_OFFSET._replace(recover_polarity=True)
FORMULAS = {
    DECAY: lambda t, tau, slope: slope * np.exp(-t / tau),
    DECAY_OFFSET: lambda t, tau, slope, offset: offset + slope * np.exp(-t / tau),
    RECOVERY: lambda t, tau, slope: slope * (1 - np.exp(-t / tau)),
}


def noisy(model, n=25, sd=2.0):
    rng = np.random.default_rng(5)
    tau = rng.uniform(15, 120, n)
    true = np.column_stack([tau, rng.uniform(80, 120, n), rng.uniform(10, 30, n)])[:, : 2 + model.has_offset]
    rows = np.array([FORMULAS[model](TIMES, *row) for row in true])
    return true, rows + sd * rng.standard_normal(rows.shape)


@pytest.mark.parametrize("model", FORMULAS)
def test_noise_free_curves_are_recovered(model):
    true, rows = noisy(model, n=200, sd=0.0)
    fit = fit_curves(rows, TIMES, model=model)
    np.testing.assert_allclose(fit.tau_ms, true[:, 0], rtol=1e-6)
    np.testing.assert_allclose(fit.slope, true[:, 1], rtol=1e-6)
    np.testing.assert_allclose(fit.offset, true[:, 2] if model.has_offset else 0.0, rtol=1e-6)
    np.testing.assert_allclose(fit.rms, 0.0, atol=1e-5)
    assert fit.converged.all()


@pytest.mark.parametrize("model", FORMULAS)
def test_noisy_curves_and_errors_are_those_of_curve_fit(model):
    true, rows = noisy(model)
    fit = fit_curves(rows, TIMES, model=model)
    error = standard_error(fit, TIMES, model=model, gradient=(0.0, 0.0, fit.tau_ms))
    of_slope = standard_error(fit, TIMES, model=model, gradient=(0.0, 1.0, 0.0))
    of_offset = standard_error(fit, TIMES, model=model, gradient=(1.0, 0.0, 0.0))
    for i, row in enumerate(rows):
        best, covariance = curve_fit(FORMULAS[model], TIMES, row, p0=true[i], xtol=1e-12, ftol=1e-12, maxfev=10000)
        found = [fit.tau_ms[i], fit.slope[i], fit.offset[i]][: best.size]
        np.testing.assert_allclose(found, best, rtol=1e-5, atol=1e-3)
        errors = [error[i], of_slope[i], of_offset[i]][: best.size]
        np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-4)
        residual = row - FORMULAS[model](TIMES, *best)
        assert fit.rms[i] == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-6)


def test_an_infinite_time_shows_the_constant():
    times = np.append(TIMES, np.inf)
    rows = np.array([[*FORMULAS[DECAY_OFFSET](TIMES, 50.0, 100.0, 20.0), 20.0]])
    fit = fit_curves(rows, times, model=DECAY_OFFSET)
    np.testing.assert_allclose([fit.tau_ms[0], fit.slope[0], fit.offset[0]], [50.0, 100.0, 20.0], rtol=1e-7)
    rows = np.array([[*FORMULAS[RECOVERY](TIMES, 50.0, 100.0), 100.0]])
    fit = fit_curves(rows, times, model=RECOVERY)
    np.testing.assert_allclose([fit.tau_ms[0], fit.slope[0]], [50.0, 100.0], rtol=1e-7)
    assert np.isfinite(standard_error(fit, times, model=RECOVERY, gradient=(0.0, 0.0, fit.tau_ms))).all()


@pytest.mark.parametrize("tau", np.linspace(20, 200, 37))
def test_polarity_is_recovered_around_every_zero_crossing(tau):
    signed = 100.0 - 195.0 * np.exp(-TIMES / tau)
    fit = fit_curves(np.abs(signed)[None], TIMES, model=INVERSION)
    assert fit.n_negative[0] == (signed < 0).sum()
    np.testing.assert_allclose([fit.tau_ms[0], fit.slope[0], fit.offset[0]], [tau, -195.0, 100.0], rtol=1e-6)


def test_a_point_at_zero_may_have_either_sign():
    tau = TIMES[2] / np.log(2.0)
    fit = fit_curves(np.abs(100.0 - 200.0 * np.exp(-TIMES / tau))[None], TIMES, model=INVERSION)
    assert fit.tau_ms[0] == pytest.approx(tau, rel=1e-7)


def test_only_the_points_that_are_used_count():
    rows = FORMULAS[DECAY](TIMES, 30.0, 100.0) * np.ones((2, 1))
    rows[:, 4:] = 70.0
    rows[1, 3:] = 90.0
    fit = fit_curves(rows, TIMES, model=DECAY, n_used=np.array([4, 3]))
    np.testing.assert_allclose(fit.tau_ms, 30.0, rtol=1e-7)
    assert fit.n_used.tolist() == [4, 3]
    np.testing.assert_allclose(standard_error(fit, TIMES, model=DECAY, gradient=(0.0, 0.0, 1.0)), 0.0, atol=1e-5)


@pytest.mark.parametrize(("model", "row"), [(DECAY, np.full(6, 5.0)), (DECAY, TIMES), (RECOVERY, np.full(6, 5.0))])
def test_what_does_not_decay_has_no_value(model, row):
    fit = fit_curves(row[None], TIMES, model=model)
    assert not fit.converged[0]
    assert np.isnan([fit.tau_ms[0], fit.slope[0], fit.offset[0], fit.rms[0]]).all()
    assert np.isnan(standard_error(fit, TIMES, model=model, gradient=(0.0, 0.0, fit.tau_ms))[0])


def test_as_many_points_as_parameters_leave_no_error():
    _, rows = noisy(DECAY_OFFSET)
    fit = fit_curves(rows[:, :3], TIMES[:3], model=DECAY_OFFSET)
    assert np.isnan(standard_error(fit, TIMES[:3], model=DECAY_OFFSET, gradient=(0.0, 0.0, fit.tau_ms))).all()


def test_a_row_does_not_depend_on_its_neighbours():
    _, rows = noisy(DECAY_OFFSET, n=60)
    magnitude = np.abs(rows - 60.0)
    whole = fit_curves(magnitude, TIMES, model=INVERSION)
    back = fit_curves(magnitude[::-1], TIMES, model=INVERSION)
    for one, other in zip(whole, back, strict=True):
        np.testing.assert_array_equal(one, other[::-1])
