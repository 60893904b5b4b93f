import numpy as np
import pytest
from scipy.optimize import curve_fit

from radiocard.cardiac.series import Reason
from radiocard.cardiac.t2 import fit_t2
from radiocard.errors import UsageError

PREPARED = np.array([0.0, 25.0, 55.0])
ECHOES = np.array([8.0, 16, 24, 32, 40, 48, 56, 64])
T2 = np.linspace(20.0, 250.0, 70)


def decay(t2, times, offset=0.0):
    return 100.0 * np.exp(-times / np.asarray(t2, dtype=float)[..., None]) + offset


@pytest.mark.parametrize("times", [PREPARED, ECHOES])
def test_two_parameters_recover_their_own_model(times):
    fit = fit_t2(decay(T2[None], times), times)
    np.testing.assert_allclose(fit.t2_ms[0], T2, rtol=1e-6)
    np.testing.assert_allclose(fit.amplitude, 100.0, rtol=1e-6)
    assert (fit.offset == 0).all()
    assert fit.quality.all()


def test_an_offset_is_found_with_four_images_or_a_saturation_image():
    fit = fit_t2(decay(T2[None], ECHOES, 15.0), ECHOES, with_offset=True)
    np.testing.assert_allclose(fit.t2_ms[0], T2, rtol=1e-5)
    np.testing.assert_allclose(fit.offset[0], 15.0, rtol=1e-4)
    times = np.array([0.0, 45.0, np.inf])
    fit = fit_t2(decay(T2[None], times, 15.0), times, with_offset=True)
    np.testing.assert_allclose(fit.t2_ms[0], T2, rtol=1e-6)
    np.testing.assert_allclose(fit.offset[0], 15.0, rtol=1e-6)
    assert np.isnan(fit.t2_se_ms).all()  # three images, three parameters


def test_an_offset_that_is_left_out_makes_t2_long():
    assert (fit_t2(decay(T2[None], ECHOES, 15.0), ECHOES).t2_ms[0] > 1.1 * T2).all()


def test_the_first_spin_echo_can_be_dropped():
    images = decay(T2[None], ECHOES)
    images[..., 0] *= 0.8  # holds no stimulated echo
    assert (np.abs(fit_t2(images, ECHOES).t2_ms[0] / T2 - 1) > 0.01).all()
    np.testing.assert_allclose(fit_t2(images, ECHOES, drop_first=True).t2_ms[0], T2, rtol=1e-6)


def test_averages_are_fitted_one_by_one():
    times = np.repeat(PREPARED, 3)
    images = decay(T2[None], times)
    images[..., ::3] *= 0.99
    images[..., 2::3] *= 1.01
    fit = fit_t2(images, times)
    np.testing.assert_allclose(fit.t2_ms[0], T2, rtol=1e-6)
    assert (fit.t2_se_ms > 0).all()
    images[..., :3] *= 0.8
    times = np.append(times, 80.0)
    images = np.concatenate([images, decay(T2[None], times[-1:])], axis=-1)
    np.testing.assert_allclose(fit_t2(images, times, drop_first=True).t2_ms[0], T2, rtol=2e-2)


@pytest.mark.parametrize("with_offset", [False, True])
def test_noisy_curves_are_those_of_curve_fit(with_offset):
    rng = np.random.default_rng(0)
    true = rng.uniform(20, 70, 20)
    rows = decay(true, ECHOES, 10.0 if with_offset else 0.0) + rng.standard_normal((20, ECHOES.size))
    fit = fit_t2(rows[None], ECHOES, with_offset=with_offset)

    def curve(t, t2, a, c=0.0):
        return a * np.exp(-t / t2) + c

    for i, row in enumerate(rows):
        p0 = (true[i], 100.0, 10.0)[: 2 + with_offset]
        best, covariance = curve_fit(curve, ECHOES, row, p0=p0, xtol=1e-12, ftol=1e-12, maxfev=10000)
        found = [fit.t2_ms[0, i], fit.amplitude[0, i], fit.offset[0, i]][: best.size]
        np.testing.assert_allclose(found, best, rtol=1e-4)
        assert fit.t2_se_ms[0, i] == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-3)


def test_what_is_not_trusted_has_its_reason():
    rows = np.stack(
        [
            decay(50.0, ECHOES),
            100.0 - 90.0 * np.exp(-ECHOES / 30.0),  # rises
            decay(50.0, ECHOES) * (1 + 0.5 * (-1.0) ** np.arange(8)),
            np.zeros(8),
            100.0 + 50.0 * np.exp(-ECHOES / 30.0),  # mostly offset
        ]
    )
    fit = fit_t2(rows[None], ECHOES, with_offset=True)
    assert fit.reasons[0, 0] == 0
    assert fit.reasons[0, 1] == Reason.IMPLAUSIBLE
    assert fit.reasons[0, 2] & (Reason.RESIDUAL | Reason.NOT_CONVERGED)
    assert fit.reasons[0, 3] == Reason.NOT_FITTED
    assert fit.reasons[0, 4] == Reason.IMPLAUSIBLE
    assert fit.t2_ms[0, 4] == pytest.approx(30.0, rel=1e-6)
    assert fit_t2(rows[None, :1], ECHOES, trusted_ms=(60.0, 90.0)).reasons[0, 0] == Reason.OUT_OF_RANGE
    assert fit_t2(rows[None, 1:2], ECHOES).reasons[0, 0] == Reason.NOT_CONVERGED
    assert fit_t2(rows[None, 2:3], ECHOES).reasons[0, 0] & Reason.RESIDUAL


@pytest.mark.parametrize(
    ("times", "settings", "match"),
    [
        (PREPARED, {"with_offset": True}, "offset is to be fitted to 3 different times, expected four, or a sat"),
        (np.array([0.0, 25.0, 55.0, np.inf]), {}, "saturation image .* no offset is fitted"),
        (ECHOES[:4], {"with_offset": True, "drop_first": True}, "fitted to 3 different times"),
        (np.array([0.0, 0.0, 25.0, 55.0]), {"with_offset": True}, "fitted to 3 different times"),
        (PREPARED, {"drop_first": True}, "at 2 different times, expected at least 3"),
        (np.array([45.0, np.inf]), {"with_offset": True}, "at 2 different times, expected at least 3"),
        (ECHOES / 1000, {}, "echo times .* look like seconds"),
        (ECHOES[[0, 2, 1]], {}, "expected increasing"),
    ],
)
def test_calls_that_are_refused(times, settings, match):
    with pytest.raises(UsageError, match=match):
        fit_t2(np.ones((2, 2, times.size)), times, **settings)


def test_nothing_is_dropped_from_a_series_of_another_length():
    with pytest.raises(UsageError, match="7 images .* but 8 times"):
        fit_t2(np.ones((2, 2, 7)), ECHOES, drop_first=True)
