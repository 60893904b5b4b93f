"""Train an ensemble of segmentation networks on a cohort with masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

from radiocard.errors import CohortError, Issue, NothingUsableError, RadiocardError, UsageError
from radiocard.io.atomic import write_bytes, write_json
from radiocard.io.cohort import Cohort
from radiocard.report.figures_training import Curve, learning_curves_png
from radiocard.segmentation.card import (
    Epoch,
    NetworkCard,
    NetworkMember,
    write_card,
)
from radiocard.segmentation.initial import UNKNOWN_START, Initial, read_initial
from radiocard.segmentation.networks import require_torch
from radiocard.segmentation.stacks import Person, person_of, twin_groups
from radiocard.specs import NetworkRecipe, parse_as, read_network
from radiocard.study.extract import as_cohort

if TYPE_CHECKING:
    from radiocard.segmentation.train import TrainingStack

Tell = Callable[[str, int, Epoch], None]
CURVES = "learning_curves.png"
_PACKAGES = ("radiocard", "torch", "monai", "numpy")


@dataclass(frozen=True)
class Fold:
    """Row numbers of one member's patients; ``test`` are those that it never sees."""

    name: str
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


@dataclass(frozen=True)
class Training:
    """What a training gave.

    Parameters
    ----------
    card : NetworkCard or None
        None while members are missing.
    missing : tuple of str
        Members that are not trained yet.
    issues : tuple of Issue
        Cases that were left out.
    """

    card: NetworkCard | None
    missing: tuple[str, ...]
    issues: tuple[Issue, ...]


def plan_folds(people: Sequence[Person], recipe: NetworkRecipe, *, folds: int) -> list[Fold]:
    """Divide patients into folds, by diagnosis as evenly as possible, and never twins.

    Parameters
    ----------
    people : sequence of Person
    recipe : NetworkRecipe
        Share of validation patients, and the seed.
    folds : int
        Number of members; each leaves its fold out. 1 trains a single member on all.

    Returns
    -------
    list of Fold

    Raises
    ------
    CohortError
        If there are too few patients.
    """
    groups = twin_groups(people)
    n_groups = len(np.unique(groups))
    if n_groups < max(folds, 3):
        msg = f"{n_groups} patients with different images are usable, expected at least {max(folds, 3)}."
        raise CohortError(msg, hint="Add patients, or use fewer folds.")
    seed = recipe.training.random_state
    everyone = np.arange(len(people))
    if folds == 1:
        parts = [(everyone, np.empty(0, dtype=np.intp))]
    else:
        diagnoses = [person.diagnosis for person in people]
        if max(map(diagnoses.count, diagnoses)) < folds:  # none can be spread over the folds
            diagnoses = [""] * len(people)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        parts = list(splitter.split(everyone[:, None], diagnoses, groups))
    out = []
    for number, (rest, test) in enumerate(parts, start=1):
        if len(np.unique(groups[rest])) < 2:
            msg = f"fold-{number} would leave fewer than two patients to learn from."
            raise CohortError(msg, hint="Add patients, or use another number of folds.")
        inner = GroupShuffleSplit(1, test_size=recipe.training.validation, random_state=seed + number)
        train, validation = next(iter(inner.split(rest, groups=groups[rest])))
        out.append(Fold(f"fold-{number}", rest[train], rest[validation], test))
    return out


def train_networks(
    cohort: str | Path | Cohort,
    output: str | Path,
    *,
    recipe: str | Path | NetworkRecipe = "dynunet",
    folds: int = 5,
    only: int | None = None,
    initial: str | Path | None = None,
    deterministic: bool = False,
    tell: Tell | None = None,
) -> Training:
    """Train one network per fold; an interrupted training goes on where it stopped.

    Parameters
    ----------
    cohort : str, Path or Cohort
        Cine at end-diastole and end-systole with masks.
    output : str or Path
        Folder for weights and card.
    recipe : str, Path or NetworkRecipe
        A shipped name or a path.
    folds : int
        Number of networks; each leaves one fold of the patients out.
    only : int, optional
        Train only this fold now, from 1; the others on other machines, for example.
    initial : str or Path, optional
        Folder of a pre-training, or of an ensemble whose first member's weights are the start, or a safetensors
        file; the images that they learned from count as seen by every member, where they are known.
    deterministic : bool
        The same bits each time.
    tell : callable or None
        Called with the member's name, the number of epochs and each epoch.

    Returns
    -------
    Training

    Raises
    ------
    MissingExtraError
        If torch or MONAI is not installed.
    UsageError
        If the folder holds members of another recipe, cohort or number of folds.
    CohortError
        If there are too few cases; :class:`NothingUsableError` with the reasons where cases could not be used.
    """
    require_torch()
    settings = recipe if isinstance(recipe, NetworkRecipe) else read_network(recipe)
    if only is not None and not 1 <= only <= folds:
        msg = f"Fold {only} does not exist: there are {folds}."
        raise UsageError(msg)
    folder = Path(output)
    people, issues = load_people(cohort, settings)
    try:
        plan = plan_folds(people, settings, folds=folds)
    except CohortError as error:
        if issues:
            raise NothingUsableError(error.issue.message, issues) from None
        raise
    start = None if initial is None else read_initial(initial)
    for number, fold in enumerate(plan, start=1):
        if only in (None, number) and _finished(folder, fold, people, settings, start) is None:
            _train_member(folder, fold, people, settings, start, deterministic=deterministic, tell=tell)
    members = [_finished(folder, fold, people, settings, start) for fold in plan]
    missing = tuple(fold.name for fold, member in zip(plan, members, strict=True) if member is None)
    done = tuple(member for member in members if member is not None)
    if start is not None and start.of_unknown:
        issues.append(
            Issue("W_UNKNOWN_START", UNKNOWN_START, hint="Do not measure accuracy on patients they may know.")
        )
    return Training(None if missing else _write(folder, settings, done, people), missing, tuple(issues))


