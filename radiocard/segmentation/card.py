"""The card of a trained ensemble: what it is, what it learned from, which files it consists of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from radiocard.errors import ModelError, UsageError
from radiocard.io.atomic import write_json
from radiocard.specs.base import Count, Frozen, NotNegative, digest
from radiocard.specs.segmentation import NetworkRecipe
from radiocard.specs.validate import parse_as

CARD = "card.json"
_MAX_CARD = 16 << 20
_MAX_WEIGHTS = 2 << 30

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.(safetensors|onnx)$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Epoch(Frozen):
    """One pass over the training slices; ``dice`` is the mean of the validation patients."""

    loss: float
    dice: Share
    learning_rate: NotNegative
    seconds: NotNegative


class NetworkMember(Frozen):
    """One network of an ensemble.

    ``trained_on`` holds a hash of each image that the network learned from or was chosen by, so that
    a patient whom it knows is never scored by it.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    files: Mapping[Literal["safetensors", "onnx"], tuple[FileName, Sha256]]
    n_train: Count
    n_validation: Count
    best_epoch: Count
    validation_dice: Mapping[str, Share | None]
    history: tuple[Epoch, ...]
    trained_on: tuple[Sha256, ...]
    initial: str | None = None


class NetworkCard(Frozen):
    """A trained ensemble: recipe, members, training cohort, versions; ``labels`` states what masks mean."""

    schema_: Literal["radiocard/network-card/1"] = Field(alias="schema")
    recipe: NetworkRecipe
    labels: Literal["acdc"]
    members: Annotated[tuple[NetworkMember, ...], Field(min_length=1)]
    n_patients: Count
    simulated: bool
    device: str
    versions: Mapping[str, str]

    @property
    def network_id(self) -> str:
        """Hash of the recipe and of all weights, which names the ensemble in tables and reports."""
        weights = [member.files["safetensors"][1] for member in self.members]
        recipe = self.recipe.model_dump(mode="json", by_alias=True)
        return digest({"recipe": recipe, "weights": weights})

    @property
    def short_id(self) -> str:
        """The name of the ensemble in a table: never one that could be read as a number."""
        return f"net-{self.network_id[:12]}"


def read_card(folder: str | Path) -> NetworkCard:
    """Read the card of a folder that ``radiocard segment train`` wrote.

    Raises
    ------
    UsageError
        If the folder holds no card.
    ModelError
        If the card is not one (``E_MODEL_UNSAFE``).
    """
    path = Path(folder) / CARD
    if not path.is_file():
        msg = f"There is no network in {Path(folder).name!r}: it holds no {CARD}."
        raise UsageError(msg, hint="'radiocard segment train' makes one.")
    if path.stat().st_size > _MAX_CARD:
        msg = f"{CARD} has {path.stat().st_size} bytes, expected at most {_MAX_CARD}."
        raise ModelError(msg)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return parse_as(NetworkCard, content, CARD)
    except (ValueError, RecursionError) as error:
        msg = f"{CARD} is not the card of a network: {str(error).splitlines()[0]}"
        raise ModelError(msg) from None


def write_card(card: NetworkCard, folder: str | Path) -> None:
    """Write the card of an ensemble into its folder."""
    write_json(card.model_dump(mode="json", by_alias=True), Path(folder) / CARD)


def read_weights(folder: str | Path, member: NetworkMember, kind: Literal["safetensors", "onnx"]) -> bytes:
    """Return the bytes of a member's weights, proved to be those that the card names.

    Raises
    ------
    UsageError
        If the ensemble has no such file.
    ModelError
        If the file is missing, too large or not the one that the card names (``E_MODEL_UNSAFE``).
    """
    if kind not in member.files:
        msg = f"The network {member.name} has no {kind} file."
        hint = "'radiocard segment export' makes the ONNX file." if kind == "onnx" else ""
        raise UsageError(msg, hint=hint)
    name, sha256 = member.files[kind]
    path = Path(folder) / name
    if not path.is_file():
        msg = f"The weights {name!r} are missing."
        raise ModelError(msg, hint="Copy the whole folder of the network.")
    if path.stat().st_size > _MAX_WEIGHTS:
        msg = f"The weights {name!r} have {path.stat().st_size} bytes, expected at most {_MAX_WEIGHTS}."
        raise ModelError(msg)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        msg = f"The weights {name!r} are not those that the card names: their hash differs."
        raise ModelError(msg)
    return data
