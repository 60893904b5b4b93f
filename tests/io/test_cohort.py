import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiocard.errors import CaseError, CaseRefusedError, CohortError, OutputError, UsageError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, Case, Image, LabelMap
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.io.identifiers import id_problem
from radiocard.io.labels import format_labels, parse_labels
from radiocard.io.nifti import write_image

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])
HEAD = "patient_id,phase,image,mask,labels"


def save(path, array=None):
    write_image(path, Image(np.arange(36, dtype="i2").reshape(3, 4, 3) if array is None else array, AFFINE))


def save_pair(folder, name="a"):
    save(folder / f"{name}.nii.gz")
    save(folder / f"{name}_gt.nii.gz", np.arange(36, dtype="u1").reshape(3, 4, 3) % 4)


def acdc_case(root, number, info="ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"):
    folder = root / f"patient{number:03d}"
    for frame in ("01", "12"):
        save_pair(folder, f"patient{number:03d}_frame{frame}")
    save(folder / f"patient{number:03d}_4d.nii.gz")
    (folder / "Info.cfg").write_bytes(info.encode())
    return folder


def manifest(folder, *rows, head=HEAD, name="manifest.csv", encoding="utf-8"):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "a.nii.gz").exists():
        save_pair(folder)
    (folder / name).write_bytes("\n".join([head, *rows, ""]).encode(encoding))
    return folder / name


def aborted(path, match, code="E_COHORT"):
    with pytest.raises(CohortError, match=match) as caught:
        read_cohort(path)
    assert caught.value.code == code
    return caught.value


# --- ACDC


def test_acdc_folder(tmp_path):
    acdc_case(tmp_path, 10)
    acdc_case(tmp_path, 2, "ED: 1\r\nES: 12\r\nGroup: RV\r\n")
    (tmp_path / "MANDATORY_CITATION.md").write_text("x")
    cohort = read_cohort(tmp_path)
    assert cohort.layout == "acdc"
    assert cohort.label_convention.startswith("1 RV cavity, 2 LV myocardium, 3 LV cavity (ACDC order")
    assert [ref.patient_id for ref in cohort.cases] == ["patient002", "patient010"]
    assert cohort.cases[1].clinical == {"diagnosis": "DCM", "height_cm": 184.0, "weight_kg": 95.0}
    assert cohort.cases[0].clinical == {"diagnosis": "RV"}
    case = cohort.cases[0].load()
    assert set(case.images) == set(case.masks) == {("cine", "ed"), ("cine", "es")}
    assert dict(case.masks["cine", "ed"].labels) == dict(LABELS_ACDC)
    assert not case.simulated
    assert cohort.issues == ()


def test_references_are_cheap_to_send_to_another_process(tmp_path):
    acdc_case(tmp_path, 1)
    ref = read_cohort(tmp_path).cases[0]
    data = pickle.dumps(ref)
    assert len(data) < 2000
    assert pickle.loads(data) == ref


def test_acdc_without_compression_reads(tmp_path):
    folder = acdc_case(tmp_path, 1)
    (folder / "patient001_frame01.nii.gz").unlink()
    save(folder / "patient001_frame01.nii")
    loaded = read_cohort(tmp_path).cases[0].load()
    np.testing.assert_array_equal(loaded.images["cine", "ed"].array, np.arange(36).reshape(3, 4, 3))


def test_missing_files_refuse_their_case_alone(tmp_path):
    (acdc_case(tmp_path, 1) / "patient001_frame12_gt.nii.gz").unlink()
    acdc_case(tmp_path, 2)
    cohort = read_cohort(tmp_path)
    (issue,) = cohort.cases[0].issues
    assert (issue.code, issue.severity, issue.case, issue.field) == (
        "E_MISSING",
        "refuse",
        "patient001",
        "cine_es.mask",
    )
    with pytest.raises(CaseRefusedError, match="The mask of cine_es does not exist"):
        cohort.cases[0].load()
    cohort.cases[1].load()


