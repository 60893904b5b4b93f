"""Settings of grey level discretisation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from radiocard.specs.base import Count, Frozen, Positive, number_text


class Discretisation(Frozen):
    """Grey level discretisation: fixed bin number (``fbn``) or fixed bin size (``fbs``)."""

    method: Literal["fbn", "fbs"]
    bins: Count | None = None
    width: Positive | None = None
    max_bins: Annotated[int, Field(ge=1, le=65536)]

    @model_validator(mode="after")
    def _one_of(self) -> Discretisation:
        if (self.method == "fbn") != (self.bins is not None) or (self.method == "fbs") != (self.width is not None):
            msg = "fbn takes 'bins' and no 'width'; fbs takes 'width' and no 'bins'"
            raise ValueError(msg)
        return self

    @property
    def tag(self) -> str:
        """Column suffix, for example ``fbn32`` or ``fbs25``."""
        return f"fbn{self.bins}" if self.method == "fbn" else f"fbs{number_text(self.width or 0)}"
