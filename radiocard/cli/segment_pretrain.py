"""Pre-train a segmentation network on images without masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.console import note, progress, say, say_issues


def pretrain(
    cohort: Annotated[
        Path,
        typer.Argument(
            help="Images, no masks: ACDC or M&Ms folder, or a manifest CSV with patient_id and image.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the weights.")],
    recipe: Annotated[str, typer.Option(help="Network recipe: a shipped name or a YAML file.")] = "dynunet",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over all slices; else as in the recipe.")] = None,
) -> None:
    """Teach a network what hearts look like from images without masks.

    \b
    radiocard segment pretrain cines.csv -o pretrained
    radiocard segment train COHORT --initial pretrained -o network

    It fills in hidden patches of the images. Patients whose images it saw count as seen by every
    network that starts from it: do not pre-train on patients that a network is to be tested on.
    """
    from radiocard.io.store import output_lock
    from radiocard.segmentation.initial import PRETRAINING
    from radiocard.segmentation.networks import require_torch
    from radiocard.specs import read_network
    from radiocard.study import pretrain as study

    require_torch("Pre-training a network")
    settings = read_network(recipe)
    total = epochs or settings.training.epochs
    with output_lock(output / PRETRAINING), progress("Pre-training", total) as step:
        found = study.pretrain(cohort, output, recipe=settings, epochs=total, tell=lambda *_: step())
    first, last = found.card.losses[0], found.card.losses[-1]
    say(f"{found.card.n_images} images, {len(found.card.losses)} passes.")
    say(f"Error of hidden pixels, in variances: {first:.3f} after the first, {last:.3f} at the end.")
    say_issues(found.issues)
    note(f"Written: {output}")
