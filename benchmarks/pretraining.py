"""Measure what pre-training without masks brings to few labelled patients; write ``reports/validation/pretraining.md``.

The ACDC training patients, which are not part of radiocard, are used where their folder is named, else
simulated hearts are, and the page is not written::

    RADIOCARD_ACDC=.../training python benchmarks/pretraining.py

Needs the extra ``cnn``. A small U-Net on a coarse grid, so that a processor does it in minutes. Test
patients are drawn first and seen by nothing; the others give their images to the pre-training, and in each
run eight of them give their masks too. Both arms share patients, batches, steps and seed; they differ in the
first weights alone. Settings were fixed before the first run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student
from sklearn.model_selection import GroupShuffleSplit

from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.io.store import write_text
from radiocard.segmentation.pretrain import pretrain_network
from radiocard.segmentation.stacks import Person, person_of, twin_groups
from radiocard.segmentation.train import MARGIN_PX, TrainingStack, train_network, validation_dice
from radiocard.simulate.cohort import simulate_cohort
from radiocard.specs import NetworkRecipe, read_network

PAGE = Path(__file__).parents[1] / "reports" / "validation" / "pretraining.md"
LABELLED, VALIDATION, TEST_SHARE, RUNS = 8, 2, 0.25, 6
EPOCHS, PRETRAINING_EPOCHS = 12, 8
STRUCTURES = ("rv_cavity", "lv_myocardium", "lv_cavity", "mean")


@dataclass(frozen=True)
class Effect:
    """Mean Dice of both arms and their difference over the runs, with a 95 % t interval."""

    name: str
    plain: float
    pretrained: float
    difference: float
    low: float
    high: float


def small_recipe(seed: int, *, epochs: int) -> NetworkRecipe:
    """Return the U-Net of this experiment."""
    shipped = read_network("unet")
    plan = {"epochs": epochs, "batch_size": 8, "patience": 1000, "random_state": seed}
    return shipped.model_copy(
        update={
            "channels": (8, 16, 32, 64),
            "grid": shipped.grid.model_copy(update={"spacing_mm": 2.5, "size_px": 64}),
            "augmentation": shipped.augmentation.model_copy(update={"shift_px": 6.0, "motion_px": 1.5}),
            "training": shipped.training.model_copy(update=plan),
        }
    )


def read_people(root: str | None, recipe: NetworkRecipe, scratch: Path) -> list[Person]:
    """Return the patients of ACDC, or simulated ones."""
    cases = (p.case for p in simulate_cohort(per_class=8, seed=2026))
    cohort = read_cohort(root if root is not None else write_manifest_cohort(cases, scratch / "hearts"))
    return [person_of(ref.load(), recipe, margin_px=MARGIN_PX) for ref in cohort.cases]


def stacks(people: list[Person]) -> list[TrainingStack]:
    """Return all volumes of some patients."""
    return [TrainingStack(p.patient_id, v.image, v.mask) for p in people for v in p.volumes]


def dice_of(
    initial: dict[str, torch.Tensor] | None, people: list[Person], test: list[Person], seed: int, scratch: Path
) -> list[float]:
    """Train on eight patients and return the Dice of the test patients, per structure and over them."""
    recipe = small_recipe(seed, epochs=EPOCHS)
    learned = train_network(
        recipe,
        stacks(people[VALIDATION:]),
        stacks(people[:VALIDATION]),
        checkpoint=scratch / f"{seed}-{initial is None}.safetensors",
        device="cpu",
        initial=initial,
    )
    from radiocard.segmentation.networks import build_network
    from radiocard.segmentation.weights import load_state

    network = build_network(recipe)
    load_state(network, learned.state)
    by_structure, mean = validation_dice(network, recipe, stacks(test), "cpu")
    return [*(float(by_structure[name] or 0.0) for name in STRUCTURES[:3]), mean]


def effects(plain: list[list[float]], pretrained: list[list[float]]) -> list[Effect]:
    """Compare the two arms run by run."""
    a, b = np.array(plain), np.array(pretrained)
    difference = b - a
    half = student.ppf(0.975, len(a) - 1) * difference.std(axis=0, ddof=1) / np.sqrt(len(a))
    middle = difference.mean(axis=0)
    columns = zip(STRUCTURES, a.mean(axis=0), b.mean(axis=0), middle, middle - half, middle + half, strict=True)
    return [Effect(name, *map(float, values)) for name, *values in columns]


def page(found: list[Effect], facts: dict[str, float]) -> str:
    """Return the report."""
    lines = [
        "# What pre-training without masks brings",
        "",
        "Made by `benchmarks/pretraining.py` on the ACDC training patients.",
        "",
        f"A small U-Net (2.5 mm, 64 pixels) learned to fill in hidden patches on the images of {facts['unlabelled']}",
        f"patients, no masks, {PRETRAINING_EPOCHS} passes (error of hidden pixels {facts['first']:.2f} after the",
        f"first, {facts['last']:.2f} variances at the end). Then, {RUNS} times, {LABELLED} of these patients were",
        f"drawn with masks ({VALIDATION} of them choose the epoch), and a network was trained for {EPOCHS} epochs",
        f"from random and from pre-trained weights, all else equal. {facts['test']} other patients, seen by neither,",
        f"were segmented. {facts['minutes']:.0f} processor minutes.",
        "",
        "| structure | Dice, random start | Dice, pre-trained | difference [95 % interval] |",
        "|---|---|---|---|",
    ]
    for e in found:
        cell = f"{e.difference:+.3f} [{e.low:+.3f}, {e.high:+.3f}]"
        lines.append(f"| {e.name} | {e.plain:.3f} | {e.pretrained:.3f} | {cell} |")
    lines += [
        "",
        f"Intervals: t over the {RUNS} runs, which differ in the labelled patients and in the seed; the test patients "
        "are the same in all. The effect belongs to this setting, few patients and short training on a coarse grid: "
        "it says nothing about networks that are trained to the end on many patients.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the experiment; the page is for ACDC only."""
    torch.set_num_threads(1)
    root, start = os.environ.get("RADIOCARD_ACDC"), time.process_time()
    if root is None:
        print("ACDC: not run, RADIOCARD_ACDC names no folder; simulated hearts instead")
    recipe = small_recipe(0, epochs=EPOCHS)
    inner = slice(MARGIN_PX, -MARGIN_PX)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        people = read_people(root, recipe, scratch)
        split = GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=0)
        rest, held = next(split.split(people, groups=twin_groups(people)))
        test = [people[i] for i in held]
        images = [v.image[:, inner, inner] for i in rest for v in people[i].volumes]
        learned = pretrain_network(recipe, images, epochs=PRETRAINING_EPOCHS, progress=lambda n, x: print(n, x))
        plain, pretrained = [], []
        for seed in range(1, RUNS + 1):
            drawn = [people[i] for i in np.random.default_rng(seed).permutation(rest)[:LABELLED]]
            plain.append(dice_of(None, drawn, test, seed, scratch))
            pretrained.append(dice_of(learned.state, drawn, test, seed, scratch))
            print(seed, plain[-1][-1], pretrained[-1][-1], flush=True)
    found = effects(plain, pretrained)
    facts = {"unlabelled": len(rest), "test": len(test), "first": learned.losses[0], "last": learned.losses[-1]}
    text = page(found, facts | {"minutes": (time.process_time() - start) / 60})
    if root is None:
        print(text)
    else:
        write_text(text, PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