@pytest.mark.parametrize(
    ("info", "code", "match"), [("ED: x\nES: 12\n", "E_PHASE", "gives ED as 'x'"), (None, "E_READ", "does not exist")]
)
def test_damaged_info_refuses_its_case(tmp_path, info, code, match):
    folder = acdc_case(tmp_path, 1)
    (folder / "Info.cfg").unlink() if info is None else (folder / "Info.cfg").write_text(info)
    with pytest.raises(CaseRefusedError, match=match) as caught:
        read_cohort(tmp_path).cases[0].load()
    assert caught.value.code == code


def test_info_that_is_too_long_or_binary_refuses_its_case(tmp_path):
    for content in (b"ED: 1\n" * 20000, b"\xff\xfe\x00"):
        (acdc_case(tmp_path, 1) / "Info.cfg").write_bytes(content)
        with pytest.raises(CaseRefusedError, match="Info.cfg cannot be read"):
            read_cohort(tmp_path).cases[0].load()


def test_all_findings_of_a_case_are_reported_together(tmp_path):
    folder = acdc_case(tmp_path, 1)
    for name in ("frame01", "frame12_gt"):
        (folder / f"patient001_{name}.nii.gz").write_bytes(b"not an image")
    with pytest.raises(CaseRefusedError) as caught:
        read_cohort(tmp_path).cases[0].load()
    assert [issue.field for issue in caught.value.issues] == ["cine_ed.image", "cine_es.mask"]
    assert {issue.case for issue in caught.value.issues} == {"patient001"}


# --- M&Ms

MNMS_HEAD = ",External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight"


def mnms_tree(root, rows, single=()):
    root.mkdir(exist_ok=True)
    (root / "info.csv").write_text("\n".join([MNMS_HEAD, *rows, ""]))
    for code, place in single:
        for phase in ("ED", "ES"):
            save(root / place / code / f"{code}_sa_{phase}.nii.gz")
            save(root / place / code / f"{code}_sa_{phase}_gt.nii.gz", np.zeros((3, 4, 3), "u1"))


def test_mnms_as_distributed_with_four_dimensions(tmp_path, nifti, put):
    images = np.arange(3 * 4 * 3 * 5, dtype="i2").reshape(3, 4, 3, 5)
    masks = (images % 4).astype("u1")
    put(nifti.build(images), "Training/Labeled/A0S9V9/A0S9V9_sa.nii.gz")
    put(nifti.build(masks), "Training/Labeled/A0S9V9/A0S9V9_sa_gt.nii.gz")
    put(nifti.build(images), "Training/Unlabeled/B1/B1_sa.nii.gz")
    rows = ["0,A0S9V9,Siemens,A,1,0,3,55.0,DCM,M,178.0,80.0", "1,B1,Philips,B,2,1,2,,NOR,,,", "2,C9,GE,C,4,1,2,,NOR,,,"]
    mnms_tree(tmp_path, rows)
    cohort = read_cohort(tmp_path)
    assert cohort.layout == "mnms"
    assert cohort.label_convention.startswith("1 LV cavity, 2 LV myocardium, 3 RV cavity (M&Ms order")
    assert [ref.patient_id for ref in cohort.cases] == ["A0S9V9"]
    (issue,) = cohort.issues
    assert issue.severity == "warn"
    assert "2 of 3 patients in the information file have no folder with masks here: B1, C9" in issue.message
    ref = cohort.cases[0]
    assert ref.clinical == {
        "sex": "M", "age_y": 55.0, "height_cm": 178.0, "weight_kg": 80.0, "diagnosis": "DCM",
        "vendor": "Siemens", "site": "1",
    }  # fmt: skip
    case = ref.load()
    np.testing.assert_array_equal(case.images["cine", "ed"].array, images[..., 0])
    np.testing.assert_array_equal(case.images["cine", "es"].array, images[..., 3])
    np.testing.assert_array_equal(case.masks["cine", "es"].array, masks[..., 3])
    assert dict(case.masks["cine", "es"].labels) == dict(LABELS_MNMS)


def test_mnms_single_frames_and_the_csv_itself(tmp_path):
    mnms_tree(tmp_path, ["0,X1,,A,1,0,9,,HCM,F,,", "1,X2,,A,1,0,9,,HCM,F,,"], [("X1", "."), ("X2", "Testing")])
    for source in (tmp_path, tmp_path / "info.csv"):
        cohort = read_cohort(source)
        assert [ref.load().patient_id for ref in cohort.cases] == ["X1", "X2"]
    (tmp_path / "X1" / "X1_sa_ES_gt.nii.gz").unlink()
    with pytest.raises(CaseRefusedError, match="The mask of cine_es does not exist"):
        read_cohort(tmp_path).cases[0].load()


