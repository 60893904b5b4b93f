"""Self-supervised pre-training: a network learns to fill in hidden patches of images without masks.

He et al., CVPR (2022), doi:10.1109/CVPR52688.2022.01553, for the task; the network here is that of the
segmentation recipe, with one output. Needs the extra ``cnn``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from radiocard.segmentation.networks import build_network
from radiocard.segmentation.weights import network_state
from radiocard.specs.segmentation import NetworkRecipe

PATCH_PX = 16
HIDDEN = 0.6
_DEPTH = 8  # slices that a network in three dimensions sees at once
Stack = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Weights that know hearts, and how they came about.

    Parameters
    ----------
    state : dict of str to Tensor
        Without the output layers, which belong to the reconstruction.
    losses : tuple of float
        Mean squared error of hidden pixels after each epoch, in variances of the image.
    """

    state: dict[str, torch.Tensor]
    losses: tuple[float, ...]


def pretrain_network(
    recipe: NetworkRecipe,
    stacks: Sequence[Stack],
    *,
    epochs: int,
    device: str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> Pretrained:
    """Train the network of a recipe to fill in hidden patches.

    Parameters
    ----------
    recipe : NetworkRecipe
        Batch size, learning rate, weight decay and seed are those of its training; the rate falls to
        zero by a cosine.
    stacks : sequence of ndarray of float32, shape (n_slices, size, size)
        Normalised images on the network's grid.
    epochs : int
    device : {'cpu', 'cuda'}
    progress : callable or None
        Called with the number of epochs done and the loss.

    Returns
    -------
    Pretrained
    """
    plan = recipe.training
    torch.manual_seed(plan.random_state)
    rng = np.random.default_rng(plan.random_state)
    network = build_network(recipe, out_channels=1).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    losses = []
    for epoch in range(1, epochs + 1):
        parts = []
        for batch in _batches(recipe, stacks, rng):
            images = torch.from_numpy(batch).to(device)
            hidden = torch.from_numpy(hidden_pixels(batch.shape, rng)).to(device)
            optimiser.zero_grad(set_to_none=True)
            loss = masked_loss(network(torch.where(hidden, 0.0, images)), images, hidden)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 12.0)
            optimiser.step()
            parts.append(float(loss.detach()))
        schedule.step()
        losses.append(float(np.mean(parts)))
        if progress is not None:
            progress(epoch, losses[-1])
    return Pretrained(without_output(network, recipe), tuple(losses))


def hidden_pixels(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose the hidden patches of each image, through all its slices where it has such.

    Parameters
    ----------
    shape : tuple of int
        (n, 1, size, size) or (n, 1, size, size, slices); the size is a multiple of :data:`PATCH_PX`.
    rng : Generator

    Returns
    -------
    ndarray of bool, of that shape
        True in the share :data:`HIDDEN` of the patches of each image, rounded to whole patches.
    """
    n, side = shape[0], shape[2] // PATCH_PX
    count = round(HIDDEN * side * side)
    order = rng.permuted(np.tile(np.arange(side * side), (n, 1)), axis=1)
    pixels = (order < count).reshape(n, 1, side, side).repeat(PATCH_PX, axis=2).repeat(PATCH_PX, axis=3)
    return pixels if len(shape) == 4 else np.broadcast_to(pixels[..., None], shape).copy()


def masked_loss(output: torch.Tensor, images: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over hidden pixels; visible ones do not count.

    The outputs of a network with deep supervision, of shape (n, levels, 1, ...), all count, each half
    as much as the one before.
    """
    if output.ndim == images.ndim:
        return ((output - images)[hidden] ** 2).mean()
    weights = [0.5**level for level in range(output.shape[1])]
    parts = [w * ((output[:, level] - images)[hidden] ** 2).mean() for level, w in enumerate(weights)]
    return torch.stack(parts).sum() / sum(weights)


def without_output(network: nn.Module, recipe: NetworkRecipe) -> dict[str, torch.Tensor]:
    """Return the tensors of a reconstructing network that have the same shape in the segmenting one."""
    wanted = {name: tensor.shape for name, tensor in network_state(build_network(recipe)).items()}
    found = network_state(network)
    return {n: t.detach().cpu().clone() for n, t in found.items() if n in wanted and wanted[n] == t.shape}


def _batches(recipe: NetworkRecipe, stacks: Sequence[Stack], rng: np.random.Generator) -> list[Stack]:
    """Deal slices, or runs of slices, into batches in random order; a rest waits for another epoch."""
    size = recipe.training.batch_size
    if recipe.dimensions == 2:
        places = [(s, k) for s in range(len(stacks)) for k in range(len(stacks[s]))]
        order = [places[i] for i in rng.permutation(len(places))]
        samples = [stacks[s][k][None] for s, k in order]
    else:
        samples = [_window(stacks[s], rng) for s in rng.permutation(len(stacks))]
    whole = max(len(samples) - len(samples) % size, min(len(samples), size))
    return [np.stack(samples[i : i + size]) for i in range(0, whole, size)]


def _window(stack: Stack, rng: np.random.Generator) -> Stack:
    first = int(rng.integers(0, max(len(stack) - _DEPTH, 0) + 1))
    rows = np.clip(np.arange(first, first + _DEPTH), 0, len(stack) - 1)
    return np.ascontiguousarray(stack[rows].transpose(1, 2, 0))[None]