def load_people(cohort: str | Path | Cohort, recipe: NetworkRecipe) -> tuple[list[Person], list[Issue]]:
    """Read the cases of a cohort; those that cannot be used are issues."""
    from radiocard.segmentation.train import MARGIN_PX

    people: list[Person] = []
    issues: list[Issue] = []
    for ref in as_cohort(cohort).cases:
        try:
            person = person_of(ref.load(), recipe, margin_px=MARGIN_PX)
        except RadiocardError as error:
            issues += error.issues if hasattr(error, "issues") else [error.issue]
            continue
        if person.volumes:
            people.append(person)
        else:
            issues.append(Issue("E_PHASE", "The case has no cine.", ref.patient_id))
    return people, issues


def _train_member(
    folder: Path,
    fold: Fold,
    people: Sequence[Person],
    recipe: NetworkRecipe,
    initial: Initial | None,
    *,
    deterministic: bool,
    tell: Tell | None,
) -> None:
    from radiocard.segmentation.train import best_device, train_network
    from radiocard.segmentation.weights import save_weights

    checkpoint = folder / f"{fold.name}.checkpoint.safetensors"
    trained = train_network(
        recipe,
        _stacks(people, fold.train),
        _stacks(people, fold.validation),
        checkpoint=checkpoint,
        device=best_device(),
        initial=None if initial is None else initial.state,
        deterministic=deterministic,
        progress=None if tell is None else lambda epoch: tell(fold.name, recipe.training.epochs, epoch),
    )
    name = f"{fold.name}.safetensors"
    sha256 = save_weights(trained.state, folder / name)
    member = NetworkMember(
        name=fold.name,
        files={"safetensors": (name, sha256)},
        n_train=len(fold.train),
        n_validation=len(fold.validation),
        best_epoch=trained.best_epoch,
        validation_dice=trained.validation_dice,
        history=trained.history,
        trained_on=_known(people, fold, initial),
        initial=None if initial is None else initial.initial_id,
    )
    write_json(
        {"recipe": recipe.model_dump(mode="json", by_alias=True), "member": member.model_dump(mode="json")},
        folder / f"{fold.name}.json",
    )
    checkpoint.unlink(missing_ok=True)
    checkpoint.with_suffix(".json").unlink(missing_ok=True)


def _stacks(people: Sequence[Person], rows: NDArray[np.intp]) -> list[TrainingStack]:
    from radiocard.segmentation.train import TrainingStack

    return [TrainingStack(people[i].patient_id, v.image, v.mask) for i in rows for v in people[i].volumes]


def _known(people: Sequence[Person], fold: Fold, initial: Initial | None) -> tuple[str, ...]:
    """Return the hashes of all images that decide a member's weights, those of its initial weights included."""
    rows = [*fold.train, *fold.validation]
    own = {volume.image_hash for i in rows for volume in people[i].volumes}
    return tuple(sorted(own if initial is None else own | initial.seen))


def _finished(
    folder: Path, fold: Fold, people: Sequence[Person], recipe: NetworkRecipe, initial: Initial | None
) -> NetworkMember | None:
    path = folder / f"{fold.name}.json"
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    member = parse_as(NetworkMember, record["member"], path.name)
    settings, known = recipe.model_dump(mode="json", by_alias=True), _known(people, fold, initial)
    if record["recipe"] != settings or member.trained_on != known:
        msg = f"{path.name} belongs to another recipe, cohort, start or number of folds."
        raise UsageError(msg, hint="Give an empty folder, or the settings that it was begun with.")
    return member


def _write(
    folder: Path, recipe: NetworkRecipe, members: tuple[NetworkMember, ...], people: Sequence[Person]
) -> NetworkCard:
    from radiocard.segmentation.train import best_device

    card = NetworkCard(
        schema="radiocard/network-card/1",
        recipe=recipe,
        labels="acdc",
        members=members,
        n_patients=len(people),
        simulated=any(person.simulated for person in people),
        device=best_device(),
        versions={name: version(name) for name in _PACKAGES},
    )
    write_card(card, folder)
    curves = {m.name: Curve([e.loss for e in m.history], [e.dice for e in m.history], m.best_epoch) for m in members}
    write_bytes(learning_curves_png(curves), folder / CURVES)
    return card
