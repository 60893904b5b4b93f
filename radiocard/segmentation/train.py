"""Train one network: slices in, weights out; resumable after every epoch. Needs the extra ``cnn``."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from numpy.typing import NDArray
from torch import nn

from radiocard.io.atomic import write_json
from radiocard.segmentation.augment import IMAGE, MASK, augmentation
from radiocard.segmentation.backend import TorchNetwork
from radiocard.segmentation.card import Epoch
from radiocard.segmentation.networks import build_network
from radiocard.segmentation.probabilities import CLASSES
from radiocard.segmentation.weights import (
    Tensors,
    load_state,
    network_state,
    parse_weights,
    save_weights,
    transfer_weights,
)
from radiocard.specs.base import digest
from radiocard.specs.segmentation import NetworkRecipe

MARGIN_PX = 16  # beyond the network's square, for what rotation and shift bring in
_DEPTH = 8  # slices of a stack that a network in three dimensions sees at once


@dataclass(frozen=True, eq=False)
class TrainingStack:
    """One volume with its truth.

    Parameters
    ----------
    person : str
        Whose heart it is.
    image : ndarray of float32, shape (n_slices, side, side)
        Normalised, with the margin :data:`MARGIN_PX` on every side.
    mask : ndarray of uint8, shape of image
        Class numbers.
    """

    person: str
    image: NDArray[np.float32]
    mask: NDArray[np.uint8]


@dataclass(eq=False)
class _State:
    """Everything that changes while a network learns."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_dice: float = -1.0
    best_epoch: int = 0
    by_structure: dict[str, float | None] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network and how it came about.

    Parameters
    ----------
    state : mapping of str to Tensor
        Weights of the best epoch.
    best_epoch : int
        From 1.
    validation_dice : mapping of str to float or None
        Mean 3D Dice of the validation patients, per structure.
    history : tuple of Epoch
    """

    state: Tensors
    best_epoch: int
    validation_dice: dict[str, float | None]
    history: tuple[Epoch, ...]


def best_device() -> str:
    """Return ``cuda`` where there is a GPU that torch can use, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def train_network(
    recipe: NetworkRecipe,
    training: Sequence[TrainingStack],
    validation: Sequence[TrainingStack],
    *,
    checkpoint: Path,
    device: str,
    initial: Tensors | None = None,
    deterministic: bool = False,
    progress: Callable[[Epoch], None] | None = None,
) -> TrainedNetwork:
    """Train a network, or go on where an interrupted training stopped.

    Parameters
    ----------
    recipe : NetworkRecipe
    training, validation : sequence of TrainingStack
        No person in both.
    checkpoint : Path
        Written after each epoch, with a JSON file beside it; what belongs to other data or another
        recipe is not taken up.
    device : {'cpu', 'cuda'}
        On a GPU the arithmetic is of mixed precision.
    initial : mapping of str to Tensor, optional
        Weights to start from; those that fit are taken.
    deterministic : bool
        Use only operations that give the same bits each time.
    progress : callable or None
        Called after each epoch, also for those that are taken up.

    Returns
    -------
    TrainedNetwork
    """
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.manual_seed(recipe.training.random_state)
    network = build_network(recipe)
    if initial is not None:
        transfer_weights(network, initial)
    network.to(device, memory_format=torch.channels_last if recipe.dimensions == 2 else torch.preserve_format)
    plan = recipe.training
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    state = _State(network, optimiser)
    key = _key(recipe, training, validation, initial)
    _resume(state, checkpoint, key, device)
    for epoch in state.history:
        _tell(progress, epoch)
    while len(state.history) < plan.epochs and len(state.history) - state.best_epoch < plan.patience:
        state.history.append(_epoch(state, recipe, training, validation, device))
        _keep(state, checkpoint, key)
        _tell(progress, state.history[-1])
    return TrainedNetwork(state.best, state.best_epoch, state.by_structure, tuple(state.history))


