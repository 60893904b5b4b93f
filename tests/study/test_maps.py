"""Single maps: fitted series with a known answer, ECV in closed form, alignment that fails loudly."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from radiocard.cardiac.ecv import Haematocrit
from radiocard.errors import CaseRefusedError, CohortError, GeometryError, ReadError, UsageError
from radiocard.image import LABELS_ACDC, Image, LabelMap, turned
from radiocard.io.map_files import write_map
from radiocard.simulate.maps import simulate_map_patient
from radiocard.study.maps import (
    KINDS,
    align_maps,
    ecv_from_maps,
    fit_map,
    haematocrit_of_pct,
    measure_map,
    named_values,
    read_mask,
    write_fitted,
)

AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])
MOLLI_MS = np.array([100.0, 180.0, 1000.0, 1080.0, 1900.0, 1980.0, 2800.0, 3700.0])
SASHA_MS = np.array([150.0, 300.0, 450.0, 600.0, 900.0, 1200.0, 1600.0, 2200.0])
PREPARED_MS = np.array([0.0, 25.0, 35.0, 55.0, 80.0, 120.0])
ECHO_MS = np.arange(1, 9) * 10.0
STAR_MS = np.arange(1, 9) * 2.5
T1 = np.linspace(300.0, 1800.0, 24).reshape(6, 4, 1, 1)
T2 = np.linspace(30.0, 90.0, 24).reshape(6, 4, 1, 1)
T2_STAR = np.linspace(8.0, 40.0, 24).reshape(6, 4, 1, 1)


def molli(t):
    """Three parameters A, B, T1*, whose corrected T1 is T1* (B / A - 1); B / A is 1.9."""
    return np.abs(500.0 * (1.0 - 1.9 * np.exp(-t * 0.9 / T1)))


CURVES = {
    "molli": (MOLLI_MS, molli, T1),
    "sasha-2": (SASHA_MS, lambda t: 500.0 * (1 - np.exp(-t / T1)), T1),
    "sasha-3": (SASHA_MS, lambda t: 500.0 * (1 - 0.9 * np.exp(-t / T1)), T1),
    "t2-prepared": (PREPARED_MS, lambda t: 500.0 * np.exp(-t / T2), T2),
    "t2-prepared-offset": (PREPARED_MS, lambda t: 500.0 * np.exp(-t / T2) + 60.0, T2),
    "spin-echo": (ECHO_MS, lambda t: np.where(t == ECHO_MS[0], 300.0, 500.0 * np.exp(-t / T2)), T2),
    "t2-star": (STAR_MS, lambda t: 500.0 * np.exp(-t / T2_STAR), T2_STAR),
}


def series(folder, array):
    """Write a four-dimensional file with nibabel alone."""
    path = folder / "series.nii.gz"
    image = nibabel.Nifti1Image(np.asarray(array, dtype="f8"), AFFINE)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 1.0
    nibabel.save(image, path)
    return path


# --- fit


def test_every_method_has_a_curve():
    assert set(CURVES) == set(KINDS)


@pytest.mark.parametrize("method", list(CURVES))
def test_a_series_without_noise_gives_its_relaxation_time(method, tmp_path):
    times, curve, expected = CURVES[method]
    found = fit_map(series(tmp_path, curve(times)), method=method, times_ms=times)
    assert found.image.array.shape == (6, 4, 1)
    np.testing.assert_allclose(found.image.array[..., 0], expected[..., 0, 0], rtol=1e-3)
    np.testing.assert_allclose(found.image.affine, AFFINE)
    assert found.times_ms == tuple(times)
    assert found.trusted_pct == 100.0
    assert found.counts == {}
    assert found.residual.array.max() < 1e-3


def test_pixels_without_signal_are_not_fitted_and_counted(tmp_path):
    array = molli(MOLLI_MS)
    array[0, 0] = 1.0
    found = fit_map(series(tmp_path, array), method="molli", times_ms=MOLLI_MS, min_signal=10.0)
    assert np.isnan(found.image.array[0, 0, 0])
    assert np.isfinite(found.image.array).sum() == 23
    assert sum(found.counts.values()) == 1
    assert found.trusted_pct == 100.0


def test_times_from_a_sidecar_are_in_seconds(tmp_path):
    path = series(tmp_path, molli(MOLLI_MS))
    (tmp_path / "series.json").write_text(json.dumps({"InversionTime": (MOLLI_MS / 1000).tolist()}))
    found = fit_map(path, method="molli", sidecar=tmp_path / "series.json")
    np.testing.assert_allclose(found.image.array[..., 0], T1[..., 0, 0], rtol=1e-3)


def test_unknown_method_and_missing_times_are_refused_by_name(tmp_path):
    path = series(tmp_path, molli(MOLLI_MS))
    with pytest.raises(UsageError, match="There is no method 'moli', expected one of molli, sasha-2"):
        fit_map(path, method="moli", times_ms=MOLLI_MS)
    with pytest.raises(ReadError, match="does not state the times"):
        fit_map(path, method="molli")


def test_three_files_are_written(tmp_path):
    found = fit_map(series(tmp_path, molli(MOLLI_MS)), method="molli", times_ms=MOLLI_MS)
    paths = write_fitted(found, tmp_path / "t1.nii.gz")
    assert [p.name for p in paths] == ["t1.nii.gz", "t1_residual.nii.gz", "t1_reasons.nii.gz"]
    np.testing.assert_allclose(nibabel.load(paths[0]).get_fdata()[..., 0], T1[..., 0, 0], rtol=1e-3)
    np.testing.assert_array_equal(nibabel.load(paths[2]).get_fdata(), 0)


# --- ECV


def discs():
    """A ring of muscle around blood on three slices, RV beside it."""
    i, j = np.mgrid[:64, :64]
    plane = np.zeros((64, 64), "u1")
    plane[np.hypot(i - 30, j - 44) <= 11] = 1
    plane[np.hypot(i - 30, j - 26) <= 17] = 2
    plane[np.hypot(i - 30, j - 26) <= 11] = 3
    return LabelMap(np.repeat(plane[:, :, None], 3, axis=2), AFFINE, True, LABELS_ACDC)


def painted(mask, *, muscle, blood, background):
    array = np.full(mask.array.shape, background)
    array[mask.mask("lv_myocardium")] = muscle
    array[mask.mask("lv_cavity") | mask.mask("rv_cavity")] = blood
    return Image(array, mask.affine, True)


@pytest.fixture
def pair(tmp_path):
    """Two maps whose ECV follows from four numbers, and the mask."""
    mask = discs()
    write_map(painted(mask, muscle=1000.0, blood=1800.0, background=400.0), tmp_path / "native.nii.gz")
    write_map(painted(mask, muscle=450.0, blood=350.0, background=380.0), tmp_path / "post.nii.gz")
    return tmp_path / "native.nii.gz", tmp_path / "post.nii.gz", mask


EXPECTED_PCT = 100 * (1 - 0.42) * (1 / 450 - 1 / 1000) / (1 / 350 - 1 / 1800)


def test_ecv_in_closed_form(pair):
    native, post, mask = pair
    image, found = ecv_from_maps(native, post, mask, haematocrit=haematocrit_of_pct(42), align=False)
    np.testing.assert_allclose(image.array[mask.mask("lv_myocardium")], EXPECTED_PCT, rtol=1e-6)
    np.testing.assert_allclose(image.array[mask.mask("lv_cavity")], 58.0, rtol=1e-6)
    assert (found.blood.native_ms, found.blood.post_ms) == pytest.approx((1800.0, 350.0))


def test_ecv_of_maps_in_seconds_needs_their_unit(pair, tmp_path):
    native, post, mask = pair
    for path in (native, post):
        image = nibabel.load(path)
        write_map(Image(image.get_fdata() / 1000, AFFINE, True), tmp_path / f"s_{path.name}")
    seconds = [tmp_path / f"s_{path.name}" for path in (native, post)]
    image, _ = ecv_from_maps(*seconds, mask, haematocrit=Haematocrit(0.42), unit="s", align=False)
    np.testing.assert_allclose(image.array[mask.mask("lv_myocardium")], EXPECTED_PCT, rtol=1e-6)
    with pytest.raises(UsageError, match="seconds"):
        ecv_from_maps(*seconds, mask, haematocrit=Haematocrit(0.42), align=False)


def test_exchanged_maps_and_impossible_haematocrit_are_refused(pair):
    native, post, mask = pair
    with pytest.raises(UsageError, match="expected a drop"):
        ecv_from_maps(post, native, mask, haematocrit=Haematocrit(0.42), align=False)
    with pytest.raises(UsageError, match="Haematocrit is 0.42 %, expected 10 to 75 %.*42, not 0.42"):
        haematocrit_of_pct(0.42)
    assert haematocrit_of_pct(42).fraction == pytest.approx(0.42)


def test_maps_on_different_grids_are_refused_where_they_are_not_to_be_aligned(pair, tmp_path):
    native, post, mask = pair
    moved = AFFINE.copy()
    moved[0, 3] = 1.5
    write_map(Image(nibabel.load(post).get_fdata(), moved, True), tmp_path / "moved.nii.gz")
    with pytest.raises(CaseRefusedError, match="different grids: their corners are 1 voxels apart"):
        ecv_from_maps(native, tmp_path / "moved.nii.gz", mask, haematocrit=Haematocrit(0.42), align=False)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """Maps of a simulated patient; the post-contrast image content is moved by 4 and -3 pixels."""
    folder = tmp_path_factory.mktemp("shifted")
    case = simulate_map_patient("t1-amyloid", "AMYL", 0, seed=77).case
    for name in ("t1_native", "t1_post"):
        write_map(case.images[name, ""], folder / f"{name}.nii.gz")
    post = case.images["t1_post", ""]
    write_map(replace(post, array=np.roll(post.array, (4, -3), axis=(0, 1))), folder / "moved.nii.gz")
    noise = np.random.default_rng(0).normal(400, 30, post.array.shape)
    write_map(replace(post, array=noise), folder / "noise.nii.gz")
    return folder, case


def test_a_known_shift_is_undone(shifted):
    folder, case = shifted
    mask, wall = case.masks["t1_native", ""], case.masks["t1_native", ""].mask("lv_myocardium")
    blood = haematocrit_of_pct(case.clinical["haematocrit_pct"])
    maps = folder / "t1_native.nii.gz", folder / "moved.nii.gz"
    still, _ = ecv_from_maps(
        folder / "t1_native.nii.gz", folder / "t1_post.nii.gz", mask, haematocrit=blood, align=False
    )
    ignored, _ = ecv_from_maps(*maps, mask, haematocrit=blood, align=False)
    undone, _ = ecv_from_maps(*maps, mask, haematocrit=blood, align=True)

    def error(image):
        return float(np.nanmean(np.abs(image.array - still.array)[wall]))

    assert error(undone) < 0.5 * error(ignored)
    assert np.nanmean(undone.array[wall]) == pytest.approx(np.nanmean(still.array[wall]), abs=1.5)


def test_what_cannot_be_aligned_gives_no_ecv(shifted):
    folder, case = shifted
    mask = case.masks["t1_native", ""]
    with pytest.raises(GeometryError, match="could not be aligned to the native one: .*unaligned maps means nothing"):
        ecv_from_maps(folder / "t1_native.nii.gz", folder / "noise.nii.gz", mask, haematocrit=Haematocrit(0.4))


def test_align_maps_moves_back_or_says_why_not(shifted):
    folder, case = shifted
    mask = case.masks["t1_native", ""]
    heart = np.isin(mask.array, [1, 2, 3])
    original = case.images["t1_post", ""].array
    found = align_maps(folder / "t1_post.nii.gz", folder / "moved.nii.gz", contrast="same", mask=mask)
    assert found.succeeded
    assert np.abs(found.moved.array - original)[heart].mean() < 5.0
    upside_down = turned(mask, (0, 1, 2), (False, False, True))
    again = align_maps(folder / "t1_post.nii.gz", folder / "moved.nii.gz", contrast="same", mask=upside_down)
    np.testing.assert_array_equal(again.moved.array, found.moved.array)
    elsewhere = replace(mask, affine=mask.affine + np.array([[0, 0, 0, 9.0], *[[0] * 4] * 3]))
    with pytest.raises(CaseRefusedError, match="E_GEOMETRY"):
        align_maps(folder / "t1_post.nii.gz", folder / "moved.nii.gz", contrast="same", mask=elsewhere)
    lost = align_maps(folder / "t1_native.nii.gz", folder / "noise.nii.gz", contrast="different", mask=mask)
    assert not lost.succeeded
    assert lost.reasons


# --- measure


@pytest.mark.parametrize(
    ("sequence", "value", "column"),
    [("t1_native", 1200.0, "t1_native_ms"), ("t1_post", 450.0, "t1_post_ms"), ("t2", 48.0, "t2_ms"),
     ("t2_star", 30.0, "t2_star_ms"), ("ecv", 27.5, "ecv_pct")],
)  # fmt: skip
def test_every_sequence_is_measured(sequence, value, column, tmp_path):
    mask = discs()
    write_map(painted(mask, muscle=value, blood=1.4 * value, background=value), tmp_path / "map.nii.gz")
    found, _ = measure_map(tmp_path / "map.nii.gz", mask, sequence=sequence)
    assert found.values[column] == pytest.approx(value, rel=1e-6)
    rows = named_values(found.values)
    assert {r["column"] for r in rows} == set(found.values)
    assert rows[0]["column"] == column
    assert rows[0]["unit"] == ("%" if sequence == "ecv" else "ms")
    assert not any(r["column"].startswith(s) for r in rows for s in {"t1_native", "ecv", "t2_ms"} - {sequence, column})


def test_a_map_in_seconds_is_refused_unless_stated(tmp_path):
    mask = discs()
    write_map(painted(mask, muscle=1.2, blood=1.8, background=0.5), tmp_path / "map.nii.gz")
    with pytest.raises(CaseRefusedError, match="looks like seconds") as caught:
        measure_map(tmp_path / "map.nii.gz", mask, sequence="t1_native")
    assert caught.value.code == "E_UNITS"
    assert "case -" not in str(caught.value)
    found, _ = measure_map(tmp_path / "map.nii.gz", mask, sequence="t1_native", unit="s")
    assert found.values["t1_native_ms"] == pytest.approx(1200.0, rel=1e-6)


def test_a_mask_on_another_grid_and_an_unknown_sequence_are_refused(tmp_path):
    mask = discs()
    write_map(painted(mask, muscle=1200.0, blood=1800.0, background=0.0), tmp_path / "map.nii.gz")
    cut = replace(mask, array=mask.array[:, :, :2])
    with pytest.raises(CaseRefusedError, match="Image and mask differ in size"):
        measure_map(tmp_path / "map.nii.gz", cut, sequence="t1_native")
    with pytest.raises(UsageError, match="Sequence 't3' is not one of a map"):
        measure_map(tmp_path / "map.nii.gz", mask, sequence="t3")


def test_the_numbers_of_a_mask_must_be_stated(tmp_path):
    mask = discs()
    write_map(Image(mask.array, AFFINE, True), tmp_path / "mask.nii.gz")
    read = read_mask(tmp_path / "mask.nii.gz", "lv_cavity=3;lv_myocardium=2;rv_cavity=1")
    np.testing.assert_array_equal(read.mask("lv_myocardium"), mask.mask("lv_myocardium"))
    with pytest.raises(CohortError, match="never guessed"):
        read_mask(tmp_path / "mask.nii.gz", "")
