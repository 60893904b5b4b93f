import numpy as np
import pytest
from scipy import ndimage

from radiocard.preprocessing.filters.linear import laws_response, log_response, mean_response
from radiocard.preprocessing.filters.window import whole
from radiocard.specs.filters import LawsFilter, LogFilter, MeanFilter

RNG = np.random.default_rng(0)
SHAPE = (12, 11, 10)
ARRAY = RNG.normal(size=SHAPE)
FULL = tuple(slice(0, n) for n in SHAPE)
SCIPY = {"mirror": "reflect", "nearest": "nearest", "zero": "constant", "periodic": "wrap"}
LAWS = {  # arXiv:2006.05470, table of normalised Laws kernels
    "L3": np.array([1, 2, 1]) / np.sqrt(6),
    "E3": np.array([-1, 0, 1]) / np.sqrt(2),
    "S3": np.array([-1, 2, -1]) / np.sqrt(6),
    "L5": np.array([1, 4, 6, 4, 1]) / np.sqrt(70),
    "E5": np.array([-1, -2, 0, 2, 1]) / np.sqrt(10),
    "S5": np.array([-1, 0, 2, 0, -1]) / np.sqrt(6),
    "W5": np.array([-1, 2, 0, -2, 1]) / np.sqrt(10),
    "R5": np.array([1, -4, 6, -4, 1]) / np.sqrt(70),
}


def impulse(n=21):
    out = np.zeros((n, n, n))
    out[n // 2, n // 2, n // 2] = 1.0
    return out


def mean(array, dimension="3d", support=5, boundary="mirror"):
    settings = MeanFilter(kind="mean", dimension=dimension, support_voxel=support, boundary=boundary)
    return mean_response(whole(array), array.shape, settings)(tuple(slice(0, n) for n in array.shape))


def log(array, spacing=(1.0, 1.0, 1.0), dimension="3d", sigma=1.5, truncate=4.0, boundary="mirror"):
    settings = LogFilter(
        kind="laplacian_of_gaussian", dimension=dimension, sigma_mm=sigma, truncate=truncate, boundary=boundary
    )
    respond = log_response(whole(array), array.shape, spacing, settings)
    return respond(tuple(slice(0, n) for n in array.shape))


def laws(array, kernels, invariant=False, energy=0, pooling="max", boundary="mirror"):
    settings = LawsFilter(
        kind="laws",
        kernels=kernels,
        rotation_invariant=invariant,
        pooling=pooling,
        energy_distance=energy,
        boundary=boundary,
    )
    return laws_response(whole(array), array.shape, settings)(tuple(slice(0, n) for n in array.shape))


@pytest.mark.parametrize("boundary", SCIPY)
@pytest.mark.parametrize(("dimension", "size"), [("3d", (5, 5, 5)), ("2d", (5, 5, 1))])
def test_mean_is_that_of_scipy(dimension, size, boundary):
    expected = ndimage.uniform_filter(ARRAY, size=size, mode=SCIPY[boundary])
    np.testing.assert_allclose(mean(ARRAY, dimension, boundary=boundary), expected, atol=1e-12)


def test_mean_of_one_voxel_is_the_image():
    np.testing.assert_array_equal(mean(ARRAY, support=1), ARRAY)


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_log_of_an_impulse_is_the_kernel_of_the_manual(dimension):
    """arXiv:2006.05470: (1 / (sqrt(2 pi) s))^D (|k|^2 / s^4 - D / s^2) exp(-|k|^2 / 2 s^2)."""
    s, n = 1.5, 21
    d = 2 if dimension == "2d" else 3
    k = np.stack(np.meshgrid(*[np.arange(n) - n // 2] * 3, indexing="ij"))[:d]
    squared = (k**2).sum(axis=0)
    kernel = (np.sqrt(2 * np.pi) * s) ** -d * (squared / s**4 - d / s**2) * np.exp(-squared / (2 * s**2))
    kernel[(np.abs(k) > 6).any(axis=0)] = 0  # 4 standard deviations
    if dimension == "2d":
        kernel[:, :, np.arange(n) != n // 2] = 0
    # sampling and truncation leave a remainder of 1e-4, which is taken out
    np.testing.assert_allclose(log(impulse(n), dimension=dimension), kernel, atol=2e-3 * np.abs(kernel).max())


def test_log_support_is_that_of_the_manual():
    """1 + 2 floor(d s + 0.5) voxels."""
    for sigma, radius in ((1.5, 6), (1.1, 4), (1.13, 5)):
        hit = np.flatnonzero(log(impulse(), sigma=sigma)[:, 10, 10])
        assert (hit[0], hit[-1]) == (10 - radius, 10 + radius)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 1.5, 2.0)], ids=str)
def test_log_of_a_parabola_is_its_curvature_per_squared_edge(spacing):
    x, y, z = np.meshgrid(*(np.arange(41) * s for s in spacing), indexing="ij")
    edge_squared = np.prod(spacing) ** (2 / 3)
    found = log(3 * x**2 - y**2 + 2 * z**2 + 5 * x - 7, spacing, sigma=4.0, truncate=5.0)
    assert found[20, 20, 20] == pytest.approx((6 - 2 + 4) * edge_squared, rel=2e-3)


def test_log_of_a_sinusoid_is_its_transfer_function():
    omega, sigma = 2 * np.pi / 10, 2.0
    x = np.arange(40)[:, None, None] * np.ones((40, 30, 30))
    wave = np.cos(omega * x)
    found = log(wave, sigma=sigma, truncate=6.0, boundary="periodic")
    np.testing.assert_allclose(found, -(omega**2) * np.exp(-((omega * sigma) ** 2) / 2) * wave, atol=1e-4)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.4, 1.4, 8.0)], ids=str)
