import io

import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.models.encoding import array_bytes, document_bytes


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i8", "|u1"])
@pytest.mark.parametrize("shape", [(1,), (3, 4), (2, 3, 4)])
def test_numpy_reads_our_arrays(dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    found = np.load(io.BytesIO(array_bytes(array)), allow_pickle=False)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x"])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(UsageError, match="not plain data"):
        document_bytes({"a": value})