def _tell(progress: Callable[[Epoch], None] | None, epoch: Epoch) -> None:
    if progress is not None:
        progress(epoch)


def _epoch(
    state: _State,
    recipe: NetworkRecipe,
    training: Sequence[TrainingStack],
    validation: Sequence[TrainingStack],
    device: str,
) -> Epoch:
    started, number, plan = time.perf_counter(), len(state.history), recipe.training
    seed = int(np.random.SeedSequence([plan.random_state, number]).generate_state(1)[0])
    torch.manual_seed(seed)
    batches = list(_batches(recipe, training, seed))
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    changes = augmentation(recipe).set_random_state(seed)
    state.network.train()
    total = 0.0
    rate = plan.learning_rate
    for step, batch in enumerate(batches):
        rate = learning_rate(recipe, number + step / len(batches))
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        samples = [changes(sample) for sample in batch]
        images, masks = (_stacked(samples, k, device) for k in (IMAGE, MASK))
        state.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.float16, enabled=device == "cuda"):
            loss = _loss(state.network(images), masks, loss_of, supervised=recipe.deep_supervision > 0)
        scaler.scale(loss).backward()
        scaler.unscale_(state.optimiser)
        nn.utils.clip_grad_norm_(state.network.parameters(), 12.0)
        scaler.step(state.optimiser)
        scaler.update()
        total += float(loss.detach())
    by_structure, dice = validation_dice(state.network, recipe, validation, device)
    if dice > state.best_dice:
        state.best = {name: tensor.detach().cpu().clone() for name, tensor in network_state(state.network).items()}
        state.best_dice, state.best_epoch, state.by_structure = dice, number + 1, by_structure
    seconds = time.perf_counter() - started
    return Epoch(loss=total / len(batches), dice=dice, learning_rate=rate, seconds=seconds)


def learning_rate(recipe: NetworkRecipe, epoch: float) -> float:
    """Return the learning rate at a (fractional) epoch: linear warm-up, then a cosine to zero."""
    plan = recipe.training
    if epoch < plan.warmup_epochs:
        return plan.learning_rate * max(epoch, 1e-2) / plan.warmup_epochs
    share = (epoch - plan.warmup_epochs) / max(plan.epochs - plan.warmup_epochs, 1e-9)
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _loss(output: torch.Tensor, masks: torch.Tensor, loss_of: nn.Module, *, supervised: bool) -> torch.Tensor:
    if not supervised:
        return loss_of(output.float(), masks)
    weights = [0.5**level for level in range(output.shape[1])]
    parts = [w * loss_of(output[:, level].float(), masks) for level, w in enumerate(weights)]
    return torch.stack(parts).sum() / sum(weights)


def _stacked(samples: Sequence[dict[str, Any]], name: str, device: str) -> torch.Tensor:
    """Return one entry of all samples as a plain tensor, channels last where it is flat: faster on processors."""
    batch = torch.stack([torch.as_tensor(s[name]).as_subclass(torch.Tensor) for s in samples]).to(device)
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


def _batches(recipe: NetworkRecipe, stacks: Sequence[TrainingStack], seed: int) -> list[list[dict[str, Any]]]:
    """Deal the slices, or runs of slices, of all stacks into batches, in random order."""
    rng = np.random.default_rng(seed)
    size = recipe.training.batch_size
    if recipe.dimensions == 2:
        items = [(s, k) for s in range(len(stacks)) for k in range(len(stacks[s].image))]
        order = rng.permutation(len(items))
        samples = [_sample(stacks[items[i][0]], items[i][1]) for i in order]
    else:
        samples = [_window(stacks[i], rng) for i in rng.permutation(len(stacks))]
    whole = max(len(samples) - len(samples) % size, min(len(samples), size))
    return [samples[i : i + size] for i in range(0, whole, size)]


def _sample(stack: TrainingStack, k: int) -> dict[str, Any]:
    return {IMAGE: torch.from_numpy(stack.image[k][None]), MASK: torch.from_numpy(stack.mask[k][None].copy())}


