import numpy as np
import pytest

from radiocard.errors import GeometryError, UsageError
from radiocard.simulate.bloch import molli_signal
from radiocard.simulate.schemes import MolliProtocol
from radiocard.simulate.series import add_rician_noise, shift_images, simulate_molli_series

PROTOCOL = {"protocol": MolliProtocol(), "heart_rate_bpm": 60.0, "seed": 1}


def maps():
    t1, t2, pd = np.full((12, 10), 1000.0), np.full((12, 10), 45.0), np.zeros((12, 10))
    pd[3:7, 4:6] = 200.0
    t1[pd == 0], t2[pd == 0] = 0.0, 0.0
    return t1, t2, pd


def test_each_pixel_has_the_signal_of_its_tissue():
    times, images = simulate_molli_series(*maps(), **PROTOCOL)
    expected = molli_signal(1000.0, 45.0, protocol=PROTOCOL["protocol"], heart_rate_bpm=60.0)
    np.testing.assert_array_equal(times, expected[0])
    np.testing.assert_allclose(images[4, 5], 200.0 * expected[1])
    assert images.shape == (12, 10, times.size)
    assert not images[0].any()


def test_known_shifts_move_the_content():
    shifts = np.zeros((8, 2))
    shifts[2], shifts[5] = (2.0, -1.0), (0.5, 0.0)
    still, moved = (simulate_molli_series(*maps(), **PROTOCOL, shifts_pixels=s)[1] for s in (None, shifts))
    np.testing.assert_allclose(moved[5:9, 3:5, 2], still[3:7, 4:6, 2])
    np.testing.assert_allclose(moved[:, :, 0], still[:, :, 0])
    np.testing.assert_allclose(moved[3, 4, 5], still[3, 4, 5] / 2)  # half a pixel off the edge


def test_noise_is_rician_and_follows_the_seed():
    noisy = [simulate_molli_series(*maps(), **{**PROTOCOL, "seed": s}, noise=5.0)[1] for s in (1, 1, 2)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert (noisy[0] != noisy[2]).any()
    many = add_rician_noise(np.full(200_000, 3.0), 1.5, rng=np.random.default_rng(0))
    # second moment of the Rice distribution (Gudbjartsson and Patz, MRM 34 (1995) 910)
    assert (many**2).mean() == pytest.approx(3.0**2 + 2 * 1.5**2, rel=0.01)


def test_refuses_impossible_series():
    t1, t2, pd = maps()
    with pytest.raises(GeometryError, match=r"Maps have shapes \(12, 10\), \(11, 10\)"):
        simulate_molli_series(t1, t2[1:], pd, **PROTOCOL)
    with pytest.raises(UsageError, match="Proton density is as low as -1.0"):
        simulate_molli_series(t1, t2, pd - 1, **PROTOCOL)
    with pytest.raises(GeometryError, match=r"Shifts have shape \(3, 2\), expected \(8, 2\)"):
        shift_images(np.zeros((4, 4, 8)), np.zeros((3, 2)))
    with pytest.raises(UsageError, match="Noise is -1.0"):
        simulate_molli_series(t1, t2, pd, **PROTOCOL, noise=-1.0)
