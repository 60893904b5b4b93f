"""Every exception of radiocard, and the issue records that travel with results.

Three outcomes exist for bad input. ``refuse``: the case fails, the others go on.
``warn``: the result is kept and the flag travels with it. ``abort``: the command
stops before any work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["refuse", "warn", "abort"]

CODES: Mapping[str, tuple[Severity, str]] = MappingProxyType(
    {
        "E_READ": ("refuse", "The file is not what it should be."),
        "E_MISSING": ("refuse", "A file that the cohort names does not exist."),
        "E_TRUNCATED": ("refuse", "The file ends before its voxels do."),
        "E_GZIP": ("refuse", "The compressed stream is damaged."),
        "E_TOO_BIG": ("refuse", "The file declares or unpacks to more than the cap."),
        "E_DICOM": ("refuse", "The DICOM file is malformed or holds no image that can be read."),
        "E_SERIES": ("refuse", "The images are not one complete series."),
        "E_AFFINE": ("refuse", "The voxel-to-world transform is not usable."),
        "E_ORIENTATION": ("refuse", "The two orientations of the file disagree."),
        "E_GEOMETRY": ("refuse", "Image and mask are on different grids."),
        "E_NONFINITE": ("refuse", "Voxels are NaN or infinite."),
        "E_UNITS": ("refuse", "The values of a map are not in the unit they should be in."),
        "E_VALUES": ("refuse", "A map holds values that its quantity cannot have."),
        "E_EMPTY_ROI": ("refuse", "A region has no voxels."),
        "E_ROI_SIZE": ("refuse", "A region is smaller than the specification allows."),
        "E_LABELS": ("refuse", "The mask does not hold whole-number labels."),
        "E_LABEL_ANATOMY": ("refuse", "The labels contradict anatomy."),
        "E_BINS": (
            "refuse",
            "Discretisation would make more bins than the cap, or bins narrower than the rounding.",
        ),
        "E_NDIM": ("refuse", "The image does not have three dimensions."),
        "E_PHASE": ("refuse", "A phase that the specification needs is missing."),
        "E_PATH": ("refuse", "An identifier or a path is not safe to use."),
        "E_CRASHED": ("refuse", "The process that worked on the case ended abnormally."),
        "E_COHORT": ("abort", "The folder or manifest is not a cohort that can be read."),
        "E_DUPLICATE_ID": ("abort", "A patient identifier occurs more than once."),
        "E_LEAK_PATIENT": ("abort", "A patient is on both sides of a split."),
        "E_CLASS_COUNT": ("abort", "A class has too few patients for the folds."),
        "E_COLUMNS": ("abort", "The table lacks columns that the model needs."),
        "E_TABLE": ("abort", "The table cannot be read."),
        "E_SPEC": ("abort", "A specification is malformed or does not match."),
        "E_MODEL_UNSAFE": ("abort", "The model file is not one that can be trusted."),
        "E_SIMULATED": ("abort", "A model trained on simulated data was given real cases."),
        "E_USAGE": ("abort", "The command or call cannot be carried out as given."),
        "E_NOTHING_USABLE": ("abort", "No case was usable."),
        "E_LOCKED": ("abort", "Another process writes to the same output."),
        "E_WRITE": ("abort", "The output cannot be written."),
        "E_MISSING_EXTRA": ("abort", "An optional package is not installed."),
        "W_ORIENTATION": ("warn", "Anterior/inferior is not proven."),
        "W_COMPONENTS": ("warn", "A region has several components."),
        "W_SATURATED": ("warn", "Voxels of a map lie at its greatest value."),
        "W_UNFITTED": ("warn", "Voxels of a map hold no fitted value."),
        "W_CONSTANT": ("warn", "A region has one grey value."),
        "W_PHASE": ("warn", "End-systole is not smaller than end-diastole."),
        "W_PHYSIOLOGY": ("warn", "A measurement lies outside physiology."),
        "W_STROKE_VOLUME": ("warn", "Left and right stroke volume are far apart."),
        "W_IDENTICAL_IMAGES": ("warn", "The same image stands under two identifiers."),
        "W_MODEL_INPUT": ("warn", "Measurements that the model uses are undefined."),
        "W_OUT_OF_FOLD": ("warn", "The patient was in training; the answer is by models that did not see it."),
        "W_SIMULATED_MODEL": ("warn", "A model trained on simulated patients answered for a real one."),
        "W_KNOWN_IDENTIFIER": ("warn", "The identifier was also used in training, with other images."),
        "W_FEATURE_UNDEFINED": ("warn", "Some features of a region are undefined."),
        "W_EXTRA_COLUMNS": ("warn", "The table has columns that the model does not use."),
        "W_THICK_SLICES": ("warn", "Texture in space was asked for on thick slices."),
        "W_MASK_WARN": ("warn", "A network drew the masks, and its quality estimate warns of them."),
        "W_MASK_ASK": ("warn", "A network drew the masks, and its quality estimate asks for a person."),
        "W_UNKNOWN_START": ("warn", "A training started from weights that do not say whose images they learned from."),
        "W_NO_SEG": ("warn", "The mask of a DICOM series was not written as a DICOM segmentation."),
        "W_NETWORK_SEEN": ("warn", "The networks that drew the mask learned from this image."),
        "W_SLICES": ("warn", "The stack of slices has a gap or too few slices."),
    }
)


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding about a case or a cohort, as written to screen and to JSON lines.

    Parameters
    ----------
    code : str
        Key of :data:`CODES`.
    message : str
        What was found and what was expected, with the values compared.
    case : str or None
        Patient identifier; None when the finding is about the whole cohort.
    field : str or None
        Role or column concerned, for example ``cine_ed.mask``.
    hint : str
        What to check.
    severity : {'refuse', 'warn', 'abort'} or None
        Taken from :data:`CODES` when None.
    """

    code: str
    message: str
    case: str | None = None
    field: str | None = None
    hint: str = ""
    severity: Severity | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            msg = f"Unknown issue code {self.code!r}."
            raise KeyError(msg)
        if self.severity is None:
            object.__setattr__(self, "severity", CODES[self.code][0])

    def to_dict(self) -> dict[str, str | None]:
        """Return the record as a plain dictionary, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"case {self.case}" if self.case else "", self.field or "") if part)
        place = f" [{where}]" if where else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.code}: {self.message}{place}{hint}"


class RadiocardError(Exception):
    """Base of all errors; carries one :class:`Issue` and the exit code of the command line.

    Parameters
    ----------
    message : str
        What was found and what was expected.
    code : str, optional
        Key of :data:`CODES`; each class has a default.
    case, field, hint : str, optional
        See :class:`Issue`.
    """

    default_code = "E_USAGE"
    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        case: str | None = None,
        field: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.issue = Issue(code or self.default_code, message, case, field, hint)

    @property
    def code(self) -> str:
        """Issue code, for example ``E_GEOMETRY``."""
        return self.issue.code

    def __str__(self) -> str:
        return str(self.issue)

    def __reduce__(self) -> tuple[object, ...]:
        i = self.issue
        return (_rebuild, (type(self), i.message, i.code, i.case, i.field, i.hint))


def _rebuild(
    cls: type[RadiocardError], message: str, code: str, case: str | None, field: str | None, hint: str
) -> RadiocardError:
    return cls(message, code=code, case=case, field=field, hint=hint)


class UsageError(RadiocardError, ValueError):
    """A call or command that cannot be carried out as given."""


class MissingExtraError(RadiocardError, ImportError):
    """An optional package that the call needs is not installed."""

    default_code = "E_MISSING_EXTRA"


class SpecError(RadiocardError, ValueError):
    """A feature specification or model recipe is malformed or does not match."""

    default_code = "E_SPEC"


class CaseError(RadiocardError):
    """Base of the errors that refuse one case and let the others go on."""

    default_code = "E_READ"
    exit_code = 4


class ReadError(CaseError, OSError):
    """A file of a case cannot be read or is not what it claims."""


class GeometryError(CaseError, ValueError):
    """Affine, orientation or grid of an image or mask is not usable."""

    default_code = "E_GEOMETRY"


class MaskError(CaseError, ValueError):
    """A mask or region is empty, too small, or contradicts anatomy."""

    default_code = "E_EMPTY_ROI"


class IntensityError(CaseError, ValueError):
    """Grey values are not usable: not finite, or too many bins."""

    default_code = "E_NONFINITE"


class CohortError(RadiocardError, ValueError):
    """A cohort or table is not usable as a whole."""

    default_code = "E_COHORT"


class NothingUsableError(CohortError):
    """No case of a cohort was usable; carries every finding.

    Parameters
    ----------
    message : str
        How many cases, and the codes.
    issues : iterable of Issue
        All findings.
    """

    default_code = "E_NOTHING_USABLE"
    exit_code = 4

    def __init__(self, message: str, issues: Iterable[Issue]) -> None:
        super().__init__(message)
        self.issues = tuple(issues)

    def __reduce__(self) -> tuple[object, ...]:
        return (NothingUsableError, (self.issue.message, self.issues))


class LeakError(CohortError):
    """A patient would stand on both sides of a split."""

    default_code = "E_LEAK_PATIENT"


class ModelError(RadiocardError, ValueError):
    """A model file is unsafe, damaged, or not made for this table."""

    default_code = "E_MODEL_UNSAFE"
    exit_code = 4


class OutputError(RadiocardError, OSError):
    """The output cannot be written, or somebody else writes it."""

    default_code = "E_WRITE"
    exit_code = 5


class CaseRefusedError(CaseError):
    """One case failed its checks; carries every finding.

    Parameters
    ----------
    issues : iterable of Issue
        All findings of the case, at least one of severity ``refuse``.
    """

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(issues)
        first = next(i for i in self.issues if i.severity == "refuse")
        super().__init__(first.message, code=first.code, case=first.case, field=first.field, hint=first.hint)

    def __reduce__(self) -> tuple[object, ...]:
        return (CaseRefusedError, (self.issues,))
