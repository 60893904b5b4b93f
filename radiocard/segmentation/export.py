"""Networks as ONNX, to be run without torch. Needs the extras ``cnn`` and ``onnx``."""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import MissingExtraError, ModelError
from radiocard.io.atomic import write_bytes
from radiocard.segmentation.backend import TorchNetwork, onnx_network, require_onnxruntime, torch_module
from radiocard.segmentation.card import NetworkCard, NetworkMember, read_card, write_card

_OPSET = 20
_LARGEST_DIFFERENCE = 1e-3  # of a logit, between torch and onnxruntime


@dataclass(frozen=True)
class Export:
    """What an export gave.

    Parameters
    ----------
    card : NetworkCard
        That names the ONNX files as well.
    largest_difference : float
        Of a logit between torch and onnxruntime, over all members, on a test pattern.
    """

    card: NetworkCard
    largest_difference: float


def export_onnx(folder: str | Path) -> Export:
    """Write each network of a folder as ONNX beside its weights, and prove that it answers alike.

    Parameters
    ----------
    folder : str or Path
        Written by ``radiocard segment train``; its card gets the new files.

    Returns
    -------
    Export

    Raises
    ------
    MissingExtraError
        If torch, onnxscript or onnxruntime is not installed.
    ModelError
        If an exported network answers differently; the card is not changed then.
    """
    require_onnxruntime()
    place = Path(folder)
    card = read_card(place)
    members = tuple(_export(place, card, member) for member in card.members)
    exported = card.model_copy(update={"members": members})
    pattern = _pattern(card.recipe.grid.size_px)
    differences = []
    for member in members:
        before = TorchNetwork(torch_module(place, card, member), card.recipe.dimensions, "cpu")
        after = onnx_network(place, exported, member)
        differences.append(float(np.abs(before.logits(pattern) - after.logits(pattern)).max()))
    if max(differences) > _LARGEST_DIFFERENCE:
        msg = f"The exported network answers differently: logits are off by {max(differences):.2g}."
        raise ModelError(msg)
    write_card(exported, place)
    return Export(exported, max(differences))


def _export(folder: Path, card: NetworkCard, member: NetworkMember) -> NetworkMember:
    module = torch_module(folder, card, member)
    import torch

    size, flat = card.recipe.grid.size_px, card.recipe.dimensions == 2
    sample = torch.zeros((2, 1, size, size) if flat else (1, 1, size, size, 3))
    varying = torch.export.Dim("slices", min=1, max=512)
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that are not needed
    try:
        with warnings.catch_warnings():  # of torch about itself: nothing that a user could change
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (sample,),
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes=({0 if flat else 4: varying},),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except ImportError as error:
        msg = f"Exporting a network needs onnxscript: {error}."
        raise MissingExtraError(msg, hint="Install with: pip install 'radiocard[cnn,onnx]'") from None
    _forget_places(program.model)
    program.save(buffer)
    data = buffer.getvalue()
    name = f"{member.name}.onnx"
    write_bytes(data, folder / name)
    sha256 = hashlib.sha256(data).hexdigest()
    return member.model_copy(update={"files": {**member.files, "onnx": (name, sha256)}})


def _forget_places(model: Any) -> None:
    """Take out what the exporter notes of this machine: the source line behind each operation."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        graph.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
    model.metadata_props.clear()


def _pattern(size: int) -> NDArray[np.float32]:
    """Return three slices with rings and noise."""
    axis = np.linspace(-1, 1, size)
    radius = np.hypot(axis[:, None], axis[None, :])
    rings = np.stack([np.cos(8 * radius + phase) for phase in (0.0, 1.0, 2.0)])
    return np.asarray(rings + np.random.default_rng(0).normal(0, 0.3, rings.shape), dtype=np.float32)
