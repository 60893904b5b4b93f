"""The patient report as data: everything its page shows, and nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from radiocard.report.schema_base import CheckRow, Count, Estimate, Part, Probability, Provenance, Signature
from radiocard.report.schema_sure import Sure
from radiocard.report.schema_why import Rule, Why

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
Positive = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(ge=1, le=4096)]


class ClassProbability(Part):
    """The probability of one class."""

    label: str
    """Class label exactly as in the training cohort."""
    name: str | None = None
    """Plain name, for example 'dilated cardiomyopathy'; the label when null."""
    probability: Probability
    """Probability at the class mix of the training cohort."""
    training_share: Probability | None = None
    """Share of the class among the training patients."""


class Reason(Part):
    """One reason in clinical words."""

    text: str
    """A sentence, for example 'The left ventricle is large at end-diastole.'"""
    column: str | None = None
    """Column the reason rests on."""
    name: str | None = None
    """Plain name of the measurement."""
    value: float | None = None
    """This patient's value."""
    unit: str | None = None
    """Unit of value and reference."""
    reference_low: float | None = None
    """Lower limit of the reference interval; null where it is not known."""
    reference_high: float | None = None
    """Upper limit of the reference interval; null where it is not known."""


class Light(Part):
    """How far the answer can be relied on, and why."""

    level: Literal["reliable", "caution", "not reliable"]
    """The light."""
    causes: list[str]
    """What set it; one sentence each."""


class Answer(Part):
    """Section 1: the answer."""

    sentence: str
    """The answer in one sentence, with its probability and the number of classes."""
    prediction: str
    """Label of the first class."""
    probabilities: list[ClassProbability] = Field(min_length=1)
    """One entry per class the model knows, in the order to be shown."""
    reasons_for: list[Reason] = Field(default_factory=list)
    """Up to three reasons for the first class."""
    reasons_against: list[Reason] = Field(default_factory=list)
    """At least one reason against it, when there is one."""
    light: Light
    """Reliability of the answer."""
    not_known: str | None = None
    """What the model cannot name."""
    out_of_fold: bool = False
    """Whether the patient was in the training cohort, and the answer is by models that did not see this patient."""
    out_of_fold_note: str | None = None
    """How the out-of-fold answer was made."""
    model: str | None = None
    """Name of the model that answers."""


class Letters(Part):
    """Orientation letters at the edges of a picture (R, L, A, P, S, I)."""

    left: str
    right: str
    top: str
    bottom: str


class ColourBar(Part):
    """What the colours of a map stand for."""

    title: str
    """Quantity, for example 'Native T1'."""
    unit: str
    """Unit of the ends."""
    low: float
    """Value of the first colour; lower values have it too."""
    high: float
    """Value of the last colour; higher values have it too."""


class SlicePicture(Part):
    """One slice with its contours, cropped to the heart."""

    level: Literal["basal", "mid", "apical"]
    """Level in the left ventricle."""
    phase: Literal["ed", "es"] | None = None
    """End-diastole or end-systole; null for what is taken once."""
    bar: ColourBar | None = None
    """What the colours stand for; null for a grey picture."""
    slice_number: Count | None = None
    """Number of the slice in the stack, from 1."""
    png_base64: Base64
    """Grey picture, or colours of a map, PNG, base64; no text chunks."""
    width_px: Pixels
    """Columns of the picture."""
    height_px: Pixels
    """Rows of the picture."""
    pixel_mm: tuple[Positive, Positive]
    """Pixel size along columns (x) and rows (y) [mm]."""
    contours: dict[str, list[list[tuple[float, float]]]] = Field(default_factory=dict)
    """Region ('lv_endo', 'lv_epi', 'rv', 'scar') to closed polygons of (x, y) in pixels; (0, 0) is the top left corner
    of the first pixel."""
    letters: Letters | None = None
    """Orientation letters; null where orientation is not known."""

    @field_validator("png_base64")
    @classmethod
    def _is_png(cls, text: str) -> str:
        if not text.startswith("iVBORw0KGgo"):
            msg = "not a PNG in base64"
            raise ValueError(msg)
        return text


class Images(Part):
    """Section 2: the images."""

    slices: list[SlicePicture] = Field(min_length=1)
    """Pictures; the page groups them by phase and level."""
    note: str | None = None
    """For example 'Anterior/inferior not proven: ...'."""


class TexturePlaces(Part):
    """Where the texture that bears most on the answer is high and low."""

    column: str
    """Column of the feature table."""
    name: str
    """Plain name."""
    sentence: str
    """What the colours show."""
    slices: list[SlicePicture] = Field(min_length=1)
    """Pictures, the region coloured."""


