"""The cohort report as data: everything its page shows, and nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from radiocard.report.schema_base import Count, Part, Probability, Provenance
from radiocard.report.schema_checklist import Reporting
from radiocard.report.schema_evidence import Performance, Reasons, Trust
from radiocard.report.schema_further import Further
from radiocard.report.schema_patient import BullsEye

Link = Annotated[str, Field(pattern=r"^(#[A-Za-z0-9_-]+|[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*)$")]


class Alert(Part):
    """Something to fix or to know before reading on."""

    severity: Literal["fix", "look", "note"]
    """``fix`` spoils results, ``look`` may, ``note`` is for the reader."""
    title: str
    """In a few words."""
    message: str
    """What was found, with numbers."""
    action: str | None = None
    """What to do."""
    cases: list[str] = Field(default_factory=list)
    """Patients concerned."""


class FlowStep(Part):
    """One station of the flow of cases."""

    name: str
    """For example 'Found in the cohort'."""
    n: Count
    """Number of cases."""


class Exclusion(Part):
    """Cases that left the flow for one reason."""

    code: str
    """Issue code."""
    reason: str
    """In words."""
    cases: list[str]
    """Patients."""


class Flow(Part):
    """Cases found, refused and used."""

    steps: list[FlowStep] = Field(min_length=1)
    """Stations in order."""
    excluded: list[Exclusion] = Field(default_factory=list)
    """Reasons and patients."""


class CountRow(Part):
    """One row of a table of counts."""

    name: str
    """For example a class, a site, 'female', '40 to 59 y', 'unknown'."""
    counts: dict[str, Count]
    """Column (class label, or 'all') to number of patients."""


class CountTable(Part):
    """Counts of patients by one covariate."""

    title: str
    """For example 'Sex'."""
    columns: list[str]
    """Keys of the counts in the order to be shown."""
    rows: list[CountRow]
    """Rows."""


class SummaryRow(Part):
    """Distribution of one number over the cohort."""

    name: str
    """For example 'Age' or 'Slice spacing'."""
    unit: str
    """Unit."""
    n: Count
    """Patients in whom it is known."""
    median: float
    """Median."""
    quartiles: tuple[float, float]
    """First and third quartile."""
    range: tuple[float, float]
    """Smallest and largest value."""


class DuplicateGroup(Part):
    """The same image under several identifiers."""

    cases: list[str]
    """Patients."""
    message: str
    """What is identical, and what was done."""


class StripDot(Part):
    """One patient in a strip plot."""

    case: str
    """Patient."""
    value: float
    """Value."""
    flagged: bool = False
    """Whether the check fired."""
    href: Link | None = None
    """Relative address of the patient's report."""


class CheckStrip(Part):
    """The values of one check over all patients."""

    title: str
    """What is compared."""
    unit: str
    """Unit."""
    groups: dict[str, list[StripDot]]
    """Row (class label or 'all') to its patients."""
    low: float | None = None
    """Values below it are flagged."""
    high: float | None = None
    """Values above it are flagged."""
    note: str | None = None
    """For example how many are flagged."""


class DataPart(Part):
    """Section 2: data."""

    sentence: str | None = None
    """Layout, label convention and sequences in words."""
    counts: list[CountTable] = Field(default_factory=list)
    """Classes, sex, age, site, vendor, field strength, phases."""
    summaries: list[SummaryRow] = Field(default_factory=list)
    """Age, spacing, slices and the like."""
    duplicates: list[DuplicateGroup] = Field(default_factory=list)
    """Identical images."""
    checks: list[CheckStrip] = Field(default_factory=list)
    """Strip plots of the checks, and of measurements without limits."""
    bulls_eyes: list[BullsEye] = Field(default_factory=list)
    """Mean of each class in the AHA segments."""


class MissingFeature(Part):
    """A column with undefined values."""

    column: str
    """Column."""
    name: str
    """Plain name."""
    n_missing: Count
    """Patients without a value."""
    reason: str | None = None
    """Why, where it is known."""


class CorrelationCluster(Part):
    """Columns that say the same thing."""

    columns: list[str]
    """Members."""
    representative: str | None = None
    """The member nearest to all others."""
    smallest_r: float
    """Smallest absolute correlation within the cluster."""


class FeaturePart(Part):
    """Section 3: features."""

    n_columns: Count
    """Number of feature columns."""
    n_patients: Count
    """Number of rows."""
    families: dict[str, Count] = Field(default_factory=dict)
    """Family to number of columns."""
    missing: list[MissingFeature] = Field(default_factory=list)
    """Columns with undefined values."""
    constant: list[str] = Field(default_factory=list)
    """Columns with one value."""
    correlation_limit: Probability | None = None
    """Absolute correlation above which columns form a cluster."""
    clusters: list[CorrelationCluster] = Field(default_factory=list)
    """Clusters of correlated columns."""


class CohortReport(Part):
    """Evidence about a cohort and the models trained or tested on it."""

    schema_: Literal["radiocard/cohort-report/1"] = Field(default="radiocard/cohort-report/1", alias="schema")
    """Identity of this schema."""
    title: str
    """Name of the cohort or study."""
    subtitle: str | None = None
    """One line: patients, classes, sequences."""
    simulated: bool = False
    """Whether the cohort is simulated."""
    override: str | None = None
    """Text stamped on every page, when a model trained on simulated data was forced onto real cases."""
    classes: list[str] = Field(default_factory=list)
    """Class labels; their order fixes the colours."""
    class_names: dict[str, str] = Field(default_factory=dict)
    """Class label to its plain name."""
    summary: list[str] = Field(default_factory=list)
    """The main findings in one or two sentences."""
    alerts: list[Alert] = Field(default_factory=list)
    """Section 1, most pressing first."""
    flow: Flow | None = None
    """Section 1: included and excluded cases."""
    data: DataPart | None = None
    """Section 2."""
    features: FeaturePart | None = None
    """Section 3."""
    performance: Performance | None = None
    """Section 4."""
    trust: Trust | None = None
    """Section 5."""
    reasons: Reasons | None = None
    """Section 6."""
    further: list[Further] = Field(default_factory=list)
    """Sections 3 to 6: what other commands found, attached to the evaluation."""
    checklists: Reporting | None = None
    """Section 8."""
    methods: list[str] = Field(default_factory=list)
    """Section 9: paragraphs ready to paste."""
    provenance: Provenance | None = None
    """Section 9: versions, hashes, seed, command."""
