"""Recipe of an end-to-end image classifier: two moments of a heartbeat in, class probabilities out, no mask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from radiocard.specs.base import Count, Frozen, NotNegative
from radiocard.specs.segmentation import NetworkGrid, Share, Training


class HeartChanges(Frozen):
    """How far a training heart is changed, at random and in all its slices alike; each with ``probability``.

    ``rotation_deg``, ``scale`` (as a share) and ``shift_px`` move it; ``gamma`` (as a factor) and ``noise``
    (in standard deviations) change the grey values. It is never mirrored: left and right differ.
    """

    probability: Share
    rotation_deg: NotNegative
    scale: Annotated[float, Field(ge=0, lt=1)]
    shift_px: NotNegative
    gamma: Annotated[float, Field(ge=1)]
    noise: NotNegative


class ClassifierRecipe(Frozen):
    """One kind of image classifier: a DenseNet sees both phases of each slice, and the slices of a heart vote.

    A stack is resampled to ``slices``, from its first to its last slice. ``features`` are those of the
    first layer, each layer adds ``growth``, and ``blocks`` holds the layers of each dense block. In
    ``training``, ``validation`` is the share of training patients whose log-loss decides which epoch is kept.
    """

    schema_: Literal["radiocard/image-classifier/1"] = Field(alias="schema")
    name: str
    title: str
    slices: Annotated[int, Field(ge=2, le=64)]
    grid: NetworkGrid
    features: Count
    growth: Count
    blocks: Annotated[tuple[Count, ...], Field(min_length=1, max_length=4)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    augmentation: HeartChanges
    training: Training