def test_mnms_frame_that_is_none_refuses_its_case(tmp_path, nifti, put):
    put(nifti.build(), "X1/X1_sa.nii.gz")
    put(nifti.build(), "X1/X1_sa_gt.nii.gz")
    mnms_tree(tmp_path, ["0,X1,,A,1,0,,,HCM,F,,"])
    with pytest.raises(CaseRefusedError, match="gives ES as ''"):
        read_cohort(tmp_path).cases[0].load()


def test_mnms_faults_of_the_table_abort(tmp_path):
    mnms_tree(tmp_path, ["0,X1,,A,1,0,9,,HCM,F,,", "1,x1,,A,1,0,9,,HCM,F,,"])
    aborted(tmp_path, "occurs in lines 2 and 3", "E_DUPLICATE_ID")
    mnms_tree(tmp_path, ["0,X1,,A,1,0,9,,HCM,F,,"])
    aborted(tmp_path, "None of the patients in info.csv has a folder")
    (tmp_path / "info.csv").write_text("External code,ED\nX1,0\n")
    aborted(tmp_path, "lacks the column 'ES'")
    mnms_tree(tmp_path, ["0,X1,,A,1,0,9,,HCM,F,,"], [("X1", "a"), ("X1", "b")])
    aborted(tmp_path, "X1 has two folders: a and b", "E_DUPLICATE_ID")


def test_mnms_unsafe_code_refuses_its_case(tmp_path):
    mnms_tree(tmp_path, ["0,../X1,,A,1,0,9,,HCM,F,,", "1,X2,,A,1,0,9,,HCM,F,,"], [("X2", ".")])
    refused, good = read_cohort(tmp_path).cases
    assert refused.issues[0].code == "E_PATH"
    good.load()


# --- manifest


def test_manifest_with_all_columns(tmp_path):
    head = f"{HEAD},sequence,visit,frame,sex,age_y,height_cm,weight_kg,site,vendor,field_strength_t"
    head += ",diagnosis,simulated,nyha,code"
    tail = "a.nii.gz,a_gt.nii.gz,acdc,cine,baseline,0,female,61,184,95,3,Siemens,1.5,DCM,yes,2,01"
    path = manifest(tmp_path, f"007,ED,{tail}", f"007,es,{tail}", head=head)
    for source in (path, tmp_path):
        cohort = read_cohort(source)
        assert cohort.layout == "manifest"
        (ref,) = cohort.cases
        assert ref.patient_id == "007"
        assert ref.simulated
        assert ref.clinical == {
            "sex": "F", "age_y": 61.0, "height_cm": 184.0, "weight_kg": 95.0, "site": "3", "vendor": "Siemens",
            "field_strength_t": 1.5, "diagnosis": "DCM", "nyha": 2.0, "code": "01", "visit": "baseline",
        }  # fmt: skip
        assert ref.load().simulated


@pytest.mark.parametrize("identifier", ["007", "NA", "1e5", "nan", "True", "Ünal 3", "a.b-c_d"])
def test_identifiers_stay_text(tmp_path, identifier):
    row = f"{identifier},ed,a.nii.gz,a_gt.nii.gz,acdc"
    assert read_cohort(manifest(tmp_path, row)).cases[0].patient_id == identifier


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_separators_line_ends_and_bom(tmp_path, separator, ends, bom):
    save_pair(tmp_path)
    lines = [
        ["Patient_ID", "PHASE", "image", "mask", "labels", "height_cm"],
        ["1", "ed", "a.nii.gz", "a_gt.nii.gz", "acdc", "184.5"],
    ]
    text = bom + ends.join(separator.join(cells) for cells in [*lines, [""] * 6]) + ends
    (tmp_path / "m.csv").write_bytes(text.encode())
    (ref,) = read_cohort(tmp_path / "m.csv").cases
    assert ref.clinical == {"height_cm": 184.5}
    ref.load()


