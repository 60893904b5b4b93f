import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from radiocard.errors import CohortError, ModelError, RadiocardError, SpecError
from radiocard.models.codecs.registry import CODECS
from radiocard.models.encoding import model_document
from radiocard.models.persist import model_bytes, read_model
from radiocard.models.pipeline import build_pipeline
from radiocard.models.recipes import candidates, check_recipe
from radiocard.models.selection import fit_best
from radiocard.specs import parse_as, read_recipe
from radiocard.specs.models import Member, ModelRecipe

SINGLE = ("lda", "naive_bayes", "knn", "tree", "adaboost", "hist_boosting")
ENSEMBLES = ("voting", "stacking", "cascade")
NAMES = (*SINGLE, *ENSEMBLES)


def quick(tools, name):
    """A shipped recipe with a small grid and few trees."""
    recipe = tools["small"](name)
    fixed = recipe.fixed | {"max_iter": 4} if name == "hist_boosting" else recipe.fixed
    members = tuple(
        m.model_copy(update={"fixed": m.fixed | {"n_estimators": 4}}) if "n_estimators" in m.fixed else m
        for m in recipe.members
    )
    return recipe.model_copy(update={"members": members, "fixed": fixed})


@pytest.fixture(scope="module")
def bundle_with(tools):
    def make(X, y, groups, names=NAMES, **changes):
        recipes = [quick(tools, name).model_copy(update=changes) for name in names]
        models = [fit_best(r, X, y, groups, inner_folds=3, random_state=7) for r in recipes]
        return tools["bundle_of"](X, y, groups, models)

    return make


@pytest.fixture(scope="module")
def kinds(planted, bundle_with):
    return bundle_with(*planted)


@pytest.fixture(scope="module")
def forgeable(kinds):
    return model_document(kinds)


@pytest.mark.parametrize("name", [*NAMES, "ebm"])
def test_shipped_recipes_are_usable(name):
    recipe = read_recipe(name)
    check_recipe(recipe)
    assert (recipe.name, recipe.estimator) == (name, name)
    assert 1 <= len(candidates(recipe)) <= 12
    pipeline = build_pipeline(recipe, random_state=0, classes=("DCM", "HCM", "NOR"))
    assert type(pipeline.steps[-1][1]) in CODECS
    for setting in candidates(recipe):
        pipeline.set_params(**setting)


@pytest.mark.parametrize("name", NAMES)
def test_planted_classes_are_found(name, kinds, planted):
    X, y, _ = planted
    p = kinds.model(name).predict_proba(X)
    assert p.sum(axis=1) == pytest.approx(1)
    assert (np.array(kinds.classes)[p.argmax(axis=1)] == y).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_permuted_labels_give_chance(name, tools):
    """Mean of four permutations, each held out in 3 folds: 0.5 within four standard errors of a chance AUC."""
    X = tools["plant"](per_class=20, n_classes=3)[0]
    aucs = []
    for seed in range(4):
        y = np.random.default_rng(seed).permutation(np.repeat(["DCM", "HCM", "NOR"], 20))
        p = np.zeros((60, 3))
        recipe = quick(tools, name)
        for train, test in StratifiedKFold(3, shuffle=True, random_state=seed).split(X, y):
            pipeline = build_pipeline(recipe, random_state=seed, classes=("DCM", "HCM", "NOR"))
            codes = np.unique(y[train], return_inverse=True)[1]
            p[test] = pipeline.fit(X.to_numpy()[train], codes).predict_proba(X.to_numpy()[test])
        aucs.append(roc_auc_score(y, p, multi_class="ovr"))
    # One class of 20 against 40: the standard error of an AUC at chance is sqrt(61 / (12 * 20 * 40)) = 0.08.
    assert np.mean(aucs) == pytest.approx(0.5, abs=4 * 0.08 / np.sqrt(4))


# --- closed forms ------------------------------------------------------------------------------------------


def test_discriminant_analysis_is_scikit_learns(planted):
    X, y, groups = planted
    fitted = fit_best(read_recipe("lda"), X, y, groups, inner_folds=3, random_state=0)
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage=fitted.params["model__shrinkage"])
    z = fitted.transform(X).to_numpy()
    assert fitted.predict_proba(X) == pytest.approx(theirs.fit(z, y).predict_proba(z), abs=1e-6)


def test_voting_is_the_mean_of_the_probabilities(kinds, planted):
    model = kinds.model("voting")
    z = model.transform(planted[0]).to_numpy()
    alone = [member.predict_proba(z) for member in model.final.estimators_]
    assert len(alone) == 4
    assert model.predict_proba(planted[0]) == pytest.approx(np.mean(alone, axis=0), abs=1e-7)


