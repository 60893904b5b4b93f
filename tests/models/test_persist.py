import io
import json
import pickle
import subprocess
import sys
import zipfile

import joblib
import numpy as np
import pytest

from radiocard.errors import ModelError, OutputError, RadiocardError, UsageError
from radiocard.models import persist
from radiocard.models.encoding import document_bytes, document_id, model_document
from radiocard.models.persist import load_model, model_bytes, read_model, save_model

CHILD = """
import sys, pickle, joblib, json
import numpy as np, pandas as pd

def never(*args, **kwargs):
    raise SystemExit("something was unpickled")

import sklearn, xgboost, radiocard.models.persist
pickle.load = pickle.loads = pickle.Unpickler = joblib.load = never
table = pd.read_csv(sys.argv[2], index_col=0)
bundle = radiocard.models.persist.load_model(sys.argv[1])
print(json.dumps({m.name: m.predict_proba(table).tolist() for m in bundle.models}))
"""


@pytest.fixture(scope="module")
def data(bundle):
    return model_bytes(bundle)


@pytest.fixture(scope="module")
def two_classes(tools):
    X, y, groups = tools["plant"](n_classes=2)
    return X, tools["bundle_of"](X, y, groups, tools["train"](X, y, groups))


def test_round_trip_in_a_process_that_cannot_unpickle(bundle, planted, tmp_path):
    X = planted[0]
    save_model(bundle, tmp_path / "heart.model")
    X.to_csv(tmp_path / "table.csv")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "heart.model"), str(tmp_path / "table.csv")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, p in json.loads(done.stdout).items():
        np.testing.assert_allclose(p, bundle.model(name).predict_proba(X), rtol=0, atol=1e-12, err_msg=name)


def test_round_trip_of_two_classes(two_classes):
    X, bundle = two_classes
    loaded = read_model(model_bytes(bundle))
    for model in bundle.models:
        np.testing.assert_allclose(
            loaded.model(model.name).predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12
        )


def test_everything_else_comes_back(bundle, data):
    loaded = read_model(data)
    for name in ("answers", "classes", "columns", "target", "pool", "feature_spec", "feature_spec_hash", "seed",
                 "patient_hashes", "image_hashes", "evaluation", "simulated", "versions", "model_id"):  # fmt: skip
        assert getattr(loaded, name) == getattr(bundle, name), name
    for name in ("values", "labels", "groups"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(bundle, name))
    np.testing.assert_array_equal(loaded.out_of_fold["selected"], bundle.out_of_fold["selected"])
    for ours, theirs in zip(bundle.models, loaded.models, strict=True):
        assert ours.recipe == theirs.recipe
        assert ours.left_out == theirs.left_out
        assert (ours.params, ours.inner_log_loss) == (theirs.params, theirs.inner_log_loss)


def test_the_same_model_gives_the_same_bytes(bundle, data):
    assert model_bytes(bundle) == data
    assert model_bytes(read_model(data)) == data


def test_members_are_plain(data, bundle):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        assert names[0] == "model.json"
        assert all(n.endswith(".npy") for n in names[1:])
        arrays = {n: np.load(io.BytesIO(archive.read(n)), allow_pickle=False) for n in names[1:]}
    np.testing.assert_array_equal(arrays["arrays/table.values.npy"], bundle.values)


def test_no_identifier_is_in_the_file(data):
    assert b"patient0" not in data
    assert b"digest-" not in data


@pytest.mark.parametrize("name", ["rf", "xgboost"])
def test_loaded_trees_feed_shap(name, data, bundle, planted):
    import shap

    ours, theirs = bundle.model(name), read_model(data).model(name)
    x = ours.transform(planted[0]).to_numpy()
    expected, found = (shap.TreeExplainer(m.final).shap_values(x) for m in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


# --- what is refused ---------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a model file was executed",))


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
def test_pickles_are_refused_unopened(dump, tmp_path):
    with (tmp_path / "m.model").open("wb") as f:
        dump(Bomb(), f)
    with pytest.raises(ModelError, match="looks like a pickle; nothing of it was executed") as caught:
        load_model(tmp_path / "m.model")
    assert caught.value.code == "E_MODEL_UNSAFE"
    assert caught.value.exit_code == 4


def test_a_pickled_array_is_refused(content, tools):
    document, arrays = content
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    good = tools["forge"](document, arrays)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members["arrays/table.values.npy"] = buffer.getvalue()
    with pytest.raises(ModelError, match=r"'table.values' does not have the type, shape or size"):
        read_model(tools["pack"](members))


@pytest.mark.parametrize(
    "junk", [b"", b"hello", b"\x7fELF" + b"\0" * 100, b"PK\x03\x04", b"PK\x03\x04" + b"\xff" * 300]
)
def test_junk_is_refused(junk):
    with pytest.raises(ModelError, match="not a radiocard model file|damaged"):
        read_model(junk)


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"There is no model file 'none\.model'"):
        load_model(tmp_path / "none.model")


