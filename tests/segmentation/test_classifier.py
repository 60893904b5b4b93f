import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from radiocard.segmentation.classifier import (  # noqa: E402
    MARGIN_PX,
    build_classifier,
    changed,
    class_probabilities,
    class_weights,
    cropped,
    train_classifier,
)
from radiocard.segmentation.saliency import grad_cam, occlusion_map  # noqa: E402
from radiocard.specs import read_as  # noqa: E402
from radiocard.specs.classifier import ClassifierRecipe  # noqa: E402

SIZE = 32


@pytest.fixture(scope="module")
def recipe():
    shipped = read_as(ClassifierRecipe, "densenet_cine", "models")
    still = {"rotation_deg": 0.0, "shift_px": 0.0, "scale": 0.0}
    return shipped.model_copy(
        update={
            "slices": 2,
            "features": 8,
            "growth": 8,
            "blocks": (2,),
            "dropout": 0.0,
            "grid": shipped.grid.model_copy(update={"size_px": SIZE}),
            "augmentation": shipped.augmentation.model_copy(update=still),
            "training": shipped.training.model_copy(update={"epochs": 12, "learning_rate": 0.01}),
        }
    )


def _hearts(n, seed):
    """Noise; class 1 has a bright patch in the second slice of end-diastole."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    side = SIZE + 2 * MARGIN_PX
    hearts = rng.normal(0, 0.5, (n, 4, side, side)).astype(np.float32)
    at = slice(MARGIN_PX + 4, MARGIN_PX + 12), slice(MARGIN_PX + 18, MARGIN_PX + 26)
    hearts[codes == 1, 1, at[0], at[1]] += 3.0
    return hearts, codes


@pytest.fixture(scope="module")
def trained(recipe):
    torch.set_num_threads(1)
    return train_classifier(recipe, _hearts(32, 0), _hearts(12, 1), n_classes=2, seed=3)


def test_it_learns_what_tells_the_classes_apart(trained):
    hearts, codes = _hearts(40, 2)
    p = class_probabilities(trained.network, cropped(hearts))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    assert (p.argmax(axis=1) == codes).mean() >= 0.95
    assert min(trained.losses) == trained.losses[trained.best_epoch - 1]


def test_the_same_seed_gives_the_same_network(recipe, trained):
    again = train_classifier(recipe, _hearts(32, 0), _hearts(12, 1), n_classes=2, seed=3)
    assert again.losses == trained.losses


def test_no_epoch_follows_when_patience_is_at_an_end(recipe):
    plan = recipe.training.model_copy(update={"patience": 2, "epochs": 40, "learning_rate": 1e-9})
    stopped = train_classifier(
        recipe.model_copy(update={"training": plan}), _hearts(8, 0), _hearts(4, 1), n_classes=2, seed=0
    )
    assert len(stopped.losses) == stopped.best_epoch + 2 or len(stopped.losses) == 40


def _still(recipe, **changes):
    none = {"rotation_deg": 0.0, "scale": 0.0, "shift_px": 0.0, "gamma": 1.0, "noise": 0.0, "probability": 1.0}
    return recipe.model_copy(update={"augmentation": recipe.augmentation.model_copy(update=none | changes)})


def test_without_changes_a_heart_loses_its_margin_only(recipe):
    hearts = _hearts(3, 0)[0]
    out = changed(torch.from_numpy(hearts), _still(recipe), torch.Generator().manual_seed(0))
    np.testing.assert_allclose(out.numpy(), cropped(hearts), atol=1e-4)


def test_a_turn_keeps_a_round_heart_and_all_slices_move_alike(recipe):
    side = SIZE + 2 * MARGIN_PX
    at = np.arange(side) - (side - 1) / 2
    ball = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / 50).astype(np.float32)
    hearts = torch.from_numpy(np.broadcast_to(ball, (4, 4, side, side)).copy())
    random = torch.Generator().manual_seed(1)
    turned = changed(hearts, _still(recipe, rotation_deg=180.0), random)
    torch.testing.assert_close(turned, torch.from_numpy(cropped(hearts.numpy())), atol=0.02, rtol=0)
    moved = changed(hearts, _still(recipe, shift_px=6.0, scale=0.2), random)
    assert torch.equal(moved, moved[:, :1].expand_as(moved))
    assert not torch.allclose(moved[0], moved[1], atol=0.05)
    steps = torch.arange(SIZE) - (SIZE - 1) / 2
    shift = [float((moved[0, 0].sum(dim=d) * steps).sum() / moved[0, 0].sum()) for d in (0, 1)]
    assert 0.3 < np.hypot(*shift) < 1.3 * 6 * np.sqrt(2)


def test_grey_values_stay_in_their_range_under_a_change_of_contrast(recipe):
    hearts = torch.from_numpy(_hearts(4, 0)[0])
    plain, bent = (changed(hearts, _still(recipe, gamma=g), torch.Generator().manual_seed(2)) for g in (1.0, 2.0))
    for reduce in (torch.amin, torch.amax):
        torch.testing.assert_close(reduce(bent, (1, 2, 3)), reduce(plain, (1, 2, 3)), atol=1e-4, rtol=0)
    order = [x[0].flatten().argsort() for x in (plain, bent)]
    assert (plain[0].flatten()[order[1]].diff() >= -1e-4).all()
    assert not torch.allclose(plain, bent, atol=0.05)


def test_each_class_weighs_the_same(recipe):
    codes = np.array([0] * 6 + [1] * 3 + [3])
    weights = class_weights(codes, 4)
    totals = [weights[codes][codes == c].sum() for c in (0, 1, 3)]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)
    assert weights[codes].mean() == pytest.approx(1)


def test_a_heart_is_the_mean_of_its_slices_in_any_order(recipe):
    network = build_classifier(recipe, 5).eval()
    hearts = torch.randn(3, 8, SIZE, SIZE, generator=torch.Generator().manual_seed(0))  # four slices of two phases
    with torch.inference_mode():
        whole = network(hearts)
        each = [network.encoder(hearts[:, [k, k + 4]]) for k in range(4)]
        turned = network(hearts[:, [2, 0, 3, 1, 6, 4, 7, 5]])
    assert whole.shape == (3, 5)
    torch.testing.assert_close(whole, torch.stack(each).mean(dim=0))
    torch.testing.assert_close(whole, turned)


def test_both_maps_peak_in_the_patch_that_makes_the_class(trained):
    hearts, codes = _hearts(8, 4)
    heart = cropped(hearts)[np.flatnonzero(codes == 1)[0]]
    inside = np.zeros((SIZE, SIZE), dtype=bool)
    inside[4:12, 18:26] = True
    hidden = occlusion_map(heart, lambda x: class_probabilities(trained.network, x), answer=1, slices=2)
    k, i, j = np.unravel_index(hidden.argmax(), hidden.shape)
    assert (k, inside[i, j]) == (1, True)
    cam = grad_cam(trained.network, heart, answer=1)
    assert cam.shape == (2, SIZE, SIZE)
    assert cam.min() >= 0
    assert cam.max() == 1
    assert cam[1][inside].mean() > 3 * cam[1][~inside].mean()
    k, i, j = np.unravel_index(cam.argmax(), cam.shape)
    assert (k, 2 <= i < 14, 16 <= j < 28) == (1, True, True)  # cells of the last layer are 8 pixels wide