def test_voting_loses_no_more_than_its_members_on_average(kinds, planted):
    """Jensen: the log-loss of a mean is at most the mean of the log-losses."""
    model = kinds.model("voting")
    z = model.transform(planted[0]).to_numpy()
    losses = [log_loss(planted[1], m.predict_proba(z)) for m in model.final.estimators_]
    assert log_loss(planted[1], model.predict_proba(planted[0])) <= np.mean(losses) + 1e-7


def test_stacking_learns_from_grouped_held_out_answers(planted, tools, monkeypatch):
    """The splits handed to the stack keep twins together; they are not kept in the model."""
    from sklearn.ensemble import StackingClassifier

    X, y, _ = planted
    groups = np.array([f"g{i // 2}" for i in range(len(y))])
    seen = []
    fit = StackingClassifier.fit

    def spy(self, X, y, **params):
        seen.append((len(y), self.cv))
        return fit(self, X, y, **params)

    monkeypatch.setattr(StackingClassifier, "fit", spy)
    model = fit_best(quick(tools, "stacking"), X, y, groups, inner_folds=3, random_state=0)
    n, splits = seen[-1]
    assert n == len(y)
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
    assert model.final.cv == 5


def test_cascade_multiplies(kinds, planted):
    model = kinds.model("cascade")
    z = model.transform(planted[0]).to_numpy()
    first, second = model.final.first_.predict_proba(z), model.final.second_.predict_proba(z)
    expected = np.column_stack([first[:, 1] * second[:, 0], first[:, 1] * second[:, 1], first[:, 0]])
    assert kinds.classes == ("DCM", "HCM", "NOR")
    assert model.predict_proba(planted[0]) == pytest.approx(expected, abs=1e-12)


# --- model files -------------------------------------------------------------------------------------------


def test_round_trip(kinds, planted):
    loaded = read_model(model_bytes(kinds))
    for model in kinds.models:
        again = loaded.model(model.name).predict_proba(planted[0])
        np.testing.assert_allclose(again, model.predict_proba(planted[0]), rtol=0, atol=1e-12, err_msg=model.name)
    assert model_bytes(loaded) == model_bytes(kinds)


def test_round_trip_of_two_classes(tools, bundle_with):
    X, y, groups = tools["plant"](n_classes=2)
    bundle = bundle_with(X, y, groups, NAMES[:-1])
    loaded = read_model(model_bytes(bundle))
    for model in bundle.models:
        again = loaded.model(model.name).predict_proba(X)
        np.testing.assert_allclose(again, model.predict_proba(X), rtol=0, atol=1e-12, err_msg=model.name)


@pytest.mark.parametrize("name", ["voting", "cascade", "tree", "hist_boosting"])
def test_round_trip_when_calibrated(name, planted, bundle_with):
    bundle = bundle_with(*planted, [name], calibration="sigmoid")
    loaded = read_model(model_bytes(bundle)).answering
    X = planted[0]
    np.testing.assert_allclose(loaded.predict_proba(X), bundle.answering.predict_proba(X), rtol=0, atol=1e-12)


def change(name, index, value):
    def edit(arrays):
        arrays[name][index] = value

    return edit


def without_class(arrays):
    arrays["knn.model.labels"][:] = 0


def wider(name):
    return lambda arrays: arrays.update({name: np.pad(arrays[name], ((0, 0), (0, 1)))})


