import numpy as np
import pytest

from radiocard.simulate.map_images import MAP_SITES, Blood, paint_maps
from radiocard.simulate.map_structure import WallValues

WHERE = (slice(None), slice(8, 24), slice(8, 24))


def test_post_contrast_t1_and_ecv_are_inverse():
    blood = Blood(1800.0, 400.0, 41.0)
    # Scientific Reports 8 (2018), doi:10.1038/s41598-018-27049-1: controls with 24 % ECV have 623 (37) ms
    post = blood.post_contrast(np.array(1243.0), np.array(24.0))
    assert post == pytest.approx(623, abs=37)
    assert blood.ecv_pct(np.array(1243.0), post) == pytest.approx(24.0)


def painted(seed=0, strength=3.0):
    """Liver with a square of myocardium beside a square of blood."""
    chest = np.full((1, 32, 32), 0.32, dtype=np.float32)
    shares = {
        name: np.zeros((1, 16, 16), np.float32) for name in ("chest", "fat", "rv_wall", "rv_blood", "muscle", "blood")
    }
    shares["muscle"][:, :, :8], shares["blood"][:, :, 8:] = 1, 1
    wall = WallValues(*(np.full((1, 16, 16), v) for v in (1243.0, 24.0, 45.0)))
    blood, rng = Blood(1800.0, 400.0, 41.0), np.random.default_rng(seed)
    return paint_maps(chest, WHERE, shares, wall, blood, site=MAP_SITES[0], field_strength_t=strength, rng=rng)


def test_tissues_have_their_values_and_the_noise_of_the_site():
    maps = painted()
    muscle, blood = (slice(None), slice(11, 21), slice(10, 14)), (slice(None), slice(11, 21), slice(18, 22))
    assert maps["t1_native"][muscle].mean() == pytest.approx(1243, abs=15)
    assert maps["t1_native"][blood].mean() == pytest.approx(1800, abs=15)
    assert maps["t1_post"][blood].mean() == pytest.approx(400, abs=8)
    assert maps["t2"][muscle].mean() == pytest.approx(45, abs=1.5)
    assert maps["ecv"][muscle].mean() == pytest.approx(24, abs=1.5)
    assert maps["ecv"][blood].mean() == pytest.approx(59, abs=3)  # 1 - haematocrit
    noise = np.std([painted(seed)["t1_native"][0, 12, 12] for seed in range(120)])
    assert noise == pytest.approx(MAP_SITES[0].noise_ms, rel=0.2)


def test_a_pixel_of_two_tissues_has_a_value_between_them():
    column = painted()["t1_native"][0, 10:22, 15:17].mean()
    assert 1400 < column < 1650


def test_liver_has_a_shorter_t1_at_the_lower_field():
    assert painted(strength=1.5)["t1_native"][0, :5].mean() < painted()["t1_native"][0, :5].mean() - 150
