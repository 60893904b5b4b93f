"""Accept a mask, warn of it, or ask a human: by a fitted quality model, or by a rule where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from radiocard.checks.anatomy import MIN_ENCLOSED
from radiocard.image import REGIONS
from radiocard.segmentation.quality_features import FEATURES, JUDGED_NAMES
from radiocard.segmentation.quality_model import QualityModel

Verdict = Literal["accept", "warn", "ask"]
Values = Mapping[str, float | None]

MAX_REASONS = 4
_WORDS = {feature.name: feature for feature in FEATURES}

# (feature, warn beyond, ask beyond); beyond is above or below as the feature says. None: never.
RULE: tuple[tuple[str, float | None, float | None], ...] = (
    ("empty_regions", None, 0.0),
    ("enclosed_fraction", 0.85, MIN_ENCLOSED),
    ("least_enclosed_fraction", MIN_ENCLOSED, 0.4),
    ("phases_swapped", None, 0.0),
    *((f"{region}_member_dice", 0.85, 0.7) for region in REGIONS),
    *((f"{region}_probability", 0.8, 0.65) for region in REGIONS),
    ("removed_fraction", 0.05, 0.25),
    ("missing_slices", 0.0, 3.0),
    ("lvef_outside_pct", 0.0, 10.0),
    ("stroke_volume_difference_pct", 100.0, None),
    ("wall_volume_change_pct", 40.0, 60.0),
)
"""What the rule looks at. A choice, not a fit: it has no measured rate of false alarms."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a mask.

    Parameters
    ----------
    verdict : {'accept', 'warn', 'ask'}
        Use it, use it and say so, or ask a human before it is used.
    by : {'model', 'rule'}
        What decided.
    risk : float or None
        Estimated chance of a poor mask; None where the rule decided.
    reasons : tuple of str
        In words, at least one.
    """

    verdict: Verdict
    by: Literal["model", "rule"]
    risk: float | None
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self) | {"reasons": list(self.reasons)}


def decide(features: Values, model: QualityModel | None = None) -> Decision:
    """Decide what to do with a mask.

    Parameters
    ----------
    features : mapping of str to float or None
        As :func:`radiocard.segmentation.quality_features.quality_features`.
    model : QualityModel, optional
        The rule decides without one, and for a mask without what the model looks at: probabilities, and mirrored
        views or several networks where it learned from such. What the rule asks a human
        about because a region is missing, the wall is open or the phases are swapped, is asked whatever the
        model says.

    Returns
    -------
    Decision
    """
    if model is None:
        return _by_rule(features, "no quality model was fitted")
    if all(features[f"{region}_probability"] is None for region in REGIONS):
        return _by_rule(features, "the mask has no probabilities for the model")
    if lacking := model.lacks(features):
        return _by_rule(features, f"the mask lacks what the model looks at: {_WORDS[lacking[0]].words}")
    risk = model.risk(features)
    findings = [words for verdict, name, words in _findings(features) if verdict == "ask" and name in _ANATOMY]
    facts, t = f"the estimated chance of a poor mask is {risk:.0%}", model.training
    if findings:
        return Decision("ask", "model", risk, (*findings, facts))
    if risk > model.ask_above:
        limit = f"{facts}, above {model.ask_above:.0%} (exceeded by {t.ask_false_alarms:.0%} of good masks)"
        return Decision("ask", "model", risk, (limit, *_reasons(features, model)))
    if risk > model.warn_above:
        limit = f"{facts}, above {model.warn_above:.0%} (exceeded by {t.warn_false_alarms:.0%} of good masks)"
        return Decision("warn", "model", risk, (limit, *_reasons(features, model)))
    return Decision("accept", "model", risk, (f"{facts}, at most {model.warn_above:.0%}",))


_ANATOMY = ("empty_regions", "enclosed_fraction", "phases_swapped")


def _by_rule(features: Values, why: str) -> Decision:
    note = f"decided by a rule without a measured rate of false alarms: {why}"
    found = _findings(features)
    verdict: Verdict = "accept"
    for level in ("warn", "ask"):
        if any(v == level for v, _, _ in found):
            verdict = "ask" if level == "ask" else "warn"
    return Decision(verdict, "rule", None, (*(words for v, _, words in found if v == verdict), note))


def _findings(features: Values) -> list[tuple[Verdict, str, str]]:
    """Return what the rule finds: verdict, feature and words."""
    out: list[tuple[Verdict, str, str]] = []
    for name, warn, ask in RULE:
        value, feature = features[name], _WORDS[name]
        if value is None:
            continue
        levels: tuple[tuple[Verdict, float | None], ...] = (("ask", ask), ("warn", warn))
        for verdict, limit in levels:
            if limit is not None and (value - limit) * feature.worse > 0:
                side = "above" if feature.worse > 0 else "below"
                words = f"{feature.words}: {value:.{feature.decimals}f}, {side} {limit:g}"
                out.append((verdict, name, words))
                break
    return out


def _reasons(features: Values, model: QualityModel) -> tuple[str, ...]:
    """Return what raises the risk most and is worse than usual in good masks, then what the rule finds."""
    parts = model.contributions(features)
    words: list[str] = []
    for name in sorted(JUDGED_NAMES, key=lambda n: -parts[n]):
        value, usual, feature = features[name], model.usual[JUDGED_NAMES.index(name)], _WORDS[name]
        if parts[name] > 0 and value is not None and usual is not None and (value - usual) * feature.worse > 0:
            digits = feature.decimals
            words.append(f"{feature.words}: {value:.{digits}f} (usual: {usual:.{digits}f})")
    words += [finding for _, _, finding in _findings(features)]
    return tuple(words[:MAX_REASONS]) or (
        "no single measurement stands out; their combination is unusual for a good mask",
    )