FORGERIES = [
    (change("lda.model.coef", 0, np.nan), "'coef' holds numbers outside"),
    (wider("lda.model.means"), "'means' is <f8"),
    (change("naive_bayes.model.var", 0, 0.0), "'var' holds numbers outside"),
    (change("naive_bayes.model.prior", 0, 0.0), "'prior' holds numbers outside"),
    (change("knn.model.labels", 0, 3), "'labels' holds numbers outside 0 to 2"),
    (without_class, "a class has no row"),
    (wider("knn.model.rows"), "'rows' is <f8"),
    (change("tree.model.left", 0, 0), "a child does not come after its parent"),
    (change("tree.model.feature", 0, 10**6), "'feature' holds numbers outside"),
    (lambda a: a.update({"tree.model.sizes": np.array([1, 1])}), "'sizes' is <i8"),
    (lambda a: a["adaboost.model.vote"].fill(0.0), "no tree has a vote"),
    (change("adaboost.model.vote", 0, -1.0), "'vote' holds numbers outside"),
    (change("adaboost.model.right", 0, 1), "not the child of exactly one node"),
    (change("hist_boosting.model.left", 0, 0), "a child does not come after its parent"),
    (change("hist_boosting.model.feature", 0, 99), "'feature' holds numbers outside"),
    (change("hist_boosting.model.value", 0, np.inf), "'value' holds numbers outside"),
    (change("voting.model.m0_coef", 0, np.nan), "voting, step 'model', m0, array 'coef' holds numbers outside"),
    (change("voting.model.m2_left", 0, 10**9), "m2, array 'left' holds numbers outside"),
    (wider("stacking.model.final_coef"), "final, array 'coef' is <f8"),
    (lambda a: a.pop("cascade.model.second_coef"), "second lacks the array 'coef'"),
    (lambda a: a.update({"cascade.model.first_x": np.ones(1)}), "first holds arrays that do not belong there: x"),
    (lambda a: a.update({"voting.model.m4_coef": np.ones(1)}), "holds arrays that do not belong there: m4_coef"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_forged_files_with_fitting_hashes_are_refused(number, forgeable, tools):
    edit, message = FORGERIES[number]
    document, arrays = forgeable[0], {k: v.copy() for k, v in forgeable[1].items()}
    edit(arrays)
    with pytest.raises(ModelError, match=message) as caught:
        read_model(tools["forge"](document, arrays))
    assert caught.value.code == "E_MODEL_UNSAFE"


def test_boosting_that_does_not_stop_early(planted, bundle_with, tools):
    """Labels that no tree explains keep all trees; a recipe with fewer cannot be forged around them."""
    X, y, groups = planted
    bundle = bundle_with(X, np.random.default_rng(0).permutation(y), groups, ["adaboost"])
    assert len(bundle.answering.final.estimators_) == 8
    loaded = read_model(model_bytes(bundle)).answering
    np.testing.assert_allclose(loaded.predict_proba(X), bundle.answering.predict_proba(X), rtol=0, atol=1e-12)
    document, arrays = model_document(bundle)
    document["models"][0]["recipe"]["fixed"]["n_estimators"] = 1
    with pytest.raises(ModelError, match="8 trees, expected at most 1"):
        read_model(tools["forge"](document, arrays))


def test_a_cascade_whose_first_class_is_unknown_is_refused(forgeable, tools):
    document, arrays = forgeable
    models = [
        {**m, "recipe": {**m["recipe"], "normal": "XYZ"}} if m["recipe"]["name"] == "cascade" else m
        for m in document["models"]
    ]
    with pytest.raises(ModelError, match="sets 'XYZ' apart first; the classes are DCM, HCM, NOR"):
        read_model(tools["forge"]({**document, "models": models}, arrays))


def test_forged_numbers_never_crash(forgeable, tools, planted):
    """A number of every array of every new model replaced: refused, or a model that still answers or refuses."""
    document, arrays = forgeable
    rng = np.random.default_rng(1)
    values = [0, 1, -1, 2, 255, 2**31 - 1, -(2**31), 2**62, 1e-300, 1e29, -1e29, np.nan, np.inf]
    X = planted[0].iloc[:4]
    refused = 0
    names = [n for n in sorted(arrays) if ".model." in n]
    for name in names:
        flat = arrays[name].copy()
        with np.errstate(all="ignore"):
            value = np.array([values[rng.integers(len(values))]]).astype(flat.dtype, casting="unsafe")
        flat.reshape(-1)[rng.integers(flat.size)] = value[0]
        try:
            with np.errstate(all="ignore"):
                bundle = read_model(tools["forge"](document, {**arrays, name: flat}))
                assert bundle.model(name.split(".")[0]).predict_proba(X).shape == (4, 3)
        except RadiocardError:
            refused += 1
    assert refused > len(names) / 4


# --- what is refused ---------------------------------------------------------------------------------------

MEMBER = Member(estimator="lda", fixed={"shrinkage": "auto"})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("lda", {"grid": {"shrinkage": (1.5,)}}, "shrinkage is 1.5, expected a number from 0 to 1 or 'auto'"),
        ("lda", {"grid": {}}, "does not state shrinkage"),
        ("lda", {"members": (MEMBER, MEMBER)}, "lda has 2 members, expected 0"),
        ("lda", {"normal": "NOR"}, "a cascade states which class is 'normal'"),
        ("naive_bayes", {"grid": {"var_smoothing": (0.0,)}}, "var_smoothing is 0.0"),
        ("knn", {"grid": {"n_neighbors": (0,)}}, "n_neighbors is 0, expected a whole number from 1"),
        ("knn", {"fixed": {"weights": "callable"}}, "weights is 'callable', expected 'uniform', 'distance'"),
        ("tree", {"grid": {"max_depth": (99,)}}, "max_depth is 99, expected a whole number from 1 to 64"),
        ("adaboost", {"fixed": {"n_estimators": 5, "max_depth": 1}}, "unknown parameter 'max_depth'"),
        ("adaboost", {"fixed": {"n_estimators": 5}}, "does not state estimator__max_depth"),
        ("hist_boosting", {"fixed": {"max_iter": 5, "max_depth": 2, "early_stopping": True}}, "'early_stopping'"),
        ("ebm", {"fixed": {"interactions": 3}}, "unknown parameter 'interactions'"),
        ("voting", {"members": (MEMBER,)}, "voting has 1 members, expected 2 to 10"),
        ("voting", {"members": (MEMBER, Member(estimator="lda", fixed={"shrinkage": 2.0}))},
         "member 1', estimator lda: shrinkage is 2.0"),
        ("stacking", {"grid": {"final_estimator__C": (-1.0,)}}, "final_estimator__C is -1.0"),
        ("stacking", {"calibration": "sigmoid"}, "stacking ends in logistic regression, found calibration 'sigmoid'"),
        ("cascade", {"members": (MEMBER,) * 3}, "cascade has 3 members, expected 2"),
        ("cascade", {"normal": None}, "a cascade states which class is 'normal'"),
    ],
)  # fmt: skip
def test_bad_recipes_are_refused_by_name(name, change, message):
    with pytest.raises(SpecError, match=message):
        check_recipe(read_recipe(name).model_copy(update=change))


