import numpy as np
import pytest

from radiocard.image import LABELS_ACDC, Image
from radiocard.segmentation.predict import predict_images
from radiocard.specs import read_network

RECIPE = read_network("dynunet_cpu")


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


class Counted:
    def __init__(self, network):
        self.network, self.stacks = network, []

    def logits(self, stack):
        self.stacks.append(stack.copy())
        return self.network.logits(stack)


@pytest.mark.parametrize("flips", [False, True])
def test_a_network_that_reads_the_class_gives_the_readers_mask(level_cases, level_ensemble, flips):
    case = level_cases[1]
    images = {phase: case.images["cine", phase] for phase in ("ed", "es")}
    found = predict_images(images, level_ensemble.networks, RECIPE, flips=flips)
    for phase, probabilities in found.items():
        assert probabilities.members.shape == (2, 4, *images[phase].array.shape)
        guess, truth = probabilities.mean.argmax(axis=0), case.masks["cine", phase]
        for region, code in LABELS_ACDC.items():
            assert dice(guess == code, truth.array == truth.labels[region]) > 0.95


def test_mirrored_slices_are_mirrored_back(level_cases, level_ensemble):
    image = level_cases[0].images["cine", "ed"]
    network = Counted(level_ensemble.networks[0])
    found = predict_images({"ed": image}, [network], RECIPE, flips=True)["ed"].members
    plain = predict_images({"ed": image}, [network.network], RECIPE, flips=False)["ed"].members
    np.testing.assert_allclose(found, plain, atol=1e-6)
    *_, a, b, c, d = network.stacks
    for mirrored, axes in ((b, 1), (c, 2), (d, (1, 2))):
        np.testing.assert_array_equal(np.flip(mirrored, axes), a)


def test_views_are_kept_where_slices_are_mirrored(level_cases, level_ensemble):
    image = level_cases[0].images["cine", "ed"]
    found = predict_images({"ed": image}, level_ensemble.networks, RECIPE, flips=True)["ed"]
    assert found.views.shape == (2, 4, image.array.shape[2], RECIPE.grid.size_px, RECIPE.grid.size_px)
    for view in found.views[:, 1:].swapaxes(0, 1):  # a network that reads the class of each voxel
        np.testing.assert_array_equal(view, found.views[:, 0])
    assert predict_images({"ed": image}, level_ensemble.networks, RECIPE, flips=False)["ed"].views is None


def test_a_network_that_never_saw_mirrored_slices_has_no_views(level_cases, level_ensemble):
    image = level_cases[0].images["cine", "ed"]
    recipe = RECIPE.model_copy(update={"augmentation": RECIPE.augmentation.model_copy(update={"flips": False})})
    assert predict_images({"ed": image}, level_ensemble.networks, recipe, flips=True)["ed"].views is None


def test_a_heart_off_the_middle_is_found_by_a_second_square(level_cases, level_ensemble):
    source = level_cases[0]
    image, mask = source.images["cine", "ed"], source.masks["cine", "ed"]
    wide = np.pad(image.array, ((60, 0), (0, 50), (0, 0)))
    truth = np.pad(mask.array, ((60, 0), (0, 50), (0, 0)))
    network = Counted(level_ensemble.networks[0])
    found = predict_images({"ed": Image(wide, image.affine)}, [network], RECIPE, flips=False)["ed"]
    assert len(network.stacks) == 2
    guess = found.mean.argmax(axis=0)
    assert dice(guess == 3, truth == mask.labels["lv_cavity"]) > 0.95


def test_an_image_without_a_heart_is_background(level_ensemble):
    image = Image(np.zeros((64, 64, 2)), np.diag([1.5, 1.5, 8.0, 1.0]))
    found = predict_images({"ed": image}, level_ensemble.networks, RECIPE, flips=False)["ed"]
    assert (found.mean.argmax(axis=0) == 0).all()