def test_encodings_that_are_not_utf8_abort_with_the_fix(tmp_path):
    aborted(manifest(tmp_path, "Ü,ed,a,b,acdc", encoding="latin-1"), "not UTF-8 text.*Save it as 'CSV UTF-8'")
    aborted(manifest(tmp_path, "1,ed,a,b,acdc", encoding="utf-16"), "not UTF-8 text")
    aborted(manifest(tmp_path, "1,ed,a\0,b,acdc"), "zero bytes")
    (tmp_path / "manifest.csv").write_text("")
    aborted(tmp_path / "manifest.csv", "is empty")
    (tmp_path / "manifest.csv").write_text(HEAD + "\n")
    aborted(tmp_path / "manifest.csv", "names no case")


@pytest.mark.parametrize("column", ["height_cm", "anything"])
def test_decimal_comma_aborts_with_the_fix(tmp_path, column):
    path = manifest(tmp_path, "1;ed;a.nii.gz;a_gt.nii.gz;acdc;184,5", head=f"{HEAD};{column}".replace(",", ";"))
    error = aborted(path, "184,5")
    assert "Write '184.5'" in error.issue.hint


def test_unquoted_decimal_comma_aborts_with_the_fix(tmp_path):
    path = manifest(tmp_path, "1,ed,a.nii.gz,a_gt.nii.gz,acdc,184,5", head=f"{HEAD},height_cm")
    assert "decimals with a point" in aborted(path, "line 2 has 7 cells, expected 6").issue.hint


@pytest.mark.parametrize(
    ("column", "cell", "match"),
    [
        ("sex", "woman", "sex is 'woman', expected F or M"),
        ("sex", "1", "sex is '1'"),
        ("height_cm", "1.84", "height_cm is 1.84, expected 40 to 250.*looks like metres: write 184"),
        ("height_cm", "1840", "looks like millimetres: write 184"),
        ("height_cm", "tall", "height_cm is 'tall', expected a number"),
        ("age_y", "-3", "age_y is -3, expected 0 to 120"),
        ("weight_kg", "70 kg", "'70 kg', expected a number"),
        ("weight_kg", "70000", "expected 1 to 400"),
        ("field_strength_t", "15000", "expected 0.01 to 20"),
        ("simulated", "perhaps", "expected true or false"),
        ("frame", "1.5", "frame is '1.5', expected a whole number from 0"),
        ("sequence", "perfusion", "sequence is 'perfusion', expected cine or"),
        ("sequence", "lge", "phase is 'ed', expected an empty cell: lge is taken once"),
    ],
)
def test_cells_that_cannot_be_understood_abort(tmp_path, column, cell, match):
    aborted(manifest(tmp_path, f"1,ed,a.nii.gz,a_gt.nii.gz,acdc,{cell}", head=f"{HEAD},{column}"), match)


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "NaN"])
def test_unknown_covariates_are_absent(tmp_path, cell):
    path = manifest(tmp_path, f"1,ed,a.nii.gz,a_gt.nii.gz,acdc,{cell}", head=f"{HEAD},height_cm")
    assert read_cohort(path).cases[0].clinical == {}


def test_rows_that_contradict_each_other_abort(tmp_path):
    head, pair = f"{HEAD},age_y", "a.nii.gz,a_gt.nii.gz"
    path = manifest(tmp_path, f"1,ed,{pair},acdc,60", f"1,es,{pair},acdc,61", head=head)
    error = aborted(path, "disagree: age_y is 60.0 and 61.0")
    assert (error.issue.case, error.issue.field) == ("1", "age_y")
    path = manifest(tmp_path, f"1,ed,{pair},acdc,60", f"1,es,{pair},mnms,60", head=head)
    aborted(path, "disagree: labels is 'acdc' and 'mnms'")
    path = manifest(tmp_path, f"1,ed,{pair},acdc,60", f"1,es,{pair},acdc,", head=head)
    assert read_cohort(path).cases[0].clinical == {"age_y": 60.0}


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (["1,ed", "1,ed"], "lines 2 and 3: cine_ed of this patient occurs twice"),
        (["A,ed", "a,es"], "lines 2 and 3: two identifiers differ only in letter case"),
    ],
)
def test_duplicate_rows_and_identifiers_abort(tmp_path, rows, match):
    rows = [f"{row},a.nii.gz,a_gt.nii.gz,acdc" for row in rows]
    aborted(manifest(tmp_path, *rows), match, "E_DUPLICATE_ID")


