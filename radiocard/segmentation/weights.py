"""Weights as safetensors: nothing in such a file can run. Needs the extra ``cnn``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from radiocard.errors import ModelError, UsageError
from radiocard.io.atomic import write_bytes

Tensors = Mapping[str, torch.Tensor]


def network_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of a network, each once: some networks hold a layer under two names."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def save_weights(state: Tensors, path: Path) -> str:
    """Write the state of a network; return the SHA-256 of the file."""
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    write_bytes(data, path)
    return hashlib.sha256(data).hexdigest()


def parse_weights(data: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file.

    Raises
    ------
    ModelError
        If it is none (``E_MODEL_UNSAFE``).
    """
    try:
        return dict(load(data))
    except (SafetensorError, ValueError, KeyError) as error:
        msg = f"The weights are not a safetensors file: {error}"
        raise ModelError(msg) from None


def load_state(network: nn.Module, state: Tensors) -> None:
    """Put weights into a network of the very same shape.

    Raises
    ------
    ModelError
        If names or shapes are not those of the network (``E_MODEL_UNSAFE``).
    """
    own = network_state(network)
    wrong = sorted({*own} ^ {*state}) or sorted(n for n in own if own[n].shape != state[n].shape)
    if wrong:
        msg = f"The weights do not belong to this recipe: {wrong[0]!r} differs ({len(wrong)} in all)."
        raise ModelError(msg)
    network.load_state_dict(dict(state), strict=False)


def transfer_weights(network: nn.Module, state: Tensors) -> int:
    """Put those weights into a network that fit it by name and shape; the others stay as they are.

    Parameters
    ----------
    network : torch.nn.Module
    state : mapping of str to Tensor
        Of a network with another last layer, for example.

    Returns
    -------
    int
        How many tensors were taken.

    Raises
    ------
    UsageError
        If fewer than half of the network's tensors fit.
    """
    own = network_state(network)
    fitting = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
    if 2 * len(fitting) < len(own):
        msg = f"Only {len(fitting)} of {len(own)} tensors of the initial weights fit this recipe."
        raise UsageError(msg, hint="Start from weights of the same architecture and channels.")
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
