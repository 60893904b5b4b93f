import numpy as np
import pytest

from radiocard.cardiac.series import REASONS, Reason
from radiocard.cardiac.t2_star import fit_t2_star, fit_t2_star_region, iron_load
from radiocard.errors import GeometryError, MaskError, UsageError

TIMES = np.array([2.0, 4, 6, 8, 10, 12, 14, 16, 18])


def magnitude(t2_star, *, n, sd, amplitude=100.0):
    """Rician signal of n pixels: magnitude of a decaying real and a noisy imaginary channel."""
    rng = np.random.default_rng(7)
    real = amplitude * np.exp(-TIMES / t2_star) + sd * rng.standard_normal((n, TIMES.size))
    return np.hypot(real, sd * rng.standard_normal((n, TIMES.size)))


def test_noise_free_curves_are_recovered_with_all_echoes():
    true = np.linspace(3.0, 60.0, 58)
    fit = fit_t2_star(100.0 * np.exp(-TIMES / true[:, None])[None], TIMES)
    np.testing.assert_allclose(fit.t2_star_ms[0], true, rtol=1e-6)
    assert (fit.n_used == 9).all()
    assert fit.quality.all()


@pytest.mark.parametrize("t2_star", [3.0, 4.0, 5.0])
def test_truncation_removes_the_bias_of_the_noise_floor(t2_star):
    images = magnitude(t2_star, n=2000, sd=4.0)[None]
    whole, cut = fit_t2_star(images, TIMES), fit_t2_star(images, TIMES, noise_sd=4.0)
    bias = np.median(whole.t2_star_ms) / t2_star - 1
    left = np.median(cut.t2_star_ms) / t2_star - 1
    assert bias > 0.05
    assert abs(left) < 0.5 * bias
    assert abs(left) < 0.05


def test_echoes_are_used_up_to_three_times_the_noise():
    # 100 exp(-t/5) falls below 12 after 10.6 ms
    fit = fit_t2_star(100.0 * np.exp(-TIMES / 5.0)[None, None], TIMES, noise_sd=4.0)
    assert fit.n_used[0, 0] == 5
    assert fit.t2_star_ms[0, 0] == pytest.approx(5.0, rel=1e-6)
    assert fit_t2_star(100.0 * np.exp(-TIMES / 50.0)[None, None], TIMES, noise_sd=4.0).n_used[0, 0] == 9
    assert fit_t2_star(100.0 * np.exp(-TIMES / 1.5)[None, None], TIMES, noise_sd=4.0).n_used[0, 0] == 3


def test_signal_without_a_fit_is_cut_off_by_itself():
    strong = np.full(9, 50.0)
    strong[:3] = 52.0, 51.0, 50.0  # these echoes alone would decay
    strong[5:] = 54.0
    faint = np.full(9, 7.0)
    faint[0], faint[5:] = 16.0, 14.0  # above three times the noise at the first echo only
    fit = fit_t2_star(np.stack([strong, faint])[None], TIMES, noise_sd=4.0)
    assert fit.reasons[0, 0] == Reason.NOT_CONVERGED
    assert np.isnan(fit.t2_star_ms[0, 0])
    assert fit.n_used.tolist() == [[0, 3]]


def test_the_septum_is_fitted_by_its_mean_signal():
    pixels = magnitude(8.0, n=100, sd=4.0)
    images = np.zeros((12, 12, 9))
    images[1:11, 1:11] = pixels.reshape(10, 10, 9)
    region = np.zeros((12, 12), dtype=bool)
    region[1:11, 1:11] = True
    found = fit_t2_star_region(images, TIMES, region=region, noise_sd=4.0)
    np.testing.assert_allclose(found.signal, pixels.mean(axis=0))
    assert found.n_pixels == 100
    assert found.n_used < 9
    assert found.t2_star_ms == pytest.approx(8.0, rel=0.05)
    assert found.t2_star_se_ms > 0
    assert found.residual_rel < 0.05
    assert found.reasons == ()


def test_a_region_that_does_not_decay_says_so():
    images = np.full((3, 3, 9), 50.0)
    found = fit_t2_star_region(images, TIMES, region=np.ones((3, 3), dtype=bool))
    assert np.isnan(found.t2_star_ms)
    assert found.reasons == (REASONS[Reason.NOT_CONVERGED],)
    assert found.n_used == 0


@pytest.mark.parametrize(
    ("t2_star_ms", "load"),
    [(35.0, "none"), (20.0, "none"), (19.99, "mild to moderate"), (10.0, "mild to moderate"), (9.99, "severe")],
)
def test_iron_load_by_the_published_thresholds(t2_star_ms, load):
    assert iron_load(t2_star_ms, field_strength_t=1.5) == load


@pytest.mark.parametrize(
    ("value", "field", "match"),
    [
        (15.0, 3.0, "measured at 3 T, expected 1.5 T.*do not hold"),
        (0.015, 1.5, "T2. is 0.015 ms.*seconds"),
        (np.nan, 1.5, "T2. is nan ms"),
    ],
)
def test_iron_load_is_not_named_elsewhere(value, field, match):
    with pytest.raises(UsageError, match=match):
        iron_load(value, field_strength_t=field)


@pytest.mark.parametrize("noise_sd", [0.0, -1.0, np.nan])
def test_noise_must_be_positive(noise_sd):
    with pytest.raises(UsageError, match="expected a positive standard deviation"):
        fit_t2_star(np.ones((2, 2, 9)), TIMES, noise_sd=noise_sd)


def test_series_and_regions_that_are_refused():
    with pytest.raises(UsageError, match="look like seconds"):
        fit_t2_star(np.ones((2, 2, 9)), TIMES / 1000)
    with pytest.raises(UsageError, match="at 2 different times, expected at least 3"):
        fit_t2_star(np.ones((2, 2, 2)), TIMES[:2])
    with pytest.raises(GeometryError, match=r"Region has shape \(3, 2\), expected \(2, 2\)"):
        fit_t2_star_region(np.ones((2, 2, 9)), TIMES, region=np.ones((3, 2), dtype=bool))
    with pytest.raises(MaskError, match="region has no pixel"):
        fit_t2_star_region(np.ones((2, 2, 9)), TIMES, region=np.zeros((2, 2), dtype=bool))
