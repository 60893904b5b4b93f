"""Pre-train a segmentation network on images without masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import Issue, NothingUsableError, RadiocardError
from radiocard.io.cohort import Cohort
from radiocard.io.unsegmented import load_images, read_unsegmented
from radiocard.models.identity import hash_image
from radiocard.segmentation.grid import heart_centre, image_to_square, square_at
from radiocard.segmentation.initial import WEIGHTS, PretrainingCard, write_pretraining
from radiocard.segmentation.networks import require_torch
from radiocard.specs import NetworkRecipe, read_network

Tell = Callable[[int, int, float], None]
_PACKAGES = ("radiocard", "torch", "monai", "numpy")


@dataclass(frozen=True)
class Pretraining:
    """What a pre-training gave.

    Parameters
    ----------
    card : PretrainingCard
    issues : tuple of Issue
        Cases that were left out.
    """

    card: PretrainingCard
    issues: tuple[Issue, ...]


def pretrain(
    cohort: str | Path | Cohort,
    output: str | Path,
    *,
    recipe: str | Path | NetworkRecipe = "dynunet",
    epochs: int | None = None,
    tell: Tell | None = None,
) -> Pretraining:
    """Let the network of a recipe learn to fill in hidden patches of cine frames; no mask is needed.

    What it writes is given to :func:`radiocard.study.segment.train_networks` as ``initial``.

    Parameters
    ----------
    cohort : str, Path or Cohort
        As :func:`radiocard.io.unsegmented.read_unsegmented` reads it: phases or whole cines.
    output : str or Path
        Folder for weights and card.
    recipe : str, Path or NetworkRecipe
        A shipped name or a path; the training that starts from it needs the same.
    epochs : int or None
        Passes over all slices; those of the recipe's training when None.
    tell : callable or None
        Called with the epochs done, their total, and the loss.

    Returns
    -------
    Pretraining

    Raises
    ------
    MissingExtraError
        If torch or MONAI is not installed.
    NothingUsableError
        If no case is usable.
    """
    require_torch()
    from radiocard.segmentation.pretrain import pretrain_network
    from radiocard.segmentation.train import best_device
    from radiocard.segmentation.weights import save_weights

    settings = recipe if isinstance(recipe, NetworkRecipe) else read_network(recipe)
    found = cohort if isinstance(cohort, Cohort) else read_unsegmented(cohort)
    stacks, seen, issues = read_stacks(found, settings)
    if not stacks:
        msg = f"None of {len(found.cases)} cases has images that can be learned from."
        raise NothingUsableError(msg, issues)
    total = epochs or settings.training.epochs
    learned = pretrain_network(
        settings,
        stacks,
        epochs=total,
        device=best_device(),
        progress=None if tell is None else lambda done, loss: tell(done, total, loss),
    )
    folder = Path(output)
    card = PretrainingCard(
        schema="radiocard/pretraining/1",
        recipe=settings,
        weights=(WEIGHTS, save_weights(learned.state, folder / WEIGHTS)),
        n_images=len(stacks),
        losses=learned.losses,
        seen=tuple(sorted(seen)),
        versions={name: version(name) for name in _PACKAGES},
    )
    write_pretraining(card, folder)
    return Pretraining(card, tuple(issues))


def read_stacks(cohort: Cohort, recipe: NetworkRecipe) -> tuple[list[NDArray[np.float32]], set[str], list[Issue]]:
    """Bring every frame of a cohort onto the grid of a network.

    Returns
    -------
    stacks : list of ndarray of float32, shape (n_slices, size, size)
        One per frame.
    seen : set of str
        Hashes of the images.
    issues : list of Issue
        Cases that cannot be used.
    """
    stacks: list[NDArray[np.float32]] = []
    seen: set[str] = set()
    issues: list[Issue] = list(cohort.issues)
    for ref in cohort.cases:
        try:
            frames = list(load_images(ref).values())
            square = square_at(heart_centre(frames), recipe.grid)
            found = [image_to_square(frame, square, recipe.grid) for frame in frames]
        except RadiocardError as error:
            issues += error.issues if hasattr(error, "issues") else [error.issue]
            continue
        stacks += found
        seen |= {hash_image(frame.digest()) for frame in frames}
    return stacks, seen, issues
