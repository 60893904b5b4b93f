"""Measurements against an end-to-end image classifier, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiocard.cli.cohorts import CohortArgument, say_layout
from radiocard.cli.console import note, progress, say, say_issues


def classify(
    cohort: CohortArgument,
    against: Annotated[Path, typer.Option(help="Model that was trained on a table of this cohort.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for probabilities and comparison.")],
    recipe: Annotated[
        str, typer.Option(help="Recipe of the classifier: a shipped name or a YAML file.")
    ] = "densenet_cine",
    explain: Annotated[str | None, typer.Option(help="Patient: draw where the classifier looked.")] = None,
) -> None:
    """Compare a model with a network that sees the images and no mask.

    \b
    radiocard segment classify ACDC/training --against heart.model -o deep

    The network is trained anew in each outer fold of the model's own evaluation, and answers
    for the patients left out, as the model did.
    """
    from radiocard.io.store import output_lock
    from radiocard.io.unsegmented import read_unsegmented
    from radiocard.models.persist import load_model
    from radiocard.segmentation.networks import require_torch
    from radiocard.study.compare_text import lines
    from radiocard.study.deep_compare import compare_deep
    from radiocard.study.train import n_steps, plan_of

    require_torch("A network that sees images alone")
    model, found = load_model(against), read_unsegmented(cohort)
    say_layout(found)
    with output_lock(output / "comparison.md"), progress("Networks", n_steps(plan_of(model))) as step:
        contest = compare_deep(found, model, output, recipe=recipe, explain=explain, tell=step)
    for line in lines(contest.comparison):
        say(line)
    say_issues(contest.answers.hearts.issues)
    note(f"Written: {contest.paths[0]}")
