import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations, product

import numpy as np
import pytest

from radiocard.errors import MaskError
from radiocard.features.registry import FEATURES
from radiocard.features.texture import texture_features
from radiocard.specs.features import TextureSettings

FAMILIES = ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")
ALL = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
SPACING = (1.4, 1.2, 2.1)
# What PyRadiomics fills in where it cannot compute; None here.
MADE_UP = {
    ("glcm", "Correlation"): {1.0},
    ("glcm", "Imc1"): {0.0},
    ("glcm", "MCC"): {0.0, 1.0},
    ("glcm", "InverseVariance"): {0.0},
    ("glrlm", "RunVariance"): {0.0},
    ("glrlm", "RunEntropy"): {0.0},
    ("ngtdm", "Coarseness"): {1e6},
    ("ngtdm", "Contrast"): {0.0},
    ("ngtdm", "Busyness"): {0.0},
    ("ngtdm", "Complexity"): {0.0},
    ("ngtdm", "Strength"): {0.0},
}
CLASSES = {"glcm": "RadiomicsGLCM", "glrlm": "RadiomicsGLRLM", "glszm": "RadiomicsGLSZM"}
CLASSES |= {"gldm": "RadiomicsGLDM", "ngtdm": "RadiomicsNGTDM"}


def region(seed=0, shape=(9, 8, 5), levels=(1, 2, 3, 5, 6), density=0.7):
    rng = np.random.default_rng(seed)
    found = rng.choice(levels, size=shape) * (rng.random(shape) < density)
    found[0, 0, 0] = 1
    return found


def texture(
    levels,
    *,
    families=FAMILIES,
    aggregation=ALL,
    distances=(1,),
    weighting="none",
    coarseness=0,
    convention="ibsi",
    mask=None,
    spacing=SPACING,
    mcc=True,
):
    return texture_features(
        levels,
        n_levels=int(np.max(levels)),
        mask=levels > 0 if mask is None else mask,
        spacing=spacing,
        families=families,
        settings=TextureSettings(
            aggregation=aggregation, distances=distances, weighting=weighting, coarseness=coarseness
        ),
        convention=convention,
        mcc=mcc,
    )


def test_keys_say_family_aggregation_and_distance():
    found = texture(region(), distances=(1, 2))
    expected = {("glcm", a, d) for a in ALL for d in (1, 2)} | {("glrlm", a, 1) for a in ALL}
    expected |= {(f, a, 1) for f in ("glszm", "gldzm") for a in ("2d", "2_5d", "3d")}
    expected |= {(f, a, 2) for f in ("ngtdm", "ngldm") for a in ("2d", "2_5d", "3d")}
    assert found.keys() == expected
    theirs = texture(region(), distances=(2, 1), convention="pyradiomics")
    assert {key[2] for key in theirs if key[0] in {"glcm", "ngtdm", "ngldm"}} == {2}
    assert {key[2] for key in theirs if key[0] in {"glrlm", "glszm", "gldzm"}} == {1}


def test_tags_are_those_of_the_registry():
    for (family, _, _), values in texture(region()).items():
        assert set(values) == {feature.tag for feature in FEATURES.values() if feature.family == family}


@pytest.mark.parametrize("family", FAMILIES)
def test_one_family_gives_the_same_as_all(family):
    every = texture(region(), distances=(1, 2))
    alone = texture(region(), distances=(1, 2), families=[family, "shape_3d"])
    assert alone == {key: values for key, values in every.items() if key[0] == family}


@pytest.mark.parametrize("name", ALL)
def test_one_aggregation_gives_the_same_as_all(name):
    every, alone = texture(region()), texture(region(), aggregation=(name,))
    assert alone.keys() == {key for key in every if key[1] in {name, name.rpartition("_")[0]}}
    for key, values in alone.items():
        assert values == pytest.approx(every[key], rel=1e-12)


def test_each_distance_has_its_matrices_under_ibsi():
    levels = region()
    both = texture(levels, distances=(1, 2))
    for distance in (1, 2):
        alone = texture(levels, distances=(distance,), families=["glcm"])
        assert alone == {key: values for key, values in both.items() if key[0] == "glcm" and key[2] == distance}
    far = texture(levels, distances=(2,), families=["ngtdm", "ngldm"])
    assert far == {key: values for key, values in both.items() if key[0] in {"ngtdm", "ngldm"}}


