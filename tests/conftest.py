"""Small simulated cohorts, of cine and of maps, their tables and a model of each, made once per run of the tests.

Besides, DICOM files written with pydicom.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from hypothesis import settings
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

settings.register_profile("without a clock", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("without a clock")

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


IDENTITY = {"PatientName": "Mustermann^Erika", "PatientID": "ID-4711", "PatientBirthDate": "19640812"}
IDENTITY |= {"StudyDate": "20190203", "InstitutionName": "Charlottenburg", "SeriesDescription": "T1 Mustermann"}


def dataset(pixels, *, drop=(), syntax=ExplicitVRLittleEndian, **tags):
    """Return one DICOM image; ``pixels`` is (n_rows, n_columns) or (n_frames, n_rows, n_columns)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, MRImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    bits = pixels.dtype.itemsize * 8
    fields = {
        **IDENTITY,
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": "1.2.3.4",
        "SeriesInstanceUID": "1.2.3",
        "Modality": "MR",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "Manufacturer": "SIEMENS",
        "MagneticFieldStrength": 3.0,
        "InstanceNumber": 1,
        "ImagePositionPatient": [0.0, 0.0, 0.0],
        "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "PixelSpacing": [1.5, 1.25],
        "SliceThickness": 8.0,
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 1 if pixels.dtype.kind == "i" else 0,
        "PixelData": pixels.tobytes(),
        **tags,
    }
    out = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for name, value in fields.items():
        if name not in drop:
            setattr(out, name, value)
    return out


def item(**tags):
    """Return a dataset with the given attributes, for sequences."""
    out = Dataset()
    for name, value in tags.items():
        setattr(out, name, value)
    return out


def enhanced(pixels, positions, *, frames=(), shared=None, drop=(), **tags):
    """Return one enhanced multi-frame image; ``frames`` gives further functional groups, one dict per frame."""
    groups = []
    for n, position in enumerate(positions):
        groups.append(item(PlanePositionSequence=[item(ImagePositionPatient=list(position))]))
        for name, value in (frames[n] if frames else {}).items():
            setattr(groups[-1], name, [value])
    common = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])],
        PixelMeasuresSequence=[item(PixelSpacing=[1.5, 1.25], SliceThickness=8.0)],
    )
    for name, value in (shared or {}).items():
        setattr(common, name, [value])
    flat = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", *drop)
    tags = {"SharedFunctionalGroupsSequence": [common], "PerFrameFunctionalGroupsSequence": groups, **tags}
    return dataset(pixels, drop=flat, NumberOfFrames=len(pixels), **tags)


def save_series(folder, volume, *, origin=(0.0, 0.0, 0.0), directions=None, step=8.0, order=None, **tags):
    """Write a volume (ni, nj, nk) as one file per slice, in LPS+, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    directions = np.eye(3) if directions is None else directions
    names = range(volume.shape[2]) if order is None else order
    for k, name in enumerate(names):
        out = dataset(
            np.ascontiguousarray(volume[:, :, k].T),
            ImagePositionPatient=[float(f"{x:.10g}") for x in np.asarray(origin) + k * step * directions[:, 2]],
            ImageOrientationPatient=[float(f"{x:.10g}") for x in directions[:, :2].T.ravel()],
            **{"InstanceNumber": k + 1, "SOPInstanceUID": f"1.2.3.4.{k}", **tags},
        )
        out.save_as(folder / f"{name:03}.dcm")
    return folder


def save_cine(folder, frames, affine, *, reverse=False, **tags):
    """Write volumes (ni, nj, nk) on one RAS+ grid as one series, a cardiac frame each, 30 ms apart."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    grid = {"origin": lps[:3, 3], "directions": lps[:3, :3] / spacing, "step": spacing[2]}
    for t, volume in enumerate(frames):
        part = save_series(
            folder / f"{t}",
            volume.astype("u2"),
            **grid,
            PixelSpacing=[f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"],
            SliceThickness=f"{spacing[2]:.10g}",
            TriggerTime=30.0 * (len(frames) - t if reverse else t),
            **tags,
        )
        for n, file in enumerate(sorted(part.iterdir())):
            one = pydicom.dcmread(file)
            one.InstanceNumber = n * len(frames) + t + 1
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.5.{t}.{n}"
            one.save_as(folder / f"{t:03}-{n:03}.dcm")
            file.unlink()
        part.rmdir()
    return folder


@pytest.fixture(scope="session")
def dicom() -> SimpleNamespace:
    """Writers of DICOM files, and the identity that stands in each of them."""
    return SimpleNamespace(
        dataset=dataset, enhanced=enhanced, item=item, series=save_series, cine=save_cine, identity=IDENTITY
    )
