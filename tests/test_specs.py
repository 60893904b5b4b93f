import pytest

from radiocard.errors import SpecError
from radiocard.specs import FeatureSpec, parse_as, read_as, read_recipe, read_spec, shipped_names, spec_differences


def write(tmp_path, text, name="x.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def shipped_text():
    from radiocard.specs import shipped_folder

    return (shipped_folder("feature_specs") / "cine_sax.yaml").read_text()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.replace("bins: 32", "bin: 32"), "bin: Extra inputs.*Did you mean 'bins'"),
        (lambda t: t.replace("bins: 32", "bins: 32\n  bins: 64"), "line .*: a key occurs twice"),
        (lambda t: t.replace("bins: 32", "bins: -1"), "discretisation.bins"),
        (lambda t: t.replace("bins: 32", "width: 25"), "fbn takes 'bins'"),
        (lambda t: t.replace("engine: native", "engine: &e native"), "anchors and aliases"),
        (lambda t: t.replace("engine: native", "engine: !!python/name:os.system native"), "tags are not allowed"),
        (lambda t: t.replace("schema: radiocard/feature-spec/1", "schema: other/1"), "'schema' is 'other/1'"),
        (lambda t: t.replace("engine: native\n", ""), "engine: Field required"),
        (lambda t: t.replace("[ed, es]", "[ed]"), "phases: .*the cardiac measurements need ed, es"),
        (
            lambda t: t.replace("[lv_cavity, lv_myocardium, rv_cavity]", "[lv_cavity, lv_myocardium]"),
            "regions: .*the cardiac measurements need lv_cavity, lv_myocardium, rv_cavity",
        ),
        (lambda t: t + "#" * 70_000, "expected at most 65536"),
        (lambda t: t.encode() + b"\xff\xfe", "not UTF-8"),
        (lambda _: "a: [", "line"),
        (lambda _: "- a", "does not hold a mapping"),
        (lambda _: "[" * 5000, "nested more than 12 deep"),
    ],
)
def test_a_bad_specification_aborts_with_the_reason(tmp_path, change, match):
    with pytest.raises(SpecError, match=match):
        read_spec(write(tmp_path, change(shipped_text())))


def test_exponent_notation_is_a_number(tmp_path):
    path = write(tmp_path, shipped_text().replace("grid_tolerance_voxel: 0.001", "grid_tolerance_voxel: 1e-5"))
    assert read_spec(path).checks.grid_tolerance_voxel == 1e-5


def test_unknown_names_get_a_suggestion(tmp_path):
    with pytest.raises(SpecError, match="Did you mean 'cine_sax'"):
        read_spec("cine_sx")
    with pytest.raises(SpecError, match="no specification file 'none.yaml'"):
        read_spec(tmp_path / "none.yaml")


def test_a_specification_of_another_kind_is_refused():
    with pytest.raises(SpecError, match="expected radiocard/feature-spec/1"):
        read_as(FeatureSpec, "svm", "models")


def test_hash_follows_values_not_names():
    spec = read_spec("cine_sax")
    data = spec.settings() | {"name": "other", "description": "other"}
    assert parse_as(FeatureSpec, data, "t").hash == spec.hash
    data["discretisation"] = data["discretisation"] | {"bins": 64}
    changed = parse_as(FeatureSpec, data, "t")
    assert changed.hash != spec.hash
    assert spec_differences(spec.settings(), changed.settings()) == ["discretisation.bins: 32 != 64"]


def test_every_shipped_file_reads():
    from radiocard.specs import SCHEMAS

    for folder in ("feature_specs", "models"):
        by_kind = {kind: shipped_names(folder, kind) for kind in SCHEMAS.values()}
        assert sorted(n for names in by_kind.values() for n in names) == shipped_names(folder)
        for kind, names in by_kind.items():
            assert all(read_as(kind, name, folder).schema_ for name in names)


def test_recipes_have_the_short_names_of_the_command_line():
    assert [read_recipe(n).name for n in ("svm", "rf", "xgboost", "logistic")] == ["svm", "rf", "xgboost", "logistic"]
