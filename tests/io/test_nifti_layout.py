import nibabel as nib
import numpy as np
import pytest

from radiocard.io.nifti_layout import Header

CLASSES = {1: nib.Nifti1Header, 2: nib.Nifti2Header}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", CLASSES)
def test_fields_and_transforms_are_those_of_nibabel(nifti, version, order):
    rng = np.random.default_rng(version)
    for _ in range(100):
        quatern = rng.normal(size=3)
        quatern *= rng.choice([0.0, rng.uniform(), 1.0]) / np.linalg.norm(quatern) * (1 - 1e-6)
        data = nifti.build(
            affine=rng.normal(size=(4, 4)),
            version=version,
            order=order,
            slope=2.5,
            inter=-7.0,
            qform_code=2,
            quatern=quatern,
            qoffset=rng.normal(size=3),
            pixdim=[rng.choice([1, -1]), *rng.uniform(0.5, 9, 3), 1, 1, 1, 1],
        )[: 348 if version == 1 else 540]
        ours, theirs = Header(data, order), CLASSES[version](data, endianness=order, check=False)
        for name in ("dim", "datatype", "pixdim", "vox_offset", "scl_slope", "scl_inter", "xyzt_units"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        for name in ("qform_code", "sform_code", "magic"):
            assert ours[name] == theirs[name]
        np.testing.assert_array_equal(ours.sform(), theirs.get_sform())
        np.testing.assert_array_equal(ours.centred(), theirs.get_base_affine())
        np.testing.assert_allclose(ours.qform(), theirs.get_qform(), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"quatern": [1, 1, 1]}, "w2 should be positive, but is -2"),
        ({"pixdim": [1, -1.5, 1, 8, 1, 1, 1, 1]}, "should be positive"),
        ({"pixdim": [2, 1.5, 1, 8, 1, 1, 1, 1]}, "should be 1 or -1"),
    ],
)
def test_what_is_no_rotation_is_refused(nifti, fields, match):
    with pytest.raises(ValueError, match=match):
        Header(nifti.build(**fields)[:348], "<").qform()


def test_handedness_0_counts_as_1(nifti):
    pixdim = [0, 1.5, 1.25, 8, 1, 1, 1, 1]
    found = Header(nifti.build(pixdim=pixdim)[:348], "<").qform()
    np.testing.assert_array_equal(found, np.diag([1.5, 1.25, 8.0, 1.0]))