def test_two_visits_of_one_patient_abort_with_the_way_out(tmp_path):
    rows = [f"1,{phase},a.nii.gz,a_gt.nii.gz,acdc,{visit}" for phase, visit in (("ed", "1"), ("ed", "2"))]
    error = aborted(manifest(tmp_path, *rows, head=f"{HEAD},visit"), "more than one visit", "E_DUPLICATE_ID")
    assert "one manifest per visit" in error.issue.hint


@pytest.mark.parametrize(
    "identifier",
    [
        "../../x",
        "CON",
        "nul.txt",
        "com1",
        "a/b",
        "a\\b",
        "x" * 300,
        "a\x07b",
        "a\u202eb",
        "a\u200bb",
        ".hidden",
        "<script>",
        "a:b",
        "",
    ],
)
def test_unsafe_identifiers_refuse_their_case_alone(tmp_path, identifier):
    rows = [f'"{i}",ed,a.nii.gz,a_gt.nii.gz,acdc' for i in (identifier, "2")]
    refused, good = read_cohort(manifest(tmp_path, *rows)).cases
    assert refused.patient_id == "unsafe-id-in-line-2"
    with pytest.raises(CaseRefusedError, match="The identifier '") as caught:
        refused.load()
    assert caught.value.code == "E_PATH"
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200
    good.load()


@given(st.text(max_size=70))
def test_identifiers_that_pass_make_one_plain_file_name(text):
    if id_problem(text) is None:
        assert os.path.basename(text) == text  # noqa: PTH119
        assert 0 < len(text) <= 64
        assert text.isprintable()


def test_relative_paths_start_at_the_manifest_and_may_not_leave_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_pair(tmp_path / "deep" / "images")
    save_pair(tmp_path)
    inside = "1,ed,images/a.nii.gz,images/../images/a_gt.nii.gz,acdc"
    windows = "2,ed,images\\a.nii.gz,images\\a_gt.nii.gz,acdc"
    absolute = f"3,ed,{tmp_path / 'a.nii.gz'},{tmp_path / 'a_gt.nii.gz'},acdc"
    outside = "4,ed,../a.nii.gz,images/../../a_gt.nii.gz,acdc"
    path = manifest(tmp_path / "deep", inside, windows, absolute, outside)
    *good, bad = read_cohort(path).cases
    for ref in good:
        ref.load()
    with pytest.raises(CaseRefusedError, match="leaves the manifest's folder") as caught:
        bad.load()
    assert [issue.code for issue in caught.value.issues] == ["E_PATH", "E_PATH"]


def test_missing_and_unnamed_files_refuse_their_case_alone(tmp_path):
    pair = "a.nii.gz,a_gt.nii.gz,acdc"
    path = manifest(
        tmp_path, "1,ed,gone.nii,a_gt.nii.gz,acdc", "2,ed,a.nii.gz,,acdc", f"3,ed,{'n' * 400},x,acdc", f"4,ed,{pair}"
    )
    *bad, good = read_cohort(path).cases
    assert [[issue.field for issue in ref.issues] for ref in bad] == [
        ["cine_ed.image"], ["cine_ed.mask"], ["cine_ed.image", "cine_ed.mask"],
    ]  # fmt: skip
    for ref in bad:
        with pytest.raises(CaseRefusedError, match="does not exist|names no mask"):
            ref.load()
    good.load()


def test_messages_of_a_case_never_hold_a_path(tmp_path):
    secret = tmp_path / "Doe_John_1970"
    path = manifest(secret, "1,ed,gone.nii,a_gt.nii.gz,acdc", "2,ed,bad.nii,a_gt.nii.gz,acdc")
    (secret / "bad.nii").write_bytes(b"x")
    for ref in read_cohort(path).cases:
        with pytest.raises(CaseRefusedError) as caught:
            ref.load()
        assert "Doe" not in str([str(issue) for issue in caught.value.issues])


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (HEAD.replace("labels", "label"), "lacks the column 'labels'.*Is it the column 'label'"),
        ("name,phase,image,mask,labels", "lacks the column 'patient_id'"),
        (HEAD.replace("phase", "Image"), "lacks the column 'phase'"),
    ],
)
def test_columns_that_are_missing(tmp_path, head, match):
    aborted(manifest(tmp_path, "1,ed,a.nii.gz,a_gt.nii.gz,acdc", head=head), match)


