"""Recipes of segmentation networks: what goes in, which network, how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from radiocard.specs.base import Count, Frozen, Interval, NotNegative, Positive

Share = Annotated[float, Field(ge=0, le=1)]


class NetworkGrid(Frozen):
    """What a network sees: square slices around the heart, with grey values that no outlier rules.

    ``spacing_mm`` is the distance of pixel centres, ``size_px`` the side of the square; grey values
    between the two ``percentiles`` of the square, over all slices, are brought to zero mean and unit
    standard deviation, and those outside are clipped.
    """

    spacing_mm: Positive
    size_px: Annotated[int, Field(ge=32, le=512, multiple_of=16)]
    percentiles: Interval

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            msg = f"percentiles are {low} and {high}, expected two ascending numbers from 0 to 100"
            raise ValueError(msg)
        return self


class Augmentation(Frozen):
    """How far a training slice is changed, at random; each change happens with ``probability``.

    ``rotation_deg``, ``scale`` (as a share) and ``shift_px`` move the heart; ``flips`` mirrors both axes and
    lets predictions be averaged over mirrored slices; ``gamma`` (as a factor), ``bias_field``, ``blur_px``,
    ``noise`` (in standard deviations) change the grey values; ``motion_px`` takes a part of the
    lines of k-space from a heart displaced by so much, slice by slice.
    """

    probability: Share
    rotation_deg: NotNegative
    scale: Annotated[float, Field(ge=0, lt=1)]
    shift_px: NotNegative
    flips: bool
    gamma: Annotated[float, Field(ge=1)]
    bias_field: NotNegative
    blur_px: NotNegative
    noise: NotNegative
    motion_px: NotNegative


class Training(Frozen):
    """How the weights are learned: AdamW, warm-up, then a cosine to zero, with early stopping.

    ``validation`` is the share of training patients, never split from their twins, whose Dice decides
    which epoch is kept; training ends after ``patience`` epochs without a better one.
    """

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_epochs: NotNegative
    validation: Annotated[float, Field(gt=0, lt=1)]
    patience: Count
    random_state: Annotated[int, Field(ge=0)]


class NetworkRecipe(Frozen):
    """One kind of segmentation network, from image to class probabilities.

    ``channels`` are the feature maps of each level; ``deep_supervision`` is the number of lower levels
    that are held to the truth as well. ``dimensions`` 3 treats the slices of a stack together, without
    ever halving them: slices are thick.
    """

    schema_: Literal["radiocard/network/1"] = Field(alias="schema")
    name: str
    title: str
    architecture: Literal["unet", "residual_unet", "attention_unet", "dynunet"]
    dimensions: Literal[2, 3]
    channels: Annotated[tuple[Count, ...], Field(min_length=3)]
    deep_supervision: Annotated[int, Field(ge=0)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    grid: NetworkGrid
    augmentation: Augmentation
    training: Training

    @model_validator(mode="after")
    def _buildable(self) -> Self:
        if self.deep_supervision and self.architecture != "dynunet":
            msg = f"deep_supervision is {self.deep_supervision}, expected 0: only dynunet has it"
            raise ValueError(msg)
        if self.deep_supervision > len(self.channels) - 2:
            msg = f"deep_supervision is {self.deep_supervision}, expected at most {len(self.channels) - 2}"
            raise ValueError(msg)
        if self.grid.size_px % 2 ** (len(self.channels) - 1):
            msg = f"size_px is {self.grid.size_px}, expected a multiple of {2 ** (len(self.channels) - 1)}"
            raise ValueError(msg)
        return self