def test_size_caps(data, tmp_path, monkeypatch):
    (tmp_path / "m.model").write_bytes(data)
    monkeypatch.setattr(persist, "MAX_FILE", 1000)
    with pytest.raises(ModelError, match="expected at most 1000"):
        load_model(tmp_path / "m.model")
    with pytest.raises(ModelError, match="expected at most 1000"):
        read_model(data)
    monkeypatch.undo()
    monkeypatch.setattr(persist, "MAX_JSON", 100)
    with pytest.raises(ModelError, match="model.json has .* expected at most 100"):
        read_model(data)


@pytest.mark.parametrize(
    "name", ["../evil.npy", "/etc/passwd", "arrays/../../x.npy", "run.py", "arrays/a.pkl", "arrays/table.values.npy/x"]
)
def test_odd_members_are_refused(name, data, tools):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with pytest.raises(ModelError, match="members that do not belong there"):
        read_model(tools["pack"](members | {name: b"x"}))


def test_a_missing_document_is_refused(tools):
    with pytest.raises(ModelError, match="missing, doubled or too many"):
        read_model(tools["pack"]({"arrays/a.b.npy": b"x"}))


def test_a_zip_bomb_is_refused(tools):
    bomb = tools["pack"]({"model.json": b" " * 50_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(ModelError, match="compressed or encrypted members"):
        read_model(bomb)


def test_members_that_overlap_are_refused(tools):
    inner = bytearray(tools["pack"]({"model.json": b"x" * 10, "arrays/a.b.npy": b"y" * 10}))
    sizes = [i for i in range(len(inner)) if inner[i : i + 4] == b"PK\x01\x02"]
    for i in sizes:
        inner[i + 20 : i + 28] = (2**30).to_bytes(4, "little") * 2
    with pytest.raises(ModelError, match="declares 2147483648 bytes of content but has|damaged"):
        read_model(bytes(inner))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[1, 2]", "does not hold an object"),
        (b"{", "not well-formed"),
        (b"\xff\xfe", "not well-formed"),
        (b'{"a": NaN}', "not well-formed"),
        (b'{"a": 1e999}', "not well-formed"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not well-formed"),
        (b'{"a": 1, "a": 2}', "not well-formed"),
        (b"[" * 200_000, "not well-formed"),
        (b'{"schema": "radiocard/model/2"}', "has version 2, this radiocard reads version 1"),
        (b'{"schema": "radiocard/model/one"}', "not a radiocard model file"),
        (b'{"schema": ["radiocard/model/1"]}', "not a radiocard model file"),
        (b'{"schema": "radiocard/model/1"}', "model.json, model_id: Field required"),
    ],
)
def test_bad_documents(text, message, tools):
    with pytest.raises(ModelError, match=message):
        read_model(tools["pack"]({"model.json": text}))


def test_a_changed_document_is_refused(content, tools):
    document, _ = content
    document["simulated"] = False
    with pytest.raises(ModelError, match="model.json was changed"):
        read_model(tools["pack"]({"model.json": document_bytes(document)}))


def test_a_changed_array_is_refused(data, tools):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    array = bytearray(members["arrays/rf.model.threshold.npy"])
    array[-1] ^= 1
    members["arrays/rf.model.threshold.npy"] = bytes(array)
    with pytest.raises(ModelError, match=r"'rf.model.threshold' was changed"):
        read_model(tools["pack"](members))


def test_arrays_must_be_those_of_the_document(data, tools):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members.pop("arrays/rf.model.left.npy")
    with pytest.raises(ModelError, match="not those that model.json lists"):
        read_model(tools["pack"](members))


def test_forging_helper_makes_a_file_that_loads(content, tools, bundle):
    assert read_model(tools["forge"](*content)).model_id == bundle.model_id


def edit_array(name, change):
    def edit(document, arrays):
        change(arrays[name])

    return edit


def put(name, index, value):
    return edit_array(name, lambda a: a.__setitem__(index, value))


def setting(*path, value):
    def edit(document, arrays):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return edit


def swap(name, make):
    return lambda document, arrays: arrays.update({name: make(arrays[name])})


FORGERIES = [
    (put("rf.model.left", 0, 10**9), "'left' holds numbers outside"),
    (put("rf.model.left", 0, 0), "a child does not come after its parent"),
    (put("rf.model.left", 0, -1), "a node has one child"),
    (put("rf.model.right", 0, 1), "not the child of exactly one node"),
    (put("rf.model.feature", 0, 10**6), "'feature' holds numbers outside"),
    (put("rf.model.feature", 0, -3), "'feature' holds numbers outside"),
    (put("rf.model.threshold", 0, np.nan), "'threshold' holds numbers outside"),
    (put("rf.model.value", 0, -1.0), "'value' holds numbers outside"),
    (edit_array("rf.model.value", lambda a: a.fill(0)), "a leaf has no class"),
    (put("rf.model.sizes", 0, 10**12), "'sizes' holds numbers outside"),
    (edit_array("rf.model.sizes", lambda a: a.fill(4_000_000)), "more than the cap"),
    (swap("rf.model.value", lambda a: a[:, :2].copy()), r"'value' is <f8 .* expected <f8"),
    (swap("rf.model.threshold", lambda a: a.astype("<f4")), "'threshold' is <f4"),
    (put("xgboost.model.right", 0, 10**8), "'right' holds numbers outside"),
    (put("xgboost.model.feature", 0, 10**8), "'feature' holds numbers outside"),
    (put("xgboost.model.condition", 0, np.inf), "'condition' holds numbers outside"),
    (swap("xgboost.model.start", lambda a: a[:1].copy()), "'start' is <f4"),
    (put("xgboost.model.missing_left", 0, 7), "'missing_left' holds numbers outside 0 to 1"),
    (put("svm.model.n_support", 0, 10**6), "'n_support' holds numbers outside"),
    (put("svm.model.n_support", 0, 0), "the classes add up to"),
    (swap("svm.model.dual_coef", lambda a: a[:, :1].copy()), "'dual_coef' is <f8"),
    (swap("svm.model.support_vectors", lambda a: a[:, :1].copy()), "'support_vectors' is <f8"),
    (put("svm.model.gamma", 0, -1.0), "'gamma' holds numbers outside"),
    (put("logistic.scale.scale", 0, 0.0), "'scale' holds numbers outside"),
    (put("logistic.model.coef", 0, np.nan), "'coef' holds numbers outside"),
    (edit_array("logistic.drop.empty", lambda a: a.fill(1)), "no column is left"),
    (put("majority.model.prior", 0, 2.0), "'prior' holds numbers outside 0 to 1"),
    (put("table.labels", 0, 3), "'labels' holds numbers outside 0 to 2"),
    (put("out_of_fold.selected", 0, 0.9), "does not sum to 1"),
    (put("out_of_fold.selected", 0, np.nan), "'selected' holds numbers outside"),
    (lambda d, a: a.pop("rf.model.value"), "rf, step 'model' lacks the array 'value'"),
    (lambda d, a: a.update({"rf.model.spare": a["rf.model.value"]}), "rf, step 'model' holds arrays .*: spare"),
    (lambda d, a: a.update({"rf.other.value": a["rf.model.value"]}), "'rf' holds arrays of no step"),
    (lambda d, a: a.update({"other.model.value": a["rf.model.value"]}), "do not belong together"),
    (lambda d, a: a.pop("table.groups"), "training table lacks the array 'groups'"),
    (lambda d, a: a.update({"table.spare": a["table.groups"]}), "training table holds arrays .*: spare"),
    (setting("answers", value="nobody"), "do not belong together"),
    (setting("classes", value=["NOR", "HCM", "DCM"]), "not sorted, or stand twice"),
    (setting("columns", value=["a"]), "expected <f8|is .* expected"),
    (setting("seed", value="7"), "seed: Input should be a valid integer"),
    (setting("extra", value=1), "extra: Extra inputs are not permitted"),
    (setting("models", 1, "params", value={"select__k": 4}), "not among the candidates"),
    (setting("models", 1, "recipe", "fixed", "max_depth", value=10**6), "max_depth is 1000000"),
    (setting("models", 1, "recipe", "fixed", "n_estimators", value=9), "'sizes' is <i8"),
    (setting("models", 1, "recipe", "estimator", value="os.system"), "recipe: estimator"),
    (setting("models", 1, "recipe", "grid", value={f"p{i}": list(range(99)) for i in range(9)}), "unknown parameter"),
    (setting("models", 1, "recipe", "grid", value={"min_samples_leaf": [*range(1, 5000)]}), "min_samples_leaf|4999"),
]


@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_forged_files_with_fitting_hashes_are_refused(number, content, tools):
    edit, message = FORGERIES[number]
    document, arrays = content
    edit(document, arrays)
    with pytest.raises(ModelError, match=message) as caught:
        read_model(tools["forge"](document, arrays))
    assert caught.value.code == "E_MODEL_UNSAFE"


def test_a_tree_beyond_the_depth_cap_is_refused(content, tools):
    """A chain of nodes would overflow the stack of C code that walks it recursively."""
    document, arrays = content
    n = 2 * 100_000 + 1
    inner = np.arange(0, n - 1, 2)
    left, right = np.full(n, -1), np.full(n, -1)
    left[inner], right[inner] = inner + 1, inner + 2
    sizes = np.ones(8, dtype="<i8")
    sizes[0] = n
    total = n + 7
    flat = {"left": left, "right": right, "feature": np.zeros(n), "samples": np.ones(n)}
    for name, a in flat.items():
        tail = -np.ones(7) if name in {"left", "right"} else np.full(7, a[0])
        arrays[f"rf.model.{name}"] = np.concatenate([a, tail]).astype("<i8")
    arrays["rf.model.sizes"] = sizes
    for name in ("threshold", "impurity", "weight"):
        arrays[f"rf.model.{name}"] = np.ones(total)
    arrays["rf.model.missing_left"] = np.zeros(total, dtype="|u1")
    arrays["rf.model.value"] = np.ones((total, 3))
    with pytest.raises(ModelError, match="a tree is deeper than 64"):
        read_model(tools["forge"](document, arrays))


def test_random_damage_never_crashes(data):
    """Flipped bytes, cut ends, doubled and removed pieces: refused, or (in unused bytes) the same model."""
    rng = np.random.default_rng(0)
    whole = read_model(data).model_id
    for i in range(200):
        broken = bytearray(data)
        match i % 3:
            case 0:
                for at in rng.integers(0, len(broken), rng.integers(1, 20)):
                    broken[at] = rng.integers(256)
            case 1:
                del broken[rng.integers(0, len(broken)) :]
            case 2:
                a, b = sorted(rng.integers(0, len(broken), 2))
                broken[a:b] = broken[a:b][:: rng.choice([-1, 2])]
        try:
            found = read_model(bytes(broken)).model_id
        except ModelError:
            continue
        assert found == whole


def test_damaged_directories_never_crash(data):
    """The end of the file holds the directory: every byte of its last part, changed."""
    for at in range(len(data) - 160, len(data)):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        try:
            read_model(bytes(broken))
        except ModelError:
            continue


def test_forged_numbers_never_crash(content, tools, planted):
    """Any number of any array replaced, hashes fitting: refused, or a model that still answers or refuses."""
    document, arrays = content
    rng = np.random.default_rng(1)
    values = [0, 1, -1, 2, 7, 255, 2**31 - 1, -(2**31), 2**62, 1e-300, 1e29, -1e29, np.nan, np.inf]
    names = sorted(arrays)
    X = planted[0].iloc[:4]
    refused = 0
    for i in range(150):
        name = names[i % len(names)]
        changed = dict(arrays)
        flat = arrays[name].copy()
        with np.errstate(all="ignore"):
            value = np.array([values[rng.integers(len(values))]]).astype(flat.dtype, casting="unsafe")
        flat.reshape(-1)[rng.integers(flat.size)] = value[0]
        changed[name] = flat
        try:
            bundle = read_model(tools["forge"](document, changed))
            touched = [m for m in bundle.models if name.startswith(m.name)]
            assert all(m.predict_proba(X).shape == (4, 3) for m in touched)
        except RadiocardError:
            refused += 1
    assert refused > 30


def test_forged_settings_never_crash(content, tools):
    """Every entry of model.json replaced by things of other types."""
    document, arrays = content
    good = json.loads(document_bytes(document))
    paths = [(k,) for k in good if k not in {"arrays", "model_id"}]
    paths += [("models", 1, k) for k in good["models"][1]]
    paths += [("models", 1, "recipe", k) for k in good["models"][1]["recipe"]]
    for path in paths:
        for value in (None, -1, 10**15, "x", "\ud800", [], {}, [1, {"a": None}], {"x": [["y"]]}):
            forged = json.loads(json.dumps(good))
            at = forged
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
            forged["model_id"] = document_id(forged)
            try:
                read_model(tools["forge"](forged, arrays))
            except ModelError:
                continue


# --- writing ----------------------------------------------------------------------------------------------


def test_writing_leaves_nothing_torn(bundle, tmp_path):
    (tmp_path / "a_folder").mkdir()
    with pytest.raises(OutputError):
        save_model(bundle, tmp_path / "a_folder")
    save_model(bundle, tmp_path / "heart.model")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["heart.model"]
    assert load_model(tmp_path / "heart.model").model_id == bundle.model_id


def test_a_model_that_could_not_be_read_back_is_not_written(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(persist, "MAX_FILE", 1000)
    with pytest.raises(ModelError, match="expected at most 1000"):
        save_model(bundle, tmp_path / "heart.model")
    assert not list(tmp_path.iterdir())


def test_document_lists_every_array(bundle):
    document, arrays = model_document(bundle)
    assert set(document["arrays"]) == set(arrays)
