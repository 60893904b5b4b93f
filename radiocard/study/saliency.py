"""Where an image classifier looked, on the grid of a patient's own images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radiocard.image import Case, FloatArray, Image
from radiocard.report.figures_saliency import saliency_png
from radiocard.segmentation.hearts import heart_of, map_to_image
from radiocard.segmentation.saliency import grad_cam, occlusion_map
from radiocard.specs.classifier import ClassifierRecipe
from radiocard.study.pictures import reading_turn

if TYPE_CHECKING:
    from radiocard.segmentation.classifier import TrainedClassifier

_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Saliency:
    """Maps of one patient.

    Parameters
    ----------
    image : Image
        End-diastole.
    answer : str
        Class that the maps are about: the most probable one.
    probability : float
        What the classifier gives it.
    occlusion, grad_cam : ndarray of float32, shape of the image
        Loss of probability where a place is hidden; Grad-CAM, from 0 to 1.
    """

    image: Image
    answer: str
    probability: float
    occlusion: NDArray[np.float32]
    grad_cam: NDArray[np.float32]


def look(case: Case, member: TrainedClassifier, recipe: ClassifierRecipe, classes: tuple[str, ...]) -> Saliency:
    """Show what a classifier's answer for one patient rests on.

    Parameters
    ----------
    case : Case
    member : TrainedClassifier
        One that has not seen the patient.
    recipe : ClassifierRecipe
    classes : tuple of str

    Returns
    -------
    Saliency
    """
    from radiocard.segmentation.classifier import class_probabilities

    heart = heart_of(case, recipe)
    p = class_probabilities(member.network, heart.channels[None])[0]
    answer = int(p.argmax())

    def ask(hearts: NDArray[np.float32]) -> FloatArray:
        return class_probabilities(member.network, hearts)

    hidden = occlusion_map(heart.channels, ask, answer=answer, slices=recipe.slices)
    maps = [map_to_image(found, heart) for found in (hidden, grad_cam(member.network, heart.channels, answer=answer))]
    return Saliency(heart.reference, classes[answer], float(p[answer]), *maps)


def draw(found: Saliency) -> bytes:
    """Return a PNG of four slices from the first to the last, bare and under both maps."""
    turn = reading_turn(found.image.affine)
    n = found.image.array.shape[2]
    numbers = np.unique(np.rint(np.linspace(0, n - 1, min(n, _SHOWN) + 2)[1:-1]).astype(int))
    grey = [turn.apply(found.image.array[:, :, k]) for k in numbers]
    maps = [
        (name, [turn.apply(volume[:, :, k]) for k in numbers])
        for name, volume in (("Occlusion", found.occlusion), ("Grad-CAM", found.grad_cam))
    ]
    across, along = found.image.spacing_mm[:2]
    aspect = across / along if turn.swap else along / across
    caption = f"{found.answer}: probability {found.probability:.2f} from a network that has not seen the patient"
    return saliency_png(grey, maps, aspect=aspect, caption=caption)
