import numpy as np
import pytest
import pywt
from scipy import ndimage

from radiocard.errors import SpecError
from radiocard.preprocessing.filters.wavelets import wavelet_filters, wavelet_responses
from radiocard.preprocessing.filters.window import whole
from radiocard.specs.filters import WaveletFilter

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(16, 12, 8))
SCIPY = {"mirror": "reflect", "nearest": "nearest", "zero": "constant", "periodic": "wrap"}


def wavelet(array, subbands, level=1, name="db3", boundary="periodic", box=None, **more):
    settings = WaveletFilter(
        kind="separable_wavelet",
        wavelet=name,
        level=level,
        subbands=subbands,
        decimated=more.get("decimated", False),
        rotation_invariant=more.get("invariant", False),
        pooling=more.get("pooling", "average"),
        boundary=boundary,
    )
    box = box or tuple(slice(0, n) for n in array.shape)
    return [respond(box) for respond in wavelet_responses(whole(array), array.shape, settings)]


@pytest.mark.parametrize("boundary", SCIPY)
@pytest.mark.parametrize("name", ["haar", "db3", "coif1"])
def test_subbands_are_separable_convolutions(name, boundary):
    filters = {"L": pywt.Wavelet(name).dec_lo, "H": pywt.Wavelet(name).dec_hi}
    for band, found in zip(
        ("LLH", "HLL", "LHH"), wavelet(ARRAY, ("LLH", "HLL", "LHH"), 1, name, boundary), strict=True
    ):
        padded = np.pad(
            ARRAY, 10, mode={"zero": "constant", "mirror": "symmetric", "nearest": "edge"}.get(boundary, "wrap")
        )
        for axis, letter in enumerate(band):
            padded = ndimage.convolve1d(padded, filters[letter], axis=axis, mode="constant")
        np.testing.assert_allclose(found, padded[10:-10, 10:-10, 10:-10], atol=1e-12)


def test_two_letters_act_in_the_slice_plane():
    (found,) = wavelet(ARRAY, ("LH",))
    for k in range(ARRAY.shape[2]):
        (alone,) = wavelet(ARRAY[:, :, k : k + 1], ("LH",))
        np.testing.assert_allclose(found[:, :, k : k + 1], alone, atol=1e-12)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("name", ["haar", "db2", "coif1"])
def test_levels_are_those_of_the_stationary_transform(name, level):
    """Up to a shift by whole voxels; the low-pass along j multiplies by sqrt(2) at each level."""
    x = RNG.normal(size=64)
    (found,) = wavelet(np.tile(x[:, None, None], (1, 2, 1)), ("HL",), level, name)
    _, detail = pywt.swt(x, name, level=level)[0]
    expected = detail * np.sqrt(2) ** level
    assert any(np.allclose(np.roll(found[:, 0, 0], shift), expected) for shift in range(-12, 13))


@pytest.mark.parametrize("level", [1, 2])
def test_constants_pass_the_low_band_only(level):
    low, high = wavelet(np.full((8, 8, 8), 3.0), ("LLL", "LLH"), level, boundary="mirror")
    np.testing.assert_allclose(low, 3 * np.sqrt(2) ** (3 * level))
    np.testing.assert_allclose(high, 0, atol=1e-10)


@pytest.mark.parametrize(("pooling", "combine"), [("max", np.max), ("min", np.min), ("average", np.mean)])
@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", ["db3", "coif1", "haar"])
def test_invariant_subbands_pool_all_turned_images(name, level, pooling, combine):
    array = RNG.normal(size=(10, 10, 2))
    turned = [np.rot90(wavelet(np.rot90(array, n), ("LH",), level, name, "mirror")[0], -n) for n in range(4)]
    (found,) = wavelet(array, ("LH",), level, name, "mirror", invariant=True, pooling=pooling)
    np.testing.assert_allclose(found, combine(turned, axis=0), atol=1e-12)


@pytest.mark.parametrize("axes", [(0, 1), (1, 2)])
def test_invariant_subbands_turn_with_the_image(axes):
    array = RNG.normal(size=(8, 8, 8))
    (found,) = wavelet(np.rot90(array, axes=axes), ("LHH",), 2, "db2", "mirror", invariant=True, pooling="max")
    (expected,) = wavelet(array, ("LHH",), 2, "db2", "mirror", invariant=True, pooling="max")
    np.testing.assert_allclose(found, np.rot90(expected, axes=axes), atol=1e-12)


@pytest.mark.parametrize("level", [1, 2])
def test_decimated_samples_are_held(level):
    (dense,) = wavelet(ARRAY, ("LHL",), level, decimated=False)
    (found,) = wavelet(ARRAY, ("LHL",), level, decimated=True)
    step = 2**level
    kept = dense[::step, ::step, ::step]
    np.testing.assert_allclose(found, kept.repeat(step, 0).repeat(step, 1).repeat(step, 2), atol=1e-12)


def test_decimated_samples_are_those_of_the_discrete_transform():
    x = RNG.normal(size=16)
    (found,) = wavelet(np.tile(x[:, None, None], (1, 2, 1)), ("HL",), 1, "haar", decimated=True)
    np.testing.assert_allclose(found[::2, 0, 0], np.sqrt(2) * pywt.dwt(x, "haar")[1], atol=1e-12)


@pytest.mark.parametrize("name", ["haar", "db3", "coif1"])
def test_every_other_sample_of_level_two_is_level_one_of_every_other_sample(name):
    array = np.tile(RNG.normal(size=32)[:, None, None], (1, 2, 1))
    (low,) = wavelet(array, ("LL",), 1, name)
    (expected,) = wavelet(low[::2], ("HL",), 1, name)
    (found,) = wavelet(array, ("HL",), 2, name)
    np.testing.assert_allclose(found[::2], expected, atol=1e-12)


@pytest.mark.parametrize("decimated", [False, True])
@pytest.mark.parametrize("boundary", SCIPY)
def test_a_box_is_a_part_of_the_whole(boundary, decimated):
    box = (slice(3, 9), slice(0, 5), slice(5, 8))
    (full,) = wavelet(ARRAY, ("LHH",), 2, "db3", boundary, decimated=decimated)
    (part,) = wavelet(ARRAY, ("LHH",), 2, "db3", boundary, box=box, decimated=decimated)
    np.testing.assert_array_equal(part, full[box])


def test_filters_are_orthonormal():
    for name in ("haar", "db3", "coif1", "sym4"):
        low, high = wavelet_filters(name).values()
        assert low.sum() == pytest.approx(np.sqrt(2))
        assert high.sum() == pytest.approx(0, abs=1e-8)
        assert low @ high == pytest.approx(0, abs=1e-8)


def test_unknown_wavelet_is_refused():
    with pytest.raises(SpecError, match="There is no discrete wavelet 'coif99'"):
        wavelet(ARRAY, ("LLH",), name="coif99")
