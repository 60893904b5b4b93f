"""Small simulated cohorts, of cine and of maps, their tables and a model of each, made once per run of the tests."""

from dataclasses import replace

import pytest

SMALL_PLAN = {
    "schema": "radiocard/evaluation/1",
    "name": "small",
    "outer_folds": 3,
    "repeats": 2,
    "inner_folds": 3,
    "n_bootstrap": 200,
    "calibration_bins": 5,
    "random_state": 0,
}


@pytest.fixture(scope="session")
def simulated_folder(tmp_path_factory):
    """Manifest of 30 simulated patients."""
    from radiocard.io.cohort import write_manifest_cohort
    from radiocard.simulate.cohort import simulate_cohort

    folder = tmp_path_factory.mktemp("cohort")
    return write_manifest_cohort([p.case for p in simulate_cohort(per_class=6, seed=11)], folder)


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory):
    """Manifest of one simulated patient who is in no other cohort."""
    from radiocard.io.cohort import write_manifest_cohort
    from radiocard.simulate.cohort import simulate_patient

    case = replace(simulate_patient("DCM", 3, seed=99).case, patient_id="new-1")
    return write_manifest_cohort([case], tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="session")
def _table(simulated_folder):
    import radiocard

    return radiocard.extract(simulated_folder)


@pytest.fixture
def table(_table):
    copy = _table.copy()
    copy.attrs = dict(_table.attrs)
    return copy


@pytest.fixture(scope="session")
def small_plan():
    from radiocard.specs import EvaluationPlan, parse_as

    return parse_as(EvaluationPlan, SMALL_PLAN, "small")


@pytest.fixture(scope="session")
def model(_table, small_plan):
    import radiocard

    return radiocard.train(_table, models=["rf", "logistic"], plan=small_plan)


@pytest.fixture(scope="session")
def map_patients():
    """Simulated patients with T1 and ECV maps, and their truth: normal, hypertrophic, amyloid."""
    from radiocard.simulate.maps import simulate_map_cohort

    return simulate_map_cohort(task="t1-amyloid", per_class=6, seed=3)


@pytest.fixture(scope="session")
def map_folder(map_patients, tmp_path_factory):
    """Manifest of these patients."""
    from radiocard.io.cohort import write_manifest_cohort

    return write_manifest_cohort([p.case for p in map_patients], tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="session")
def map_newcomer(tmp_path_factory):
    """Manifest of one simulated patient with maps who is in no other cohort."""
    from radiocard.io.cohort import write_manifest_cohort
    from radiocard.simulate.maps import simulate_map_patient

    case = replace(simulate_map_patient("t1-amyloid", "AMYL", 0, seed=77).case, patient_id="new-1")
    return write_manifest_cohort([case], tmp_path_factory.mktemp("new_maps"))


@pytest.fixture(scope="session")
def _map_table(map_folder):
    import radiocard

    return radiocard.extract(map_folder, spec="t1_map")


@pytest.fixture
def map_table(_map_table):
    copy = _map_table.copy()
    copy.attrs = dict(_map_table.attrs)
    return copy


@pytest.fixture(scope="session")
def map_model(_map_table, small_plan):
    import radiocard

    return radiocard.train(_map_table, task="t1-amyloid", models=["logistic"], plan=small_plan)


class LevelNetwork:
    """Reads the class from the grey value: darkest background, then RV, myocardium, brightest LV cavity."""

    def logits(self, stack):
        import numpy as np

        level = np.rint((stack - stack.min()) / max(np.ptp(stack), 1e-6) * 3).astype(int)
        return (np.eye(4, dtype=np.float32)[level] * 12).transpose(0, 3, 1, 2)


@pytest.fixture(scope="session")
def level_ensemble():
    """Ensemble of two networks that read the class from the grey value; neither learned from anyone."""
    from radiocard.segmentation.backend import Ensemble
    from radiocard.segmentation.card import NetworkCard, NetworkMember
    from radiocard.specs import read_network

    def member(name):
        return NetworkMember(
            name=name,
            files={"safetensors": (f"{name}.safetensors", "0" * 64)},
            n_train=1,
            n_validation=1,
            best_epoch=1,
            validation_dice={},
            history=(),
            trained_on=(),
        )

    card = NetworkCard(
        schema="radiocard/network-card/1",
        recipe=read_network("dynunet_cpu"),
        labels="acdc",
        members=(member("fold-1"), member("fold-2")),
        n_patients=3,
        simulated=True,
        device="cpu",
        versions={},
    )
    return Ensemble(card, (LevelNetwork(), LevelNetwork()), "onnx")


@pytest.fixture(scope="session")
def level_cases():
    """Three simulated patients whose grey values are their classes."""
    from radiocard.image import LABELS_ACDC, Image
    from radiocard.simulate.cohort import simulate_patient

    cases = []
    for index, group in enumerate(("NOR", "DCM", "HCM")):
        case = simulate_patient(group, index, seed=7).case
        images = {}
        for key, mask in case.masks.items():
            codes = sum((mask.array == mask.labels[name]) * code for name, code in LABELS_ACDC.items())
            images[key] = Image(codes * 100.0, mask.affine, mask.oriented)
        cases.append(replace(case, images=images))
    return cases
