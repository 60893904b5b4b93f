"""How sure an answer is, as data."""

from __future__ import annotations

from pydantic import Field

from radiocard.report.schema_base import Part, Probability


class Voice(Part):
    """What one of the trained models says."""

    title: str
    """Name of the model."""
    label: str
    """Its first class."""
    name: str
    """Plain name of that class."""
    probability: Probability
    """Its probability of that class."""


class Moved(Part):
    """The answer after the masks or the image were changed as much as readers differ."""

    change: str
    """What was changed, in words."""
    name: str
    """Plain name of the first class then."""
    probability: Probability
    """Probability of the class that the report names."""
    same: bool
    """Whether the first class is still that of the report."""


class Sure(Part):
    """Section 5: how sure, how wrong."""

    possible: str
    """The set of classes that stay possible, with its size, or why there is none."""
    likeness: str
    """How unlike the training patients this patient is, and in which measurements."""
    unlike: bool = False
    """Whether that raises an alarm."""
    voices: list[Voice] = Field(default_factory=list)
    """The trained models one by one."""
    moved: list[Moved] = Field(default_factory=list)
    """Answers after changes of the masks."""
    moved_note: str | None = None
    """How they were made, or why there are none."""
    flip: str | None = None
    """The smallest change that physiology allows and that gives another answer: about the model, not the patient."""
