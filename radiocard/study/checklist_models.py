"""What a run knows about its models and their test, as short answers for reporting checklists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from radiocard.evaluation.evidence import Comparison
from radiocard.evaluation.result import MAJORITY, RULE_NEAREST, SELECTED
from radiocard.evaluation.scores import INTERVAL_NOTE, METRIC_NAMES, Scores
from radiocard.report.text import p_value
from radiocard.specs import ModelRecipe
from radiocard.study.checklist_facts import Fact, NotApplicable, Run
from radiocard.study.train import plan_of

COMPARISONS_SHOWN = 4
SELECTED_BY = MappingProxyType(
    {"anova": "ANOVA F", "anova_per_class": "ANOVA F of each class in turn", "mutual_info": "mutual information"}
)
DEVELOPMENT_ONLY = "The same patients trained and tested the models, in folds; no other data were evaluated."
METRICS_WHY = (
    "Balanced accuracy so that a large class does not carry the result, log-loss and Brier score because they reward "
    "honest probabilities, AUC for the ranking, calibration apart."
)


def modelling_facts(run: Run) -> dict[str, Fact]:
    """Return how models were built."""
    model, recipes = run.model, [m.recipe for m in run.model.models]
    plan = plan_of(model)
    classes = ", ".join(f"{label} {int((run.data.y == label).sum())}" for label in model.classes)
    return {
        "algorithms": "; ".join(f"{r.title}{_calibration(r)}" for r in recipes) + ".",
        "tuning": "Candidates: "
        + "; ".join(f"{r.name}: {_grid(r)}" for r in recipes)
        + f". The lowest log-loss in {plan.inner_folds} inner folds decides; seed {plan.random_state}.",
        "choice": _choice(run),
        "imbalance": f"Patients by class: {classes}. {_weights(recipes)} No patient was drawn again or made up.",
        "scaling": _scaling(recipes),
        "reduction": "Inside the training part: " + "; ".join(f"{r.name}: {_reduction(r)}" for r in recipes) + ".",
        "code": f"radiocard {model.versions.get('radiocard', '')} (Apache-2.0), recipes {_names(recipes)}, versions "
        "and seed under Methods.",
        "model_file": f"One file (model {model.model_id[:12]}) that 'radiocard predict' applies to new studies.",
        "output": f"A probability for each of {', '.join(model.classes)}; the most probable class is the answer. No "
        "threshold was tuned.",
        "input_quality": "Cases that cannot be measured are refused, doubtful ones flagged; undefined measurements "
        "are filled with the training median and named in the answer.",
        "user": f"Masks of {', '.join(run.spec.regions)} must be drawn or checked by a person, who also decides.",
        "explanation": f"SHAP values of {model.answering.title} (section Reasons).",
        "guidelines": "CLEAR, METRICS and TRIPOD+AI are filled in here as far as the run knows.",
    }


def testing_facts(run: Run) -> dict[str, Fact]:
    """Return how models were tested and what came out."""
    evidence, scores = run.evidence, run.evidence.scores[SELECTED]
    development_only = None if run.external else NotApplicable(DEVELOPMENT_ONLY)
    kept = "no test patient was in training, by identifier or image" if run.external else "every step is fitted there"
    return {
        "design": evidence.design,
        "leaks": f"Training parts alone decide: {kept}; patients with identical images stay together.",
        "phase": "External test of a frozen model." if run.external else "Development with internal validation.",
        "metrics": f"Reported: {', '.join(METRIC_NAMES[k] for k in scores.metrics)}. {METRICS_WHY}",
        "intervals": INTERVAL_NOTE,
        "comparison": _test(run),
        "comparison_results": _results(run, evidence.comparisons),
        "rule": f"{evidence.scores[RULE_NEAREST].title}." if RULE_NEAREST in evidence.scores else None,
        "no_information": evidence.scores[MAJORITY].sentence("accuracy") if MAJORITY in evidence.scores else None,
        "summary": scores.sentence("accuracy"),
        "performance": _values(scores, "accuracy", "balanced_accuracy", "macro_auc"),
        "calibration": _values(scores, "calibration_slope", "ece"),
        "selection": "Section Reasons shows in how many outer folds each feature was chosen; Features shows clusters."
        if evidence.selection
        else None,
        "updating": NotApplicable("No model was updated after its test."),
        "predictions": "The frozen model file answered; nothing was fitted again."
        if run.external
        else "Each patient was answered by models fitted without this patient and without anyone with the same image.",
        "external": _external(run),
        "stability": None,  # these are made by commands of their own, and attached to the report
        "ladder": None,
        "development_only": development_only,
        "drift": development_only,
    }


def _values(scores: Scores, *keys: str) -> str | None:
    found = [f"{METRIC_NAMES[k]} {scores.metrics[k].text()}" for k in keys if k in scores.metrics]
    return f"{scores.title}: {'; '.join(found)}." if found else None


def _names(recipes: Iterable[ModelRecipe]) -> str:
    return ", ".join(r.name for r in recipes)


def _calibration(recipe: ModelRecipe) -> str:
    return "" if recipe.calibration == "none" else f", {recipe.calibration} calibration"


def _grid(recipe: ModelRecipe) -> str:
    choices: dict[str, Any] = {k: v for k, v in recipe.grid.items() if len(v) > 1}
    if len(recipe.select.k) > 1:
        choices["number of features"] = recipe.select.k
    return ", ".join(f"{k} {' / '.join(map(str, v))}" for k, v in choices.items()) or "fixed settings"


def _weighted(recipe: ModelRecipe) -> bool:
    settings: list[Mapping[str, Any]] = [recipe.fixed, *(m.fixed for m in recipe.members)]
    candidates = [s.get("class_weight") for s in settings] + list(recipe.grid.get("class_weight", ()))
    return any(w is not None for w in candidates)


def _weights(recipes: list[ModelRecipe]) -> str:
    weighted = [r for r in recipes if _weighted(r)]
    return f"Classes are weighted in {_names(weighted)}." if weighted else "No class weights."


def _scaling(recipes: list[ModelRecipe]) -> str:
    scaled = [r for r in recipes if r.scale == "standard"]
    plain = [r for r in recipes if r.scale == "none"]
    parts = [f"Mean 0 and standard deviation 1 over the training part in {_names(scaled)}"] if scaled else []
    parts += [f"{'n' if parts else 'N'}o scaling in {_names(plain)}"] if plain else []
    return "; ".join(parts) + "."


def _reduction(recipe: ModelRecipe) -> str:
    parts = ["constant columns dropped"]
    if recipe.correlation_max < 1:
        parts.append(f"one kept of columns with |r| above {recipe.correlation_max:g}")
    if recipe.select.method != "none":
        best = " or ".join(map(str, recipe.select.k))
        parts.append(f"the best {best} kept by {SELECTED_BY[recipe.select.method]}")
    return ", ".join(parts)


def _choice(run: Run) -> str:
    if not run.evidence.chosen:
        return f"{run.model.answering.title} had the lowest inner log-loss in training and was then frozen."
    counts = ", ".join(f"{run.model.model(name).title} {n}" for name, n in run.evidence.chosen.items() if n)
    return f"The lowest inner log-loss chose, in {run.evidence.n_folds} outer folds: {counts}."


def _test(run: Run) -> str | None:
    compared = run.evidence.comparisons
    if not compared:
        return None
    return f"{compared[0].to_dict()['method']}, {len(compared)} comparisons with {_baseline(run, compared[0])}."


def _baseline(run: Run, comparison: Comparison) -> str:
    return run.evidence.scores[comparison.baseline].title


def _results(run: Run, compared: list[Comparison]) -> str | None:
    if not compared:
        return None
    models = [c for c in compared if c.model != MAJORITY][:COMPARISONS_SHOWN]
    shown = "; ".join(f"{run.evidence.scores[c.model].title} {_difference(c)}, p {_p(c.p_holm)}" for c in models)
    return f"Accuracy less that of {_baseline(run, compared[0])}: {shown}."


def _p(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def _difference(comparison: Comparison) -> str:
    d = comparison.difference
    if d.value is None or d.low is None or d.high is None:
        return "not defined"
    return f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})"


def _external(run: Run) -> str | None:
    """Say that the test is external; None where the sites do not prove it."""
    tested, trained = run.sites or {}, run.model.evaluation.get("sites") or {}
    all_known = sum(trained.values()) == len(run.model.labels)
    if not run.external or not tested or not all_known or set(tested) & set(trained):
        return None
    here = ", ".join(f"{site} ({n})" for site, n in tested.items())
    return f"Frozen model on patients of {here}; it was trained on patients of {', '.join(sorted(trained))}."
