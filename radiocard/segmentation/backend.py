"""Trained networks that answer: by torch (extra ``cnn``) or by onnxruntime alone (extra ``onnx``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import MissingExtraError, ModelError, UsageError
from radiocard.segmentation.card import NetworkCard, NetworkMember, read_card, read_weights
from radiocard.segmentation.quality_model import QualityModel, read_quality
from radiocard.specs import shipped_folder

if TYPE_CHECKING:
    from torch import nn

Backend = Literal["auto", "torch", "onnx"]
Stack = NDArray[np.float32]
_AT_ONCE = 16
QUALITY = "quality.json"


class Network(Protocol):
    """What gives logits of shape (n_slices, 4, size, size) for slices of shape (n_slices, size, size)."""

    def logits(self, stack: Stack) -> Stack:
        """Return the logits of a normalised stack."""
        ...


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A network run by torch.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on its device.
    dimensions : {2, 3}
    device : str
    """

    module: nn.Module
    dimensions: int
    device: str

    def logits(self, stack: Stack) -> Stack:
        """Return the logits of a normalised stack."""
        import torch

        values = torch.from_numpy(np.ascontiguousarray(stack)).to(self.device)
        with torch.inference_mode():
            if self.dimensions == 3:
                out = self.module(values.permute(1, 2, 0)[None, None])[0].permute(3, 0, 1, 2)
            else:
                parts = [self.module(values[i : i + _AT_ONCE, None]) for i in range(0, len(values), _AT_ONCE)]
                out = torch.cat(parts)
        return np.asarray(out.float().cpu().numpy())


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network run by onnxruntime.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    dimensions : {2, 3}
    """

    session: Any
    dimensions: int

    def logits(self, stack: Stack) -> Stack:
        """Return the logits of a normalised stack."""
        values = np.ascontiguousarray(stack)
        if self.dimensions == 3:
            out = self._run(values.transpose(1, 2, 0)[None, None])[0]
            return np.ascontiguousarray(out.transpose(3, 0, 1, 2))
        return np.concatenate([self._run(values[i : i + _AT_ONCE, None]) for i in range(0, len(values), _AT_ONCE)])

    def _run(self, values: Stack) -> Stack:
        return np.asarray(self.session.run(None, {"image": np.ascontiguousarray(values)})[0])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The networks of a folder, ready to answer.

    Parameters
    ----------
    card : NetworkCard
    networks : tuple of Network
        One per member of the card, in its order.
    backend : {'torch', 'onnx'}
    quality : QualityModel or None
        What judges its masks; a rule does where there is none.
    """

    card: NetworkCard
    networks: tuple[Network, ...]
    backend: str
    quality: QualityModel | None = None

    def unseen(self, image_hashes: Sequence[str]) -> tuple[Network, ...]:
        """Return the networks that learned from none of some images."""
        hashes = set(image_hashes)
        pairs = zip(self.card.members, self.networks, strict=True)
        return tuple(network for member, network in pairs if not hashes & set(member.trained_on))


def open_ensemble(folder: str | Path, *, backend: Backend = "auto", quality: str | Path | None = None) -> Ensemble:
    """Open the networks of a folder.

    Parameters
    ----------
    folder : str or Path
        Written by ``radiocard segment train``.
    backend : {'auto', 'torch', 'onnx'}
        ``auto`` takes ONNX files where all members have one and onnxruntime is installed, unless
        torch has a GPU.
    quality : str or Path, optional
        Quality model; ``quality.json`` of the folder where there is one.

    Returns
    -------
    Ensemble

    Raises
    ------
    UsageError
        If the folder holds no network, or no ONNX files where they are asked for.
    ModelError
        If a file is not what the card says.
    MissingExtraError
        If neither onnxruntime nor torch is installed, or not the one that is asked for.
    """
    place = Path(folder)
    card = read_card(place)
    if backend not in get_args(Backend):
        msg = f"The backend {backend!r} is not known; expected {' or '.join(get_args(Backend))}."
        raise UsageError(msg)
    if quality is not None and not Path(quality).is_file():
        msg = f"There is no quality model {Path(quality).name!r}."
        raise UsageError(msg, field="quality", hint="'radiocard segment quality' makes one.")
    chosen = _choose(card) if backend == "auto" else backend
    load = onnx_network if chosen == "onnx" else _torch
    beside = place / QUALITY
    judge = quality if quality is not None else beside if beside.is_file() else None
    networks = tuple(load(place, card, member) for member in card.members)
    return Ensemble(card, networks, chosen, None if judge is None else read_quality(judge))


def demo_network() -> Path:
    """Return the folder of the small network that comes with radiocard: it knows simulated hearts alone."""
    return shipped_folder("models") / "demo_network"


def torch_module(folder: str | Path, card: NetworkCard, member: NetworkMember) -> nn.Module:
    """Return the network of a member with its weights, in evaluation mode, on the processor.

    Raises
    ------
    MissingExtraError
        If torch or MONAI is not installed.
    ModelError
        If the weights are not those of the card or do not belong to its recipe.
    """
    from radiocard.segmentation.networks import build_network, require_torch

    require_torch("Running a network by torch")
    from radiocard.segmentation.weights import load_state, parse_weights

    module = build_network(card.recipe)
    load_state(module, parse_weights(read_weights(folder, member, "safetensors")))
    return module.eval()


def _choose(card: NetworkCard) -> Literal["torch", "onnx"]:
    if not all("onnx" in member.files for member in card.members):
        return "torch"
    if not _importable("torch"):
        return "onnx"  # which says what to install, if it is not there either
    if not _importable("onnxruntime"):
        return "torch"
    import torch

    return "torch" if torch.cuda.is_available() else "onnx"


def _importable(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except ImportError:  # a finder of its own forbids it
        return False


def _torch(folder: Path, card: NetworkCard, member: NetworkMember) -> Network:
    module = torch_module(folder, card, member)
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchNetwork(module.to(device), card.recipe.dimensions, device)


def require_onnxruntime() -> None:
    """Refuse to go on without onnxruntime.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        msg = f"Running a network needs onnxruntime: {error}."
        raise MissingExtraError(msg, hint="Install with: pip install 'radiocard[onnx]'") from None


def onnx_network(folder: Path, card: NetworkCard, member: NetworkMember) -> Network:
    """Return the network of a member as onnxruntime runs it on the processor.

    Raises
    ------
    MissingExtraError
        If onnxruntime is not installed.
    ModelError
        If the file is not that of the card, or cannot be run.
    """
    data = read_weights(folder, member, "onnx")
    require_onnxruntime()
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common public class
        msg = f"The network {member.name} is not an ONNX file that can be run: {str(error).splitlines()[0]}"
        raise ModelError(msg) from None
    return OnnxNetwork(session, card.recipe.dimensions)