SVM = Member(estimator="svc_rbf", fixed={"C": 2.0, "gamma": "scale"})


@pytest.mark.parametrize("name", ["voting", "stacking", "cascade"])
def test_a_support_vector_machine_can_be_a_member_and_travels_in_a_file(name, planted, tools):
    X, y, groups = planted
    recipe = read_recipe(name).model_copy(update={"members": (MEMBER, SVM), "grid": {}})
    recipe = recipe.model_copy(update={"fixed": {"final_estimator__C": 1.0} if name == "stacking" else {}})
    model = fit_best(recipe, X, y, groups, inner_folds=3, random_state=0)
    p = model.predict_proba(X)
    assert (np.array(model.classes)[p.argmax(axis=1)] == y).mean() > 0.9
    loaded = read_model(model_bytes(tools["bundle_of"](X, y, np.arange(len(y)), [model]))).models[0]
    np.testing.assert_array_equal(loaded.predict_proba(X), p)


def test_a_calibrated_member_keeps_twins_together(planted, monkeypatch):
    X, y, _ = planted
    groups = np.array([f"g{i // 2}" for i in range(len(y))])
    seen = []
    fit = CalibratedClassifierCV.fit
    monkeypatch.setattr(CalibratedClassifierCV, "fit", lambda self, *a, **k: seen.append(self.cv) or fit(self, *a, **k))
    recipe = read_recipe("voting").model_copy(update={"members": (MEMBER, SVM)})
    model = fit_best(recipe, X, y, groups, inner_folds=3, random_state=0)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in seen[-1])
    assert model.final.estimators[1][1].cv == 5


@pytest.mark.parametrize("kind", ["majority", "voting", "os.system"])
def test_members_are_of_the_kinds_that_can_be_members(kind):
    recipe = read_recipe("voting").model_dump(mode="json", by_alias=True)
    recipe["members"][0]["estimator"] = kind
    with pytest.raises(SpecError, match="members"):
        parse_as(ModelRecipe, recipe, "recipe")


@pytest.mark.parametrize("classes", [(), ("DCM", "HCM"), ("NOR", "DCM")])
def test_a_cascade_needs_its_normal_class_and_two_others(classes):
    with pytest.raises(SpecError, match="sets 'NOR' apart first; the classes are") as caught:
        build_pipeline(read_recipe("cascade"), random_state=0, classes=classes)
    assert "at least two others" in caught.value.issue.hint


def test_more_neighbours_than_patients_are_refused(planted):
    X, y, groups = planted
    recipe = read_recipe("knn").model_copy(update={"grid": {"n_neighbors": (30,)}})
    with pytest.raises(CohortError, match="Found 24 training patients, expected at least the 30 neighbours"):
        fit_best(recipe, X, y, groups, inner_folds=3, random_state=0)