def test_columns_without_or_with_the_same_name(tmp_path):
    row = "1,ed,a.nii.gz,a_gt.nii.gz,acdc,x,y"
    aborted(manifest(tmp_path, row, head=f"{HEAD},b,b"), "column 'b' occurs more than once")
    aborted(manifest(tmp_path, row, head=f"{HEAD},sex,SEX"), "column 'sex' occurs more than once")
    aborted(manifest(tmp_path, row, head=f"{HEAD},b,"), "column 7 has no name")
    aborted(manifest(tmp_path, '1,ed,"a,b'), "line 2: unexpected end of data")


def test_phase_is_ed_or_es(tmp_path):
    aborted(
        manifest(tmp_path, "1,diastole,a.nii.gz,a_gt.nii.gz,acdc"), "line 2: phase is 'diastole', expected ed or es"
    )


def test_columns_nearly_known_are_pointed_out(tmp_path):
    head = f"{HEAD},height,gender,hieght_cm,nyha_class"
    cohort = read_cohort(manifest(tmp_path, "1,ed,a.nii.gz,a_gt.nii.gz,acdc,184,F,184,2", head=head))
    assert [(issue.code, issue.field) for issue in cohort.issues] == [
        ("W_EXTRA_COLUMNS", "height"), ("W_EXTRA_COLUMNS", "gender"), ("W_EXTRA_COLUMNS", "hieght_cm"),
    ]  # fmt: skip


# --- labels


@pytest.mark.parametrize(
    "text", ["acdc", " ACDC ", "rv_cavity=1;lv_myocardium=2;lv_cavity=3", "lv_cavity=3 lv_myocardium=2,rv_cavity=1"]
)
def test_labels_of_a_manifest(text):
    assert parse_labels(text, case="1") == dict(LABELS_ACDC)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "never guessed"),
        ("acd", "region 'acd'.*Did you mean 'acdc'"),
        ("lv_cavty=1", "Did you mean 'lv_cavity'"),
        ("lv_cavity=x", "the number 'x'"),
        ("lv_cavity=0", "the number '0'"),
        ("lv_cavity=1;rv_cavity=1", "used once"),
        ("qqq=1", "Known: acdc, mnms, lv_cavity"),
    ],
)
def test_labels_that_cannot_be_understood_abort(text, match):
    with pytest.raises(CohortError, match=match):
        parse_labels(text, case="1")


def test_labels_round_trip():
    for labels in (LABELS_ACDC, LABELS_MNMS, {"lv_cavity": 500, "lv_myocardium": 205, "rv_cavity": 600}):
        assert parse_labels(format_labels(labels), case="1") == dict(labels)


def test_mixed_conventions_are_said(tmp_path):
    path = manifest(tmp_path, "1,ed,a.nii.gz,a_gt.nii.gz,acdc", "2,ed,a.nii.gz,a_gt.nii.gz,mnms")
    said = read_cohort(path).label_convention
    assert "1 RV cavity, 2 LV myocardium, 3 LV cavity in 1 cases (ACDC order" in said
    assert "1 LV cavity, 2 LV myocardium, 3 RV cavity in 1 cases (M&Ms order" in said


# --- recognition


def test_what_is_no_cohort(tmp_path):
    aborted(tmp_path / "no", "There is no cohort 'no'")
    aborted(tmp_path, "not a cohort in a layout that is known.*Expected patientNNN")
    (tmp_path / "x.txt").write_text("x")
    aborted(tmp_path / "x.txt", "does not end in .csv")
    acdc_case(tmp_path / "training", 1)
    aborted(tmp_path, "Did you mean its folder 'training'")


def test_two_layouts_in_one_folder_abort(tmp_path):
    acdc_case(tmp_path, 1)
    manifest(tmp_path, "1,ed,a.nii.gz,a_gt.nii.gz,acdc")
    aborted(tmp_path, "more than one way: manifest.csv, patient folders in ACDC layout")


