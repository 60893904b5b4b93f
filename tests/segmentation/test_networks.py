import pytest

torch = pytest.importorskip("torch", reason="not run: needs the extra cnn")

from radiocard.segmentation.networks import build_network  # noqa: E402
from radiocard.segmentation.weights import network_state  # noqa: E402
from radiocard.specs import read_network  # noqa: E402

SHIPPED = ("unet", "residual_unet", "attention_unet", "dynunet", "dynunet_3d", "dynunet_cpu")


def small(name, **change):
    recipe = read_network(name)
    grid = recipe.grid.model_copy(update={"size_px": 32})
    n = len(recipe.channels)
    return recipe.model_copy(update={"channels": (4, 6, 8, 8, 8)[:n], "grid": grid, **change})


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_gives_a_logit_per_class_and_pixel(name):
    recipe = small(name)
    network = build_network(recipe).eval()
    shape = (2, 1, 32, 32) if recipe.dimensions == 2 else (2, 1, 32, 32, 5)
    with torch.no_grad():
        assert network(torch.zeros(shape)).shape == (2, 4, *shape[2:])
    assert build_network(recipe, out_channels=1).eval()(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("name", ["unet", "residual_unet", "attention_unet"])
def test_the_variants_over_all_slices_never_halve_the_slices(name):
    network = build_network(small(name, dimensions=3)).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 32, 32, 3)).shape == (1, 4, 32, 32, 3)


def test_deep_supervision_is_there_while_training_alone():
    network = build_network(small("dynunet"))
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 3, 4, 32, 32)


def test_a_layer_with_two_names_is_kept_once():
    network = build_network(small("dynunet"))
    pointers = [tensor.data_ptr() for tensor in network_state(network).values()]
    assert len(set(pointers)) == len(pointers) < len(network.state_dict())
