"""Class probabilities of a heart's images by an ensemble of networks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from radiocard.image import Image
from radiocard.preprocessing.axes import to_canonical
from radiocard.segmentation.backend import Network
from radiocard.segmentation.grid import (
    Point,
    Square,
    heart_centre,
    image_to_square,
    mask_centre,
    square_at,
    square_to_image,
)
from radiocard.segmentation.probabilities import Probabilities
from radiocard.specs.segmentation import NetworkRecipe

Stack = NDArray[np.float32]
K = TypeVar("K", bound=Hashable)
_FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))
_OFF_CENTRE_MM = 10.0


def predict_images(
    images: Mapping[K, Image], networks: Sequence[Network], recipe: NetworkRecipe, *, flips: bool
) -> dict[K, Probabilities]:
    """Return what an ensemble says of the images of one heart.

    The square is laid where the heart moves, or in the middle of the image; where the first network
    finds the heart more than 10 mm away from the middle of the square, it is laid anew around it.

    Parameters
    ----------
    images : mapping of key to Image
        Frames of one stack, for example end-diastole and end-systole.
    networks : sequence of Network
        The members that may answer.
    recipe : NetworkRecipe
        Theirs.
    flips : bool
        Average over mirrored slices, where the network learned from such.

    Returns
    -------
    dict of key to Probabilities
        On each image's own grid, one member per network; with what each mirrored view shows alone, where there
        are such.

    Raises
    ------
    GeometryError, IntensityError
        If the frames differ in shape or have voxels that are not finite.
    """
    mirrored = _FLIPS if flips and recipe.augmentation.flips else _FLIPS[:1]
    square = _around(images, networks[0], recipe)
    out = {}
    for key, image in images.items():
        stack = image_to_square(image, square, recipe.grid)
        found = [_by_view(network, stack, mirrored) for network in networks]
        members = np.stack([square_to_image(shares.mean(axis=0), square, image) for shares in found])
        views = np.stack([shares.argmax(axis=2).astype(np.uint8) for shares in found])
        out[key] = Probabilities(members, image.affine, views if len(mirrored) > 1 else None)
    return out


def _around(images: Mapping[K, Image], network: Network, recipe: NetworkRecipe) -> Square:
    frames = list(images.values())
    square = square_at(heart_centre(frames), recipe.grid)
    first, _ = to_canonical(frames[0])
    found = _heart_at(image_to_square(frames[0], square, recipe.grid), network, square, first)
    if found is None:
        return square
    off = np.hypot(*(np.subtract(found, square.centre) * np.array(first.spacing_mm[:2])))
    return square_at(found, recipe.grid) if off > _OFF_CENTRE_MM else square


def _heart_at(stack: Stack, network: Network, square: Square, canonical: Image) -> Point | None:
    """Return the middle of what a network takes for the heart, in voxels of the canonical image."""
    found = mask_centre(network.logits(stack).argmax(axis=1).transpose(1, 2, 0))
    if found is None:
        return None
    rows, columns = square.coordinates(canonical)
    at = np.arange(square.size_px)
    return float(np.interp(found[0], at, rows)), float(np.interp(found[1], at, columns))


def _by_view(network: Network, stack: Stack, mirrored: Sequence[tuple[int, ...]]) -> Stack:
    """Return class probabilities of each mirrored view, mirrored back: (n_views, n_slices, 4, size, size)."""
    out = []
    for axes in mirrored:
        shares = softmax(network.logits(np.flip(stack, axes) if axes else stack), axis=1)
        out.append(np.flip(shares, tuple(axis + 1 for axis in axes)) if axes else shares)
    return np.stack(out).astype(np.float32, copy=False)