def test_a_folder_that_cannot_be_listed_aborts(tmp_path, monkeypatch):
    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", denied)
    aborted(tmp_path, "cannot be read: Permission denied")


def test_case_by_identifier(tmp_path):
    acdc_case(tmp_path, 1)
    cohort = read_cohort(tmp_path)
    assert cohort.case("patient001") is cohort.cases[0]
    with pytest.raises(UsageError, match="no patient 'patient1'.*Did you mean 'patient001'"):
        cohort.case("patient1")


# --- writing


def made(patient_id, seed=0, *, labels=LABELS_ACDC, **clinical):
    rng = np.random.default_rng(seed)
    images = {("cine", p): Image(rng.normal(size=(4, 5, 3)).astype("f4"), AFFINE) for p in ("ed", "es")}
    masks = {key: LabelMap(rng.integers(0, 4, (4, 5, 3)).astype("u1"), AFFINE, True, labels) for key in images}
    return Case(patient_id, images, masks, clinical, simulated=True)


def test_written_cohort_reads_back(tmp_path):
    cases = [
        made("007", 1, sex="F", age_y=61.25, site="1", diagnosis="=HYPERLINK(1)", height_cm=None),
        made("NA", 2, diagnosis="DCM", note="a,b;c"),
    ]
    path = write_manifest_cohort(iter(cases), tmp_path / "out")
    assert path == tmp_path / "out" / "manifest.csv"
    cohort = read_cohort(path)
    assert [ref.patient_id for ref in cohort.cases] == ["007", "NA"]
    for ref, case in zip(cohort.cases, cases, strict=True):
        back = ref.load()
        assert back.simulated
        assert back.clinical == {name: value for name, value in case.clinical.items() if value is not None}
        for key in case.images:
            np.testing.assert_array_equal(back.images[key].array, case.images[key].array)
            np.testing.assert_array_equal(back.masks[key].array, case.masks[key].array)
            np.testing.assert_allclose(back.images[key].affine, AFFINE)
    cells = [cell for line in path.read_text().splitlines() for cell in line.split(",")]
    assert not any(cell.startswith("=") for cell in cells)


def test_written_cohort_is_the_same_twice(tmp_path):
    for name in ("a", "b"):
        write_manifest_cohort([made("1", 1, sex="F")], tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 5
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_writing_unsafe_identifiers_or_mixed_labels_is_refused(tmp_path):
    with pytest.raises(CaseError, match="holds '/'") as caught:
        write_manifest_cohort([made("../1")], tmp_path / "out")
    assert caught.value.code == "E_PATH"
    mixed = made("1")
    mixed.masks["cine", "es"].__dict__["labels"] = LABELS_MNMS
    with pytest.raises(UsageError, match="different label numbers: acdc and mnms"):
        write_manifest_cohort([mixed], tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_manifest_cohort([made("1")], tmp_path / "file")
    assert list(tmp_path.rglob("*.nii.gz")) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes_as_a_manifest_abort_with_a_code(tmp_path, data):
    (tmp_path / "m.csv").write_bytes(HEAD.encode() + b"\n" + data)
    try:
        read_cohort(tmp_path / "m.csv")
    except CohortError as error:
        assert error.code in {"E_COHORT", "E_DUPLICATE_ID"}  # noqa: PT017


def test_a_mask_stored_in_another_order_is_turned_to_its_image(tmp_path):
    save_pair(tmp_path)
    labels = np.arange(36, dtype="u1").reshape(3, 4, 3) % 4
    turned = AFFINE @ np.array([[0, -1, 0, 2], [1, 0, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1.0]])  # j, -i, -k
    write_image(tmp_path / "a_gt.nii.gz", Image(labels.transpose(1, 0, 2)[:, ::-1, ::-1], turned))
    case = read_cohort(manifest(tmp_path, "1,ed,a.nii.gz,a_gt.nii.gz,acdc")).cases[0].load()
    mask = case.masks["cine", "ed"]
    np.testing.assert_array_equal(mask.array, labels)
    np.testing.assert_allclose(mask.affine, AFFINE)
