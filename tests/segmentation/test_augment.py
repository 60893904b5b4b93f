import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="not run: needs the extra cnn")

from radiocard.segmentation.augment import IMAGE, MASK, SliceMotion, augmentation  # noqa: E402
from radiocard.specs import read_network  # noqa: E402

RECIPE = read_network("dynunet")


def sample(size=160, slices=None):
    i, j = np.ogrid[:size, :size]
    disc = (np.hypot(i - size / 2 + 0.5, j - size / 2 + 0.5) < 20).astype(np.float32)
    disc = disc if slices is None else np.repeat(disc[..., None], slices, axis=2)
    return {IMAGE: torch.from_numpy(disc[None].copy()), MASK: torch.from_numpy(disc[None].astype(np.uint8))}


def with_changes(recipe, **changes):
    return recipe.model_copy(update={"augmentation": recipe.augmentation.model_copy(update=changes)})


def test_the_mask_moves_with_the_image():
    still = dict.fromkeys(("bias_field", "blur_px", "noise", "motion_px"), 0.0) | {"gamma": 1.0, "probability": 1.0}
    recipe = with_changes(RECIPE, **still)
    changes = augmentation(recipe).set_random_state(3)
    for _ in range(10):
        out = changes(sample())
        image, mask = out[IMAGE][0].numpy() > 0.5, out[MASK][0].numpy() > 0
        assert image.shape == (128, 128)
        assert 2 * (image & mask).sum() / (image.sum() + mask.sum()) > 0.97


def test_without_changes_the_middle_is_cut_out():
    out = augmentation(with_changes(RECIPE, probability=0.0, flips=False)).set_random_state(0)(sample())
    np.testing.assert_allclose(out[IMAGE], sample()[IMAGE][:, 16:-16, 16:-16], atol=1e-6)


def test_a_seed_gives_the_same_sample():
    a, b, c = (augmentation(RECIPE).set_random_state(seed)(sample())[IMAGE] for seed in (5, 5, 6))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_slices_are_never_mixed():
    recipe = with_changes(read_network("dynunet_3d"), probability=1.0, noise=0.0, bias_field=0.0)
    data = sample(slices=4)
    data[IMAGE][..., 2:], data[MASK][..., 2:] = 0, 0
    out = augmentation(recipe).set_random_state(1)(data)
    assert out[IMAGE].shape == (1, 128, 128, 4)
    assert not out[MASK][..., 2:].any()
    assert out[MASK][..., :2].any()


def test_motion_keeps_the_mean_and_takes_lines_of_a_displaced_slice():
    plane = sample(64)[IMAGE]
    motion = SliceMotion(max_px=3.0, prob=1.0)
    motion.set_random_state(0)
    moved = motion({IMAGE: plane})[IMAGE]
    assert not torch.allclose(moved, plane, atol=1e-3)
    assert float(moved.mean()) == pytest.approx(float(plane.mean()), abs=1e-6)
    before, after = (torch.fft.fft2(x[0]).abs() for x in (plane, moved))
    assert after.square().sum() <= before.square().sum() * (1 + 1e-5)
    still = SliceMotion(max_px=0.0, prob=1.0)
    torch.testing.assert_close(still({IMAGE: plane})[IMAGE], plane, atol=1e-5, rtol=0)
