import pytest

from radiocard.specs.filters import GaborFilter, LogFilter

GABOR = {
    "kind": "gabor",
    "sigma_mm": 5,
    "wavelength_mm": 2,
    "gamma": 1.5,
    "rotation_invariant": True,
    "pooling": "average",
    "orthogonal_planes": False,
    "boundary": "mirror",
}


@pytest.mark.parametrize("n", range(1, 400))
def test_every_whole_number_of_steps_is_accepted(n):
    assert GaborFilter(theta_deg=360 / n, **GABOR).rotation_invariant


@pytest.mark.parametrize("theta", [0, 7, 100, 720, 1e12, 360 / 169.5, 359.999])
def test_a_step_that_does_not_divide_the_circle_is_refused(theta):
    with pytest.raises(ValueError, match="'theta_deg' must divide 360"):
        GaborFilter(theta_deg=theta, **GABOR)
    assert GaborFilter(theta_deg=theta, **GABOR | {"rotation_invariant": False}).theta_deg == theta


def test_names_write_numbers_exactly():
    common = {"kind": "laplacian_of_gaussian", "dimension": "2d", "truncate": 4, "boundary": "mirror"}
    names = [LogFilter(sigma_mm=sigma, **common).names[0] for sigma in (2, 1.5, 1.0000001)]
    assert names == [f"laplacian-of-gaussian-2d-{text}mm" for text in ("2", "1p5", "1p0000001")]