def test_distances_are_pooled_under_pyradiomics():
    levels = region()
    pooled = texture(levels, distances=(1, 2), convention="pyradiomics", families=["glcm"])["glcm", "3d_avg", 1]
    near, far = (
        texture(levels, distances=(d,), convention="pyradiomics", families=["glcm"])["glcm", "3d_avg", d]
        for d in (1, 2)
    )
    for tag, value in pooled.items():
        assert value == pytest.approx((13 * near[tag] + 49 * far[tag]) / 62), tag


@pytest.mark.parametrize("weighting", ["manhattan", "euclidean", "infinity"])
def test_weights_are_in_voxels_under_ibsi_and_in_mm_under_pyradiomics(weighting):
    levels = region()
    cubes, bricks = (
        {
            c: texture(levels, weighting=weighting, convention=c, spacing=s, families=["glcm", "glrlm"])
            for c in CONVENTIONS
        }
        for s in ((1.0, 1.0, 1.0), (1.0, 1.0, 2.0))
    )
    assert cubes["ibsi"] == bricks["ibsi"]
    for key, values in cubes["pyradiomics"].items():
        same = key[1] != "3d_comb"
        assert (values == bricks["pyradiomics"][key]) == same


CONVENTIONS = ("ibsi", "pyradiomics")


def test_equal_lengths_weigh_equally():
    levels = region()
    plain, weighed = (texture(levels, weighting=w) for w in ("none", "infinity"))
    for key, values in plain.items():
        expected = dict(values)
        if key[:2] in {("glrlm", a) for a in ALL if a.endswith("comb")}:  # these grow with the weights
            expected |= {tag: values[tag] * np.exp(-1) for tag in ("rlm_glnu", "rlm_rlnu")}
        assert weighed[key] == pytest.approx(expected), key


def test_empty_region_is_refused():
    with pytest.raises(MaskError, match="E_EMPTY_ROI: The region has no voxel with a grey level, expected at least 1"):
        texture(np.zeros((3, 3, 3), dtype=int))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 1), (1, 1, 4), (5, 6, 1), (2, 2, 2)])
def test_small_regions_have_numbers_or_nothing(shape, convention):
    for levels in (np.full(shape, 3), np.arange(1, np.prod(shape) + 1).reshape(shape)):
        found = texture(levels, convention=convention, distances=(1, 2))
        for values in found.values():
            assert all(value is None or np.isfinite(value) for value in values.values())
        assert found["glszm", "3d", 1]["szm_sze"] is not None
        assert found["ngldm", "3d", 1 if convention == "pyradiomics" else 2]["ngl_lde"] is not None


def test_one_voxel_has_zones_and_runs_but_no_pair():
    found = texture(np.full((1, 1, 1), 2), aggregation=("3d_avg",))
    undefined = {key[0]: {tag for tag, value in values.items() if value is None} for key, values in found.items()}
    nothing = {"glrlm", "glszm", "gldzm", "ngldm"}
    assert {family for family, tags in undefined.items() if not tags} == nothing
    assert all(
        len(undefined[family]) == len(found[family, a, 1]) for family, a in (("glcm", "3d_avg"), ("ngtdm", "3d"))
    )


@pytest.mark.parametrize("name", ["3d_avg", "3d_comb"])
def test_storage_order_does_not_change_features_in_space(name):
    levels = region(3)
    reference = texture(levels, aggregation=(name,))
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        moved = levels.transpose(order)[tuple(slice(None, None, s) for s in signs)]
        for key, values in texture(moved, aggregation=(name,)).items():
            assert values == pytest.approx(reference[key], rel=1e-9, abs=1e-9)


def test_values_are_equal_bit_by_bit_in_threads():
    regions = [region(seed) for seed in range(8)]
    alone = [texture(levels) for levels in regions]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(texture, regions)) == alone


def test_values_are_equal_bit_by_bit_in_another_process():
    code = (
        "import numpy as np\n"
        "from radiocard.features.texture import texture_features\n"
        "from radiocard.specs.features import TextureSettings\n"
        "levels = np.random.default_rng(0).integers(0, 6, (9, 8, 5))\n"
        f"settings = TextureSettings(aggregation={ALL}, distances=(1,), weighting='none', coarseness=0)\n"
        "found = texture_features(levels, n_levels=5, mask=levels > 0, spacing=(1, 1, 1), settings=settings,\n"
        f"    families={FAMILIES}, convention='ibsi', mcc=True)\n"
        "print([x.hex() for v in found.values() for x in v.values()])\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | threads
        )
        for threads in ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"})
    ]
    here = texture(np.random.default_rng(0).integers(0, 6, (9, 8, 5)), spacing=(1, 1, 1))
    expected = str([value.hex() for values in here.values() for value in values.values()])
    assert {run.stdout.strip() for run in runs} == {expected}


