"""A cohort's images and masks as what a network learns from. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiocard.image import PHASES, Case
from radiocard.models.identity import hash_image
from radiocard.segmentation.grid import heart_centre, image_to_square, mask_to_square, square_at
from radiocard.specs.segmentation import NetworkRecipe


@dataclass(frozen=True, eq=False)
class Volume:
    """One phase of one patient, on the square around the heart.

    Parameters
    ----------
    image : ndarray of float32, shape (n_slices, side, side)
        Normalised.
    mask : ndarray of uint8, shape of image
        Class numbers.
    image_hash : str
        By which a network's card knows the image.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    image_hash: str


@dataclass(frozen=True, eq=False)
class Person:
    """One patient's volumes.

    Parameters
    ----------
    patient_id : str
    diagnosis : str
        Empty where it is not known.
    simulated : bool
    volumes : tuple of Volume
    """

    patient_id: str
    diagnosis: str
    simulated: bool
    volumes: tuple[Volume, ...]


def person_of(case: Case, recipe: NetworkRecipe, *, margin_px: int) -> Person:
    """Return what a network learns from one case: its cine at end-diastole and end-systole.

    Parameters
    ----------
    case : Case
    recipe : NetworkRecipe
    margin_px : int
        Beyond the network's square, on every side.

    Returns
    -------
    Person
        Without volumes if the case has no cine.
    """
    keys = [("cine", phase) for phase in PHASES if ("cine", phase) in case.images]
    images = [case.images[key] for key in keys]
    volumes = []
    if images:
        square = square_at(heart_centre(images), recipe.grid, margin_px=margin_px)
        for key, image in zip(keys, images, strict=True):
            pixels = image_to_square(image, square, recipe.grid)
            volumes.append(Volume(pixels, mask_to_square(case.masks[key], square), hash_image(image.digest())))
    return Person(case.patient_id, str(case.clinical.get("diagnosis") or ""), case.simulated, tuple(volumes))


def twin_groups(people: Sequence[Person]) -> NDArray[np.intp]:
    """Return a group number per person; people who share an image share a group."""
    groups = np.arange(len(people))
    first: dict[str, int] = {}
    for index, person in enumerate(people):
        for volume in person.volumes:
            other = first.setdefault(volume.image_hash, index)
            groups[groups == groups[index]] = groups[other]
    return groups