@pytest.mark.parametrize("boundary", ["mirror", "nearest", "periodic"])
def test_log_of_a_constant_is_zero(boundary, spacing):
    np.testing.assert_allclose(log(np.full(SHAPE, 300.0), spacing, sigma=2.0, boundary=boundary), 0, atol=1e-10)


@pytest.mark.parametrize("kernels", ["E5L5S5", "E3W5R5", "L5S5", "L3E3S3"])
def test_laws_of_an_impulse_is_the_outer_product(kernels):
    names = [kernels[at : at + 2] for at in range(0, len(kernels), 2)]
    found = laws(impulse(9), kernels, boundary="zero")
    expected = np.zeros((9, 9, 9))
    factors = [LAWS[name] for name in names] + [np.ones(1)] * (3 - len(names))
    parts = tuple(slice(4 - f.size // 2, 5 + f.size // 2) for f in factors)
    expected[parts] = np.einsum("i,j,k->ijk", *factors)
    np.testing.assert_allclose(found, expected, atol=1e-15)


@pytest.mark.parametrize("kernels", ["E5L5S5", "W5R5", "L3E3S3"])
def test_laws_of_a_constant_is_zero(kernels):
    np.testing.assert_allclose(laws(np.full(SHAPE, 300.0), kernels, invariant=True, energy=2), 0, atol=1e-10)


def test_laws_level_of_a_constant_is_the_sum_of_its_weights():
    np.testing.assert_allclose(laws(np.ones(SHAPE), "L5L5"), 16**2 / 70)


def test_laws_energy_is_the_mean_magnitude_nearby():
    plain = laws(ARRAY, "E5L5S5")
    expected = ndimage.uniform_filter(np.abs(plain), size=5, mode="reflect")
    np.testing.assert_allclose(laws(ARRAY, "E5L5S5", energy=2), expected, atol=1e-12)


@pytest.mark.parametrize("pooling", ["max", "min", "average"])
@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 2)])
def test_invariant_laws_turn_with_the_image(axes, pooling):
    array = RNG.normal(size=(8, 8, 8))
    found = laws(np.rot90(array, axes=axes), "E5L3S5", invariant=True, energy=1, pooling=pooling)
    expected = np.rot90(laws(array, "E5L3S5", invariant=True, energy=1, pooling=pooling), axes=axes)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_invariant_laws_pool_all_turned_images():
    array = RNG.normal(size=(8, 8, 3))
    turned = [np.rot90(laws(np.rot90(array, n), "E5L3"), -n) for n in range(4)]
    for pooling, combine in (("max", np.max), ("min", np.min), ("average", np.mean)):
        found = laws(array, "E5L3", invariant=True, pooling=pooling)
        np.testing.assert_allclose(found, combine(turned, axis=0), atol=1e-12)