def test_hundreds_of_levels_stay_small_in_memory():
    levels = np.random.default_rng(0).permutation(600).reshape(10, 10, 6) + 1
    found = texture(levels, mcc=False, families=["glcm", "glrlm", "ngldm"])
    # all levels differ, so each pair occurs once in a direction, and each voxel is a run
    out = found["glcm", "3d_avg", 1]
    pairs = [np.prod(np.subtract(levels.shape, np.abs(o))) for o in product((-1, 0, 1), repeat=3) if o > (0, 0, 0)]
    assert out["cm_joint_entr"] == pytest.approx(np.mean(np.log2(np.multiply(pairs, 2))))
    assert out["cm_energy"] == pytest.approx(np.mean(1 / np.multiply(pairs, 2)))
    assert found["glrlm", "3d_comb", 1]["rlm_r_perc"] == 1
    assert found["ngldm", "3d", 1]["ngl_lde"] == 1


def _parity_cases():
    base = region(1)
    yield "random", base, {}
    yield "smooth", np.add.outer(np.arange(8), np.arange(7))[:, :, None] // 3 + np.arange(4) // 2 + 1, {}
    yield "force2D", base, {"force2D": True}
    for norm in ("no_weighting", "manhattan", "euclidean", "infinity"):
        yield norm, base, {"weightingNorm": norm}
        yield f"{norm}_force2D", base, {"weightingNorm": norm, "force2D": True}
    yield "distances_1_2", base, {"distances": [1, 2]}
    yield "distances_2", base, {"distances": [2]}
    yield "distances_2_force2D", base, {"distances": [2], "force2D": True}
    yield "gldm_a", base, {"gldm_a": 1}
    yield "gldm_a_force2D", base, {"gldm_a": 2, "force2D": True}
    yield "scattered", region(2, density=0.08), {}
    yield "scattered_force2D", region(3, density=0.08), {"force2D": True}
    yield "scattered_weights", region(4, density=0.05), {"weightingNorm": "manhattan"}
    yield "two_levels", region(5, levels=(1, 2)), {}
    yield "gaps", region(6, levels=(1, 9, 40)), {}
    yield "flat", np.ones((4, 5, 3), dtype=int), {}
    yield "line", np.array([1, 2, 2, 1, 3]).reshape(1, 5, 1), {}
    yield "one_slice", region(7, shape=(8, 7, 1)), {}
    yield "one_odd_voxel", np.where(np.arange(64).reshape(4, 4, 4) == 0, 1, 2), {}
    isolated = np.zeros((5, 5, 3), dtype=int)
    isolated[::2, ::2, ::2] = np.arange(18).reshape(3, 3, 2) % 4 + 1
    yield "isolated", isolated, {}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("case", list(_parity_cases()), ids=lambda case: case[0])
def test_equals_pyradiomics(case, name, run_pyradiomics, make_region):
    _, levels, given = case
    theirs = run_pyradiomics(
        name, CLASSES[name], make_region(levels > 0, SPACING, values=levels.astype(float)), binWidth=1, **given
    )
    family = "ngldm" if name == "gldm" else name
    where = "2_5d" if given.get("force2D") else "3d"
    aggregation = f"{where}_comb" if "weightingNorm" in given else f"{where}_avg"
    norm = given.get("weightingNorm", "no_weighting")
    ours = texture(
        levels,
        families=[family],
        aggregation=(aggregation,),
        distances=tuple(given.get("distances", (1,))),
        weighting="none" if norm == "no_weighting" else norm,
        coarseness=given.get("gldm_a", 0),
        convention="pyradiomics",
    )
    (values,) = ours.values()
    aliases = {
        f.pyradiomics.partition("_")[2]: f.tag for f in FEATURES.values() if f.family == family and f.pyradiomics
    }
    assert aliases.keys() <= theirs.keys()
    for alias, tag in aliases.items():
        if values[tag] is None:
            assert np.isnan(theirs[alias]) or theirs[alias] in MADE_UP[name, alias], alias
        else:
            assert values[tag] == pytest.approx(theirs[alias], rel=1e-7, abs=1e-12), alias
