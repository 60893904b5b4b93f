import pickle

import pytest

from radiocard import errors
from radiocard.errors import CODES, CaseRefusedError, GeometryError, Issue, RadiocardError


def all_error_classes(cls=RadiocardError):
    return [cls, *(c for sub in cls.__subclasses__() for c in all_error_classes(sub))]


def test_every_class_has_a_known_default_code_and_an_exit_code():
    for cls in all_error_classes():
        assert cls.default_code in CODES
        assert cls.exit_code in {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("name", "builtin"),
    [("SpecError", ValueError), ("ReadError", OSError), ("MissingExtraError", ImportError), ("OutputError", OSError)],
)
def test_each_class_is_also_the_builtin_a_caller_expects(name, builtin):
    assert issubclass(getattr(errors, name), builtin)


def test_message_says_what_where_and_what_to_check():
    error = GeometryError("Affines differ.", case="C0042", field="cine_ed.mask", hint="Check the series.")
    assert str(error) == "E_GEOMETRY: Affines differ. [case C0042, cine_ed.mask] Check the series."


def test_errors_survive_the_way_back_from_a_worker_process():
    error = pickle.loads(pickle.dumps(GeometryError("x", code="E_NDIM", case="1")))
    assert (error.code, error.issue.case) == ("E_NDIM", "1")
    refused = CaseRefusedError([Issue("W_PHASE", "a"), Issue("E_EMPTY_ROI", "b", "7")])
    again = pickle.loads(pickle.dumps(refused))
    assert [i.code for i in again.issues] == ["W_PHASE", "E_EMPTY_ROI"]
    assert again.code == "E_EMPTY_ROI"


def test_an_unknown_code_is_a_bug():
    with pytest.raises(KeyError, match="Unknown issue code 'E_TYPO'"):
        Issue("E_TYPO", "x")
