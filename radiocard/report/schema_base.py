"""Parts that the patient report and the cohort report share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Curve = list[tuple[float, float]]


class Part(BaseModel):
    """Base of every part: frozen, no unknown field, no NaN; an absent part is null."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, serialize_by_alias=True
    )


class Estimate(Part):
    """A point estimate with its interval."""

    value: float
    """Point estimate."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""


class CheckRow(Part):
    """One input check or one finding about a case."""

    code: str
    """Issue code, for example ``W_PHASE``, or the name of a check that passed."""
    severity: Literal["pass", "warn", "refuse", "abort"]
    """``pass`` for a check that found nothing."""
    message: str
    """What was checked or found, with the values compared."""
    passed: bool
    """Whether the check found nothing."""
    field: str | None = None
    """Role or column concerned."""
    hint: str | None = None
    """What to look at."""


class Signature(Part):
    """What the reader wrote when signing."""

    reader: str
    """Name of the reader."""
    agreement: Literal["agrees", "agrees in part", "disagrees"]
    """Whether the reader agrees with the answer."""
    comment: str | None = None
    """The reader's own words."""
    date: str
    """Day of signing, ISO 8601."""


class Provenance(Part):
    """How the report was made."""

    versions: dict[str, str] = Field(default_factory=dict)
    """Software name to version."""
    hashes: dict[str, str] = Field(default_factory=dict)
    """What was hashed (specification, model, table) to its digest."""
    seed: int | None = None
    """Seed of every random choice."""
    command: str | None = None
    """Command or call that made the report."""
    created: str | None = None
    """Date of making, ISO 8601."""
