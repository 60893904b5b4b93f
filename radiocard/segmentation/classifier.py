"""An end-to-end image classifier: built, trained, asked. Needs the extra ``cnn``."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.networks.nets.densenet import DenseNet
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from radiocard.image import FloatArray
from radiocard.specs.classifier import ClassifierRecipe

MARGIN_PX = 8  # beyond the classifier's square, for what rotation and shift bring in
Hearts = NDArray[np.float32]
Codes = NDArray[np.intp]
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A trained classifier and how it came about.

    Parameters
    ----------
    network : torch.nn.Module
        With the weights of the best epoch, in evaluation mode.
    best_epoch : int
        From 1.
    losses : tuple of float
        Log-loss of the validation patients after each epoch.
    """

    network: nn.Module
    best_epoch: int
    losses: tuple[float, ...]


class SliceClassifier(nn.Module):
    """One DenseNet for all slices, which sees both phases of a slice; the logits of a heart are their mean.

    Parameters
    ----------
    encoder : torch.nn.Module
        From float32 of shape (n, 2, size, size) to logits of shape (n, n_classes).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, hearts: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (n, n_classes) for hearts of shape (n, 2 * slices, size, size)."""
        n, channels, *side = hearts.shape
        slices = hearts.reshape(n, 2, channels // 2, *side).transpose(1, 2).reshape(-1, 2, *side)
        return self.encoder(slices).reshape(n, channels // 2, -1).mean(dim=1)


def build_classifier(recipe: ClassifierRecipe, n_classes: int) -> SliceClassifier:
    """Make the untrained classifier of a recipe."""
    return SliceClassifier(
        DenseNet(
            2,
            2,
            n_classes,
            init_features=recipe.features,
            growth_rate=recipe.growth,
            block_config=recipe.blocks,
            dropout_prob=recipe.dropout,
        )
    )


def train_classifier(
    recipe: ClassifierRecipe,
    training: tuple[Hearts, Codes],
    validation: tuple[Hearts, Codes],
    *,
    n_classes: int,
    seed: int,
    device: str = "cpu",
) -> TrainedClassifier:
    """Train a classifier by cross-entropy in which all classes weigh the same; keep the epoch of least log-loss.

    Parameters
    ----------
    recipe : ClassifierRecipe
    training, validation : tuple of (ndarray of float32, ndarray of int)
        Hearts of shape (n, 2 * slices, side, side) with the margin :data:`MARGIN_PX` on every side, and
        class codes. No patient in both.
    n_classes : int
    seed : int
        Of weights, batches and changes.
    device : {'cpu', 'cuda'}

    Returns
    -------
    TrainedClassifier
    """
    torch.manual_seed(seed)
    network, plan = build_classifier(recipe, n_classes).to(device), recipe.training
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    weights = torch.from_numpy(class_weights(training[1], n_classes)).to(device)
    rng, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    best = copy.deepcopy(network.state_dict())
    losses: list[float] = []
    seen = cropped(validation[0])
    while len(losses) < plan.epochs and len(losses) - _best(losses) <= plan.patience:
        network.train()
        batches = _batches(rng, training[1], plan.batch_size)
        for step, rows in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = _rate(recipe, len(losses) + step / len(batches))
            images = changed(torch.from_numpy(training[0][rows]), recipe, random)
            optimiser.zero_grad(set_to_none=True)
            wanted = torch.from_numpy(training[1][rows]).to(device)
            functional.cross_entropy(network(images.to(device)), wanted, weight=weights).backward()
            optimiser.step()
        p = class_probabilities(network, seen, device=device)
        losses.append(float(-np.log(np.maximum(p[np.arange(len(p)), validation[1]], 1e-12)).mean()))
        if _best(losses) == len(losses) - 1:
            best = copy.deepcopy(network.state_dict())
    network.load_state_dict(best)
    return TrainedClassifier(network.eval(), _best(losses) + 1, tuple(losses))


def class_probabilities(network: nn.Module, hearts: Hearts, *, device: str = "cpu") -> FloatArray:
    """Return what a classifier says of hearts without a margin, shape (n, n_classes); rows sum to 1."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(np.ascontiguousarray(hearts[i : i + _AT_ONCE])).to(device)).cpu()
            for i in range(0, len(hearts), _AT_ONCE)
        ]
    return np.asarray(torch.cat(parts).double().softmax(dim=1).numpy())


def class_weights(codes: Codes, n_classes: int) -> NDArray[np.float32]:
    """Return weights by which every class that occurs counts the same, 1 on average over the patients.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 1]), 2).round(3).tolist()
    [0.667, 2.0]
    """
    counts = np.bincount(codes, minlength=n_classes)
    present = np.count_nonzero(counts)
    return np.asarray(len(codes) / (present * np.maximum(counts, 1)), dtype=np.float32)


def cropped(hearts: Hearts) -> Hearts:
    """Return hearts without their margin."""
    return hearts[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def _best(losses: Sequence[float]) -> int:
    return int(np.argmin(losses)) if losses else 0


def _rate(recipe: ClassifierRecipe, epoch: float) -> float:
    """Return the learning rate at a (fractional) epoch: linear warm-up, then a cosine to zero."""
    plan = recipe.training
    if epoch < plan.warmup_epochs:
        return plan.learning_rate * max(epoch, 1e-2) / plan.warmup_epochs
    share = (epoch - plan.warmup_epochs) / max(plan.epochs - plan.warmup_epochs, 1e-9)
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _batches(rng: np.random.Generator, codes: Codes, size: int) -> list[NDArray[np.intp]]:
    """Deal the patients into batches of equal size, in random order; the rest waits for another epoch."""
    order = rng.permutation(len(codes))
    whole = max(len(order) - len(order) % size, min(len(order), size))
    return [order[i : i + size] for i in range(0, whole, size)]


def changed(hearts: torch.Tensor, recipe: ClassifierRecipe, random: torch.Generator) -> torch.Tensor:
    """Change hearts at random as a recipe says, all slices of one alike; a batch at a time, which is fast.

    Parameters
    ----------
    hearts : Tensor of float32, shape (n, 2 * slices, side, side)
        With a margin.
    recipe : ClassifierRecipe
    random : torch.Generator

    Returns
    -------
    Tensor of float32, shape (n, 2 * slices, size, size)
    """
    a, n, size, side = recipe.augmentation, len(hearts), recipe.grid.size_px, hearts.shape[-1]
    happens = (torch.rand(3, n, generator=random) < a.probability).float()
    spread = (2 * torch.rand(5, n, generator=random) - 1) * happens[[0, 0, 0, 0, 1]]
    turn, zoom = spread[0] * math.radians(a.rotation_deg), (1 + spread[1] * a.scale) * size / side
    shift = spread[2:4] * a.shift_px * 2 / side
    rows = [zoom * turn.cos(), -zoom * turn.sin(), shift[0], zoom * turn.sin(), zoom * turn.cos(), shift[1]]
    grid = functional.affine_grid(
        torch.stack(rows, dim=1).reshape(n, 2, 3), [n, hearts.shape[1], size, size], align_corners=False
    )
    out = functional.grid_sample(hearts, grid, padding_mode="border", align_corners=False)
    low, high = out.amin(dim=(1, 2, 3), keepdim=True), out.amax(dim=(1, 2, 3), keepdim=True)
    span = (high - low).clamp_min(1e-6)
    power = torch.exp(spread[4] * math.log(a.gamma)).reshape(n, 1, 1, 1)
    out = ((out - low) / span) ** power * span + low
    strength = (happens[2] * torch.rand(n, generator=random) * a.noise).reshape(n, 1, 1, 1)
    return out + strength * torch.randn(out.shape, generator=random)