def _window(stack: TrainingStack, rng: np.random.Generator) -> dict[str, Any]:
    """Return a run of slices, the outer ones repeated where the stack has too few."""
    n = len(stack.image)
    first = int(rng.integers(0, max(n - _DEPTH, 0) + 1))
    rows = np.clip(np.arange(first, first + _DEPTH), 0, n - 1)
    image, mask = (np.ascontiguousarray(a[rows].transpose(1, 2, 0))[None] for a in (stack.image, stack.mask))
    return {IMAGE: torch.from_numpy(image), MASK: torch.from_numpy(mask)}


def validation_dice(
    network: nn.Module, recipe: NetworkRecipe, stacks: Sequence[TrainingStack], device: str
) -> tuple[dict[str, float | None], float]:
    """Return the mean 3D Dice of some stacks on the network's grid, per structure and over structures.

    A structure that is drawn nowhere in a stack does not count there.
    """
    network.eval()
    found: dict[str, list[float]] = {name: [] for name in CLASSES[1:]}
    for stack in stacks:
        inner = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
        logits = TorchNetwork(network, recipe.dimensions, device).logits(stack.image[inner])
        guess, truth = logits.argmax(axis=1), stack.mask[inner]
        for number, name in enumerate(CLASSES[1:], start=1):
            a, b = guess == number, truth == number
            if b.any():
                found[name].append(2.0 * float((a & b).sum()) / float(a.sum() + b.sum()))
    means = {name: float(np.mean(values)) if values else None for name, values in found.items()}
    return means, float(np.mean([value for value in means.values() if value is not None]))


def _key(
    recipe: NetworkRecipe,
    training: Sequence[TrainingStack],
    validation: Sequence[TrainingStack],
    initial: Tensors | None,
) -> str:
    """Hash what a training consists of: a checkpoint of anything else is not taken up."""
    data = [[digest([s.image.tobytes().hex()[::4097], s.mask.tobytes().hex()[::97]]) for s in part]
            for part in (training, validation)]  # fmt: skip
    start = None if initial is None else digest({n: float(t.double().sum()) for n, t in initial.items()})
    return digest({"recipe": recipe.model_dump(mode="json", by_alias=True), "data": data, "initial": start})


def _keep(state: _State, checkpoint: Path, key: str) -> None:
    moments = state.optimiser.state_dict()["state"]
    tensors = {f"network.{n}": t for n, t in network_state(state.network).items()}
    tensors |= {f"best.{n}": t for n, t in state.best.items()}
    tensors |= {f"moment.{i}.{n}": torch.as_tensor(t) for i, entry in moments.items() for n, t in entry.items()}
    sha256 = save_weights(tensors, checkpoint)
    record = {
        "key": key,
        "sha256": sha256,
        "best_dice": state.best_dice,
        "best_epoch": state.best_epoch,
        "by_structure": state.by_structure,
        "history": [epoch.model_dump() for epoch in state.history],
    }
    write_json(record, checkpoint.with_suffix(".json"))


def _resume(state: _State, checkpoint: Path, key: str, device: str) -> None:
    beside = checkpoint.with_suffix(".json")
    if not (checkpoint.is_file() and beside.is_file()):
        return
    record, data = json.loads(beside.read_text(encoding="utf-8")), checkpoint.read_bytes()
    if record["key"] != key or record["sha256"] != hashlib.sha256(data).hexdigest():
        return
    tensors = parse_weights(data)
    parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "best": {}, "moment": {}}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        parts[kind][rest] = tensor
    load_state(state.network, parts["network"])
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in parts["moment"].items():
        index, _, rest = name.partition(".")
        moments.setdefault(int(index), {})[rest] = tensor.to(device if rest != "step" else "cpu")
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": moments, "param_groups": groups})
    state.best, state.best_dice, state.best_epoch = parts["best"], record["best_dice"], record["best_epoch"]
    state.by_structure = record["by_structure"]
    state.history = [Epoch(**epoch) for epoch in record["history"]]
