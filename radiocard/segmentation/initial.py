"""Weights to start a training from: of a pre-training, or of a trained ensemble."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from radiocard.errors import ModelError
from radiocard.io.atomic import write_json
from radiocard.segmentation.card import FileName, Sha256, read_card, read_weights
from radiocard.specs.base import Count, Frozen, digest
from radiocard.specs.segmentation import NetworkRecipe
from radiocard.specs.validate import parse_as

if TYPE_CHECKING:
    from radiocard.segmentation.weights import Tensors

PRETRAINING = "pretraining.json"
WEIGHTS = "pretrained.safetensors"
UNKNOWN_START = "The training started from weights that do not say whose images they learned from."


class PretrainingCard(Frozen):
    """A pre-training without masks: recipe, images by their hashes, error of hidden pixels after each epoch."""

    schema_: Literal["radiocard/pretraining/1"] = Field(alias="schema")
    recipe: NetworkRecipe
    weights: tuple[FileName, Sha256]
    n_images: Count
    losses: Annotated[tuple[float, ...], Field(min_length=1)]
    seen: tuple[Sha256, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Initial:
    """Weights to start from.

    Parameters
    ----------
    state : mapping of str to Tensor
    initial_id : str
        Names them in the card of what is trained from them.
    seen : frozenset of str
        Hashes of the images that they know: no patient of these is unseen by what starts from them.
    of_unknown : bool
        Whether nobody says which images they know.
    """

    state: Tensors
    initial_id: str
    seen: frozenset[str]
    of_unknown: bool = False


def read_initial(source: str | Path) -> Initial:
    """Read the weights of a pre-training, those of the first member of an ensemble, or those of a file.

    Parameters
    ----------
    source : str or Path
        Folder written by ``radiocard segment pretrain`` or ``radiocard segment train``; or a safetensors file,
        which does not say whose images it learned from.

    Returns
    -------
    Initial

    Raises
    ------
    UsageError
        If a folder holds neither.
    ModelError
        If card or weights are not what they should be (``E_MODEL_UNSAFE``).
    """
    from radiocard.segmentation.weights import parse_weights

    folder = Path(source)
    if folder.is_file():
        data = folder.read_bytes()
        known = digest({"weights": hashlib.sha256(data).hexdigest()})
        return Initial(parse_weights(data), known, frozenset(), of_unknown=True)
    if (folder / PRETRAINING).is_file():
        card = _read(folder / PRETRAINING)
        path = folder / card.weights[0]
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != card.weights[1]:
            msg = f"The weights {card.weights[0]!r} are not those that {PRETRAINING} names."
            raise ModelError(msg, hint="Copy the whole folder of the pre-training.")
        return Initial(parse_weights(data), digest({"pretraining": card.weights[1]}), frozenset(card.seen))
    ensemble = read_card(folder)
    member = ensemble.members[0]
    state = parse_weights(read_weights(folder, member, "safetensors"))
    return Initial(state, ensemble.network_id, frozenset(member.trained_on))


def write_pretraining(card: PretrainingCard, folder: str | Path) -> None:
    """Write the card of a pre-training into its folder, beside the weights."""
    write_json(card.model_dump(mode="json", by_alias=True), Path(folder) / PRETRAINING)


def _read(path: Path) -> PretrainingCard:
    try:
        return parse_as(PretrainingCard, json.loads(path.read_text(encoding="utf-8")), path.name)
    except (ValueError, RecursionError) as error:
        msg = f"{path.name} is not the card of a pre-training: {str(error).splitlines()[0]}"
        raise ModelError(msg) from None
