import builtins
import os

import numpy as np
import pydicom
import pytest

import radiocard
from radiocard.cardiac.function import volume_ml
from radiocard.errors import OutputError
from radiocard.io.unsegmented import read_unsegmented
from radiocard.study.segment_dicom import write_dicom
from radiocard.study.segment_predict import segment, write_segmentation

if os.environ.get("RADIOCARD_REQUIRE") != "all":
    pytest.importorskip("highdicom")

STUDY = {"StudyInstanceUID": "1.2.840.1", "FrameOfReferenceUID": "1.2.840.2", "SeriesNumber": 7}


@pytest.fixture
def drawn(level_cases, level_ensemble, dicom, tmp_path):
    """Return what was drawn of a cine, a DICOM series whose frames 2 to 4 are end-systole."""
    ed, es = (level_cases[0].images["cine", phase] for phase in ("ed", "es"))
    frames = [f.array for f in (ed, ed, es, es, es, ed)]
    dicom.cine(tmp_path / "series", frames, ed.affine, **STUDY)
    (tmp_path / "list.csv").write_text("patient_id,image\np1,series\n")
    result = segment(read_unsegmented(tmp_path / "list.csv"), level_ensemble, flips=False)
    return result, write_segmentation(result, tmp_path / "out")


def test_masks_of_a_series_go_back_to_its_archive(drawn):
    result, manifest = drawn
    assert write_dicom(result, manifest.parent) == []
    for phase, found in result.cases[0].phases.items():
        seg = pydicom.dcmread(manifest.parent / "masks" / f"p1_cine_{phase}.dcm")
        assert seg.StudyInstanceUID == STUDY["StudyInstanceUID"]
        used = {str(i.ReferencedSOPInstanceUID) for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
        assert {uid.split(".")[4] for uid in used} == {str(found.frame)}
        n_voxels = sum(int(np.count_nonzero(frame)) for frame in np.atleast_3d(seg.pixel_array))
        assert n_voxels == np.count_nonzero(found.mask.array)
        algorithm = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmVersion == result.short_id


def test_the_manifest_of_a_series_is_measured(drawn, level_cases):
    _, manifest = drawn
    row = radiocard.extract(manifest).iloc[0]
    for phase in ("ed", "es"):
        drawn_by_hand = volume_ml(level_cases[0].masks["cine", phase], "lv_cavity")
        assert row[f"lv{phase}v_ml"] == pytest.approx(drawn_by_hand, rel=0.1)


def test_what_cannot_be_written_is_said_and_loses_no_mask(drawn, monkeypatch):
    result, manifest = drawn
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "highdicom":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    issues = write_dicom(result, manifest.parent)
    assert [(issue.code, issue.case, issue.field) for issue in issues] == [
        ("W_NO_SEG", "p1", "cine_ed.mask"),
        ("W_NO_SEG", "p1", "cine_es.mask"),
    ]
    assert "radiocard[dicom]" in issues[0].hint
    assert sorted(p.name for p in (manifest.parent / "masks").iterdir()) == [
        "p1_cine_ed.nii.gz",
        "p1_cine_es.nii.gz",
    ]


def test_a_full_disk_is_no_warning(drawn, tmp_path):
    result, _ = drawn
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_dicom(result, tmp_path / "file")


def test_masks_of_nifti_files_are_left_alone(level_cases, level_ensemble, tmp_path):
    from radiocard.io.cohort import write_manifest_cohort

    manifest = write_manifest_cohort(level_cases[:1], tmp_path)
    result = segment(read_unsegmented(manifest), level_ensemble, flips=False)
    assert write_dicom(result, tmp_path / "out") == []
    assert not (tmp_path / "out").exists()
