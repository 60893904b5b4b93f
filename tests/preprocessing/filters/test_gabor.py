import numpy as np
import pytest
from scipy import ndimage

from radiocard.preprocessing.filters.gabor import gabor_kernel, gabor_response
from radiocard.preprocessing.filters.window import whole
from radiocard.specs.filters import GaborFilter

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(14, 13, 3))
SCIPY = {"mirror": "reflect", "nearest": "nearest", "zero": "constant", "periodic": "wrap"}


def settings(theta=30.0, invariant=False, planes=False, sigma=1.2, wavelength=3.0, gamma=0.7, pooling="max", **more):
    return GaborFilter(
        kind="gabor",
        sigma_mm=sigma,
        wavelength_mm=wavelength,
        gamma=gamma,
        theta_deg=theta,
        rotation_invariant=invariant,
        pooling=pooling,
        orthogonal_planes=planes,
        boundary=more.get("boundary", "mirror"),
    )


def gabor(array, asked, spacing=(1.0, 1.0, 1.0)):
    respond = gabor_response(whole(array), array.shape, spacing, asked)
    return respond(tuple(slice(0, n) for n in array.shape))


def test_kernel_is_that_of_the_manual():
    """arXiv:2006.05470: exp(-(a^2 + gamma^2 b^2) / 2 sigma^2 + 2 pi i a / lambda), a along theta."""
    kernel = gabor_kernel((1.0, 2.0), (2, 3), 90.0, settings())
    assert kernel.shape == (5, 7)
    assert kernel[2, 3] == 1
    np.testing.assert_allclose(kernel[2, 4], np.exp(-(4) / (2 * 1.44)) * np.exp(2j * np.pi * 2 / 3))
    np.testing.assert_allclose(kernel[3, 3], np.exp(-(0.49) / (2 * 1.44)), atol=1e-12)


@pytest.mark.parametrize("boundary", SCIPY)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 5.0), (1.0, 1.5, 5.0)], ids=str)
def test_response_is_the_modulus_of_a_direct_convolution(boundary, spacing):
    asked = settings(boundary=boundary)
    kernel = gabor_kernel(spacing[:2], (12, 12), asked.theta_deg, asked)[:, :, None]
    real, imaginary = (ndimage.convolve(ARRAY, part, mode=SCIPY[boundary]) for part in (kernel.real, kernel.imag))
    np.testing.assert_allclose(gabor(ARRAY, asked, spacing), np.hypot(real, imaginary), atol=1e-9)


def test_impulse_gives_the_envelope():
    array = np.zeros((31, 31, 1))
    array[15, 15, 0] = 1
    asked = settings(boundary="zero")
    expected = np.abs(gabor_kernel((1.0, 1.0), (15, 15), asked.theta_deg, asked))
    np.testing.assert_allclose(gabor(array, asked)[:, :, 0], expected, atol=1e-9)


def test_wave_along_theta_gives_the_strongest_response():
    """A wave of the kernel's own frequency gives half the integral of the envelope."""
    asked = settings(theta=0, sigma=4.0, wavelength=5.0, gamma=1.0, boundary="periodic")
    wave = np.cos(2 * np.pi * np.arange(50) / 5)[:, None, None] * np.ones((50, 50, 1))
    found = gabor(wave, asked)
    np.testing.assert_allclose(found, np.pi * 4.0**2, rtol=1e-3)
    assert gabor(wave.transpose(1, 0, 2), asked).max() < 0.01 * found.min()


@pytest.mark.parametrize("planes", [False, True])
def test_invariant_response_turns_with_the_image(planes):
    array = RNG.normal(size=(9, 9, 9))
    asked = settings(theta=45, invariant=True, planes=planes, pooling="average")
    found = gabor(np.rot90(array), asked)
    np.testing.assert_allclose(found, np.rot90(gabor(array, asked)), atol=1e-9)


@pytest.mark.parametrize(("pooling", "combine"), [("max", np.max), ("min", np.min), ("average", np.mean)])
@pytest.mark.parametrize("step", [45.0, 72.0])
def test_orientations_are_pooled_all_around(step, pooling, combine):
    each = [gabor(ARRAY, settings(theta=at)) for at in np.arange(0, 360, step)]
    found = gabor(ARRAY, settings(theta=step, invariant=True, pooling=pooling))
    np.testing.assert_allclose(found, combine(each, axis=0), atol=1e-9)


def test_orthogonal_planes_are_averaged():
    spacing = (1.0, 1.2, 1.5)
    array = RNG.normal(size=(9, 8, 7))
    each = []
    for axes in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        turned = gabor(array.transpose(axes), settings(), tuple(spacing[a] for a in axes))
        each.append(turned.transpose(np.argsort(axes)))
    np.testing.assert_allclose(gabor(array, settings(planes=True), spacing), np.mean(each, axis=0), atol=1e-9)
