import numpy as np
import pytest

from radiocard.cardiac.series import REASONS, Reason, checked_times, count_reasons, read_series
from radiocard.errors import GeometryError, IntensityError, MaskError, UsageError

TIMES = np.array([10.0, 20.0, 30.0])
IMAGES = np.ones((4, 5, 3))


def read(images=IMAGES, times=TIMES, mask=None, min_signal=0.0, least=3):
    return read_series(images, times, mask=mask, min_signal=min_signal, least=least)


def times_of(*values, infinite_last=False):
    return checked_times(values, name="echo times", seconds_below_ms=1.0, infinite_last=infinite_last)


def test_mask_and_threshold_choose_the_pixels():
    images = IMAGES * np.arange(20).reshape(4, 5, 1)
    mask = np.zeros((4, 5), dtype=bool)
    mask[:, 1:3] = True
    series = read(images, mask=mask, min_signal=6.0)
    assert series.fitted.sum() == 5
    assert np.argwhere(series.fitted).tolist() == [[1, 2], [2, 1], [2, 2], [3, 1], [3, 2]]
    np.testing.assert_array_equal(series.signal[:, 0], [7, 11, 12, 16, 17])
    assert mask.sum() == 8  # the caller's own array
    on_grid = series.on_grid(np.arange(5))
    assert on_grid[2, 2] == 2
    assert np.isnan(on_grid).sum() == 15


def test_pixels_outside_the_mask_may_be_anything():
    images = IMAGES.copy()
    images[0, 0] = np.nan
    mask = np.ones((4, 5), dtype=bool)
    mask[0, 0] = False
    assert read(images, mask=mask).fitted.sum() == 19


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"images": np.ones((4, 3))}, UsageError, "2 dimensions, expected .*series axis is the last"),
        ({"images": np.ones((4, 5, 2, 2, 3))}, UsageError, "5 dimensions"),
        ({"images": IMAGES * 1j}, UsageError, "type complex128, expected real.*magnitude of complex"),
        ({"images": np.moveaxis(IMAGES, 2, 0)}, UsageError, "5 images .shape .3, 4, 5.., but 3 times"),
        ({"times": TIMES[[0, 1, 1]]}, UsageError, "images at 2 different times, expected at least 3"),
        ({"least": 4}, UsageError, "images at 3 different times, expected at least 4"),
        ({"mask": np.ones((5, 4))}, GeometryError, r"Mask has shape \(5, 4\), expected \(4, 5\)"),
        ({"images": IMAGES * np.nan}, IntensityError, "60 signals .* NaN or infinite"),
        ({"images": -2 * IMAGES}, IntensityError, "lowest -2.*polarity is recovered"),
        ({"mask": np.zeros((4, 5))}, MaskError, "No pixel is to be fitted: 0 in the mask"),
        ({"min_signal": 1.0}, MaskError, "20 in the mask, none with a signal above 1"),
    ],
)
def test_series_that_cannot_be_fitted(settings, error, match):
    with pytest.raises(error, match=match):
        read(**settings)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ((), r"shape \(0,\)"),
        (((1.0, 2.0), (3.0, 4.0)), r"shape \(2, 2\), expected \(n,\)"),
        ((10.0, np.nan, 30.0), "10, nan, 30 ms, expected finite"),
        ((10.0, 20.0, np.inf), "expected finite.*Only the last"),
        ((-1.0, 20.0, 30.0), "from 0"),
        ((10.0, 30.0, 20.0), "ms, expected increasing.*Sort the images"),
        ((np.inf, 20.0, 30.0), "expected finite.*Only the last"),
        ((0.01, 0.02, 0.03), "0.01, 0.02, 0.03 ms, expected at least 1 ms.*look like seconds"),
        (tuple(np.arange(30.0)[::-1]), r"19, 18, \.\.\. ms"),
    ],
)
def test_times_that_cannot_be(values, match):
    with pytest.raises(UsageError, match=match):
        times_of(*values)


def test_the_last_time_may_be_infinite_where_allowed():
    assert times_of(0.0, 20.0, np.inf, infinite_last=True).tolist() == [0.0, 20.0, np.inf]
    assert times_of(0.0, 20.0, np.inf, np.inf, infinite_last=True).tolist() == [0.0, 20.0, np.inf, np.inf]
    with pytest.raises(UsageError, match="look like seconds"):
        times_of(0.01, 0.02, np.inf, infinite_last=True)
    with pytest.raises(UsageError, match="expected finite"):
        times_of(0.0, np.inf, 20.0, infinite_last=True)


def test_a_time_may_be_repeated():
    assert times_of(10.0, 10.0, 20.0).tolist() == [10.0, 10.0, 20.0]


def test_every_reason_has_words_and_is_counted():
    assert set(REASONS) == set(Reason)
    counts = count_reasons(np.array([[0, 1, 1], [2, 4 | 16, 0]], dtype=np.uint8))
    assert list(counts.values()) == [2, 1, 1, 0, 1]