class MeasureRow(Part):
    """One clinical number."""

    group: str
    """Heading under which it is shown, for example 'Left ventricle'."""
    column: str
    """Column of the feature table."""
    name: str
    """Plain name."""
    value: float | None
    """Value; null where undefined."""
    unit: str
    """Unit; empty for a ratio."""
    reference_low: float | None = None
    """Lower limit of the reference interval."""
    reference_high: float | None = None
    """Upper limit of the reference interval."""
    position: Literal["below", "within", "above"] | None = None
    """Where the value stands to the reference interval; null where none applies."""
    z: float | None = None
    """Standard deviations from the reference mean."""
    source: str | None = None
    """Where the reference comes from (short)."""


class Measures(Part):
    """Section 3: clinical numbers."""

    rows: list[MeasureRow] = Field(min_length=1)
    """All measurements in the order to be shown."""
    reference: str | None = None
    """Citation of the reference values, and for whom they hold."""
    note: str | None = None
    """Conventions: papillary muscles, BSA formula, density; why no reference is given where there is none."""


class BullsEye(Part):
    """One quantity over the AHA segments 1 to 16."""

    title: str
    """For example 'Wall thickness, end-diastole'."""
    unit: str
    """Unit of the values."""
    values: list[float | None] = Field(min_length=16, max_length=16)
    """Segment 1 to 16; null where the segment could not be measured."""
    limits: tuple[float, float] | None = None
    """Ends of the colour scale; from the values when null."""
    proven: bool = True
    """Whether anterior and inferior are proven; when not, the walls are not named."""
    note: str | None = None
    """Shown under the picture, for example how segments are numbered where orientation is not proven."""


class MetricLine(Part):
    """One measured quality of the model."""

    name: str
    """For example 'Balanced accuracy'."""
    estimate: Estimate
    """Value with its 95 % interval."""
    percent: bool = True
    """Whether to print it as a percentage."""


class ModelCard(Part):
    """Extract of the model card."""

    name: str
    """Model that answers."""
    model_id: str | None = None
    """Identity of the model file."""
    cohort: str | None = None
    """Training cohort in words."""
    n_patients: Count | None = None
    """Number of training patients."""
    classes: dict[str, Count] = Field(default_factory=dict)
    """Training patients per class."""
    sites: list[str] = Field(default_factory=list)
    """Sites of the training cohort."""
    validation: str | None = None
    """How the quality was measured."""
    metrics: list[MetricLine] = Field(default_factory=list)
    """Measured quality."""
    weak_groups: list[str] = Field(default_factory=list)
    """Groups in which the model is weak, in words."""
    limits: list[str] = Field(default_factory=list)
    """What it must not be used for."""


class Record(Part):
    """Section 6: the record."""

    model: ModelCard | None = None
    """Extract of the model card."""
    warnings: list[CheckRow] = Field(default_factory=list)
    """Every warning in full."""
    provenance: Provenance = Provenance()
    """Versions, hashes, seed, command."""
    signature: Signature | None = None
    """The reader's signature; the report is preliminary without it."""


class PatientReport(Part):
    """An explained diagnosis of one patient."""

    schema_: Literal["radiocard/patient-report/1"] = Field(default="radiocard/patient-report/1", alias="schema")
    """Identity of this schema."""
    patient_id: str
    """Pseudonym."""
    study: str | None = None
    """Study in words, for example 'Short-axis cine, end-diastole and end-systole'."""
    demographics: dict[str, str] = Field(default_factory=dict)
    """Known covariates with unit, for example 'Sex': 'female', 'Age': '54 y'."""
    simulated: bool = False
    """Whether the case is simulated."""
    override: str | None = None
    """Text stamped on every page, when a model trained on simulated data was forced onto a real case."""
    answer: Answer | None = None
    """Section 1."""
    images: Images | None = None
    """Section 2."""
    checks: list[CheckRow] = Field(default_factory=list)
    """Input checks, passed and failed."""
    measures: Measures | None = None
    """Section 3."""
    bulls_eyes: list[BullsEye] = Field(default_factory=list)
    """AHA bull's eyes of section 3."""
    why: Why | None = None
    """Section 4."""
    texture: TexturePlaces | None = None
    """The texture that bears most on the answer, drawn on the image; null where none is among the top features."""
    rule: Rule | None = None
    """The published rule, beside the model."""
    sure: Sure | None = None
    """Section 5."""
    record: Record = Record()
    """Section 6."""
