import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from radiocard.errors import ModelError, UsageError  # noqa: E402
from radiocard.segmentation.initial import PRETRAINING, PretrainingCard, read_initial, write_pretraining  # noqa: E402
from radiocard.segmentation.networks import build_network  # noqa: E402
from radiocard.segmentation.pretrain import (  # noqa: E402
    PATCH_PX,
    hidden_pixels,
    masked_loss,
    pretrain_network,
    without_output,
)
from radiocard.segmentation.weights import network_state, save_weights, transfer_weights  # noqa: E402
from radiocard.specs import read_network  # noqa: E402

NAMES = ("unet", "residual_unet", "attention_unet", "dynunet", "dynunet_3d")


def _small(name):
    recipe = read_network(name)
    return recipe.model_copy(
        update={
            "channels": (4, 8, 16),
            "deep_supervision": 1 if recipe.deep_supervision else 0,
            "grid": recipe.grid.model_copy(update={"size_px": 64}),
            "training": recipe.training.model_copy(update={"batch_size": 4, "learning_rate": 0.01}),
        }
    )


def _waves(n, slices=3):
    """Smooth images: what is hidden follows from what is seen."""
    i, j = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    rng = np.random.default_rng(0)
    return [
        np.stack([np.sin(i / 20 + rng.uniform(0, 6)) + np.sin(j / 20 + rng.uniform(0, 6)) for _ in range(slices)])
        .astype(np.float32)
        for _ in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(5, 1, 128, 128), (2, 1, 64, 64, 8)])
def test_six_tenths_of_the_patches_are_hidden_and_nothing_but_whole_patches(shape):
    hidden = hidden_pixels(shape, np.random.default_rng(1))
    assert hidden.shape == shape
    side = shape[2] // PATCH_PX
    first = hidden[..., 0] if len(shape) == 5 else hidden
    assert len(shape) != 5 or (hidden == hidden[..., :1]).all()
    patches = first.reshape(shape[0], side, PATCH_PX, side, PATCH_PX)
    assert (patches.all(axis=(2, 4)) == patches.any(axis=(2, 4))).all()
    assert (patches.all(axis=(2, 4)).sum(axis=(1, 2)) == round(0.6 * side**2)).all()
    assert not (hidden[0] == hidden[1]).all()


def test_only_hidden_pixels_count():
    images = torch.zeros(1, 1, 4, 4)
    hidden = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    hidden[..., :2] = True
    output = torch.where(hidden, 3.0, 1000.0)
    assert float(masked_loss(output, images, hidden)) == pytest.approx(9.0)
    levels = torch.stack([output, 2 * output], dim=1)  # 9 and 36, the second half as much
    assert float(masked_loss(levels, images, hidden)) == pytest.approx((9 + 0.5 * 36) / 1.5)


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_output_goes_over_to_the_segmenting_network(name):
    recipe = _small(name)
    torch.manual_seed(1)
    donor = build_network(recipe, out_channels=1)
    state = without_output(donor, recipe)
    torch.manual_seed(2)
    receiver = build_network(recipe)
    before = {n: t.clone() for n, t in network_state(receiver).items()}
    assert transfer_weights(receiver, state) == len(state)
    after = network_state(receiver)
    assert all(torch.equal(after[n], state[n]) for n in state)
    left = sorted(set(after) - set(state))
    assert all(torch.equal(after[n], before[n]) for n in left)
    shapes = [tuple(after[n].shape) for n in left]
    assert left
    assert all(4 in shape[:2] for shape in shapes)  # four classes: output layers, and nothing else
    assert len(left) <= 8


def test_it_learns_to_fill_in_what_is_hidden_and_repeats_itself():
    torch.set_num_threads(1)
    recipe = _small("unet")
    told = []
    first = pretrain_network(recipe, _waves(8), epochs=12, progress=lambda n, loss: told.append((n, loss)))
    assert first.losses[-1] < 0.7 * np.mean(np.square(_waves(8)))  # what a guess of zero would cost
    assert told == list(enumerate(first.losses, start=1))
    again = pretrain_network(recipe, _waves(8), epochs=12)
    assert again.losses == first.losses


def test_deep_supervision_and_three_dimensions_run():
    assert len(pretrain_network(_small("dynunet_3d"), _waves(4), epochs=1).losses) == 1


def _card(recipe, sha256):
    return PretrainingCard(
        schema="radiocard/pretraining/1",
        recipe=recipe,
        weights=("pretrained.safetensors", sha256),
        n_images=1,
        losses=(1.0,),
        seen=("a" * 64,),
        versions={},
    )


def test_weights_come_back_with_the_images_that_they_know(tmp_path):
    recipe = _small("unet")
    state = without_output(build_network(recipe, out_channels=1), recipe)
    write_pretraining(_card(recipe, save_weights(state, tmp_path / "pretrained.safetensors")), tmp_path)
    found = read_initial(tmp_path)
    assert found.seen == {"a" * 64}
    assert set(found.state) == set(state)
    assert all(torch.equal(found.state[n], state[n]) for n in state)
    (tmp_path / "pretrained.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match="not those that pretraining.json names"):
        read_initial(tmp_path)
    (tmp_path / PRETRAINING).write_text("{}")
    with pytest.raises(ModelError, match="not the card of a pre-training"):
        read_initial(tmp_path)


def test_an_empty_folder_is_no_start(tmp_path):
    with pytest.raises(UsageError, match="no network"):
        read_initial(tmp_path)
