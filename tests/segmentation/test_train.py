import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="not run: needs the extra cnn")

from radiocard.errors import ModelError, UsageError  # noqa: E402
from radiocard.segmentation.backend import TorchNetwork  # noqa: E402
from radiocard.segmentation.networks import build_network  # noqa: E402
from radiocard.segmentation.train import (  # noqa: E402
    MARGIN_PX,
    TrainingStack,
    learning_rate,
    train_network,
    validation_dice,
)
from radiocard.segmentation.weights import (  # noqa: E402
    load_state,
    network_state,
    parse_weights,
    save_weights,
    transfer_weights,
)
from radiocard.specs import read_network  # noqa: E402


def tiny(name="dynunet", *, epochs=4, **change):
    recipe = read_network(name)
    training = {"epochs": epochs, "batch_size": 4, "learning_rate": 0.01, **change}
    update = {
        "channels": (4, 8, 8),
        "deep_supervision": 1 if recipe.architecture == "dynunet" else 0,
        "grid": recipe.grid.model_copy(update={"size_px": 32}),
        "training": recipe.training.model_copy(update=training),
        "augmentation": recipe.augmentation.model_copy(
            update={"probability": 0.1, "shift_px": 2.0, "rotation_deg": 20.0}
        ),
    }
    return recipe.model_copy(update=update)


def stack(seed, slices=4):
    """Rings whose brightness is their class, on noise."""
    rng = np.random.default_rng(seed)
    side = 32 + 2 * MARGIN_PX
    i, j = np.ogrid[:side, :side]
    mask = np.zeros((slices, side, side), np.uint8)
    for k in range(slices):
        r = np.hypot(i - side / 2 + rng.uniform(-2, 2), j - side / 2 + rng.uniform(-2, 2))
        mask[k] = np.select([r < 6, r < 9, r < 12], [3, 2, 1], 0)
    image = mask * 1.0 - 0.5 + rng.normal(0, 0.2, mask.shape)
    return TrainingStack(f"p{seed}", image.astype(np.float32), mask)


TRAINING, VALIDATION = [stack(s) for s in range(4)], [stack(9)]


def train(recipe, folder, **options):
    return train_network(recipe, TRAINING, VALIDATION, checkpoint=folder / "a.safetensors", device="cpu", **options)


@pytest.mark.parametrize("name", ["dynunet", "unet", "dynunet_3d"])
def test_a_network_learns_what_brightness_tells(name, tmp_path):
    recipe = tiny(name, epochs=25, learning_rate=0.02, batch_size=1 if name == "dynunet_3d" else 4)
    still = recipe.augmentation.model_copy(update={"probability": 0.0})
    recipe = recipe.model_copy(update={"augmentation": still})
    found = train(recipe, tmp_path)
    assert found.history[-1].loss < found.history[0].loss
    assert min(found.validation_dice.values()) > 0.7
    assert found.best_epoch == int(np.argmax([e.dice for e in found.history])) + 1
    network = build_network(recipe)
    load_state(network, found.state)
    means, mean = validation_dice(network, recipe, VALIDATION, "cpu")
    assert means == pytest.approx(found.validation_dice, abs=1e-6)
    assert mean == pytest.approx(max(e.dice for e in found.history), abs=1e-6)


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(epoch):
        seen.append(epoch)
        if len(seen) == 2:
            raise StoppedError

    seen = []
    whole = train(tiny(), tmp_path / "whole", deterministic=True)
    with pytest.raises(StoppedError):
        train(tiny(), tmp_path / "cut", deterministic=True, progress=stop)
    told = []
    rest = train(tiny(), tmp_path / "cut", deterministic=True, progress=told.append)
    assert len(told) == 4
    assert [e.dice for e in rest.history] == [e.dice for e in whole.history]
    for name, tensor in whole.state.items():
        assert torch.equal(rest.state[name], tensor)


def test_a_checkpoint_of_something_else_or_a_damaged_one_is_not_taken_up(tmp_path):
    train(tiny(epochs=2), tmp_path)
    kept = json.loads((tmp_path / "a.json").read_text())
    other = train(tiny(epochs=2, learning_rate=0.003), tmp_path)
    assert [e.loss for e in other.history] != [e["loss"] for e in kept["history"]]
    with (tmp_path / "a.safetensors").open("r+b") as stream:
        stream.truncate(100)
    again = train(tiny(epochs=2, learning_rate=0.003), tmp_path)
    assert [e.dice for e in again.history] == [e.dice for e in other.history]


def test_training_stops_when_nothing_gets_better(tmp_path):
    found = train(tiny(epochs=50, learning_rate=1e-9, patience=3, warmup_epochs=0), tmp_path)
    assert len(found.history) == found.best_epoch + 3


def test_the_learning_rate_warms_up_and_ends_at_zero():
    recipe = tiny(epochs=10, learning_rate=0.1, warmup_epochs=2)
    assert learning_rate(recipe, 1.0) == pytest.approx(0.05)
    assert learning_rate(recipe, 2.0) == pytest.approx(0.1)
    assert learning_rate(recipe, 6.0) == pytest.approx(0.05)
    assert learning_rate(recipe, 10.0) == pytest.approx(0.0)


def test_a_structure_that_is_drawn_nowhere_does_not_count():
    class Truth(torch.nn.Module):
        def forward(self, x):
            level = (x[:, 0] + 0.5).round().clamp(0, 3).long()
            return torch.nn.functional.one_hot(level, 4).permute(0, 3, 1, 2).float()

    clean = stack(0)
    image = clean.mask - 0.5
    only_lv = np.where(clean.mask == 3, 3, 0).astype(np.uint8)
    stacks = [TrainingStack("a", image.astype(np.float32), clean.mask),
              TrainingStack("b", (only_lv - 0.5).astype(np.float32), only_lv)]  # fmt: skip
    means, mean = validation_dice(Truth(), tiny(), stacks, "cpu")
    assert means == {"rv_cavity": 1.0, "lv_myocardium": 1.0, "lv_cavity": 1.0}
    assert mean == 1.0


def test_weights_come_back_bit_for_bit_and_belong_to_one_recipe(tmp_path):
    network = build_network(tiny())
    save_weights(network_state(network), tmp_path / "w.safetensors")
    state = parse_weights((tmp_path / "w.safetensors").read_bytes())
    other = build_network(tiny())
    load_state(other, state)
    x = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    a, b = (TorchNetwork(n.eval(), 2, "cpu").logits(x) for n in (network, other))
    np.testing.assert_array_equal(a, b)
    with pytest.raises(ModelError, match="do not belong to this recipe"):
        load_state(build_network(tiny("unet")), state)
    with pytest.raises(ModelError, match="do not belong to this recipe"):
        load_state(build_network(tiny().model_copy(update={"channels": (4, 8, 16)})), state)


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(data):
    with pytest.raises(ModelError, match="not a safetensors file"):
        parse_weights(data)


def test_weights_of_another_last_layer_are_a_start():
    source, target = build_network(tiny(), out_channels=1), build_network(tiny())
    taken = transfer_weights(target, network_state(source))
    state, own = network_state(source), network_state(target)
    same = [name for name in own if state[name].shape == own[name].shape]
    assert taken == len(same) < len(own)
    assert all(torch.equal(state[name], own[name]) for name in same)
    with pytest.raises(UsageError, match="tensors of the initial weights fit this recipe"):
        transfer_weights(build_network(tiny("unet")), state)
