import json

import pandas as pd
import pytest

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.lock import locks_beside, make_lock, open_lock, read_lock, refuse_locked


def make_table(ids=("a", "b", "c"), digests=("11-12", "21-22", None)):
    return pd.DataFrame({"image_sha256": list(digests)}, index=pd.Index(ids, name="patient_id"))


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "test.lock.json"
    make_lock(make_table(), path)
    return path


def test_a_lock_names_nobody_and_knows_its_patients_by_identifier_or_image(lock):
    text = lock.read_text()
    assert '"a"' not in text
    assert '"11"' not in text
    held = read_lock(lock)
    assert held.holds(make_table()) == ["a", "b", "c"]
    assert held.holds(make_table(("x", "y", "b"), ("12-99", "98-99", "97"))) == ["x", "b"]
    assert held.holds(make_table(("x",), (None,))) == []
    assert held.holds(make_table().drop(columns="image_sha256")) == ["a", "b", "c"]
    assert held.record() == ["Locked test set of 3 patients, opened never."]


def test_every_opening_is_counted_and_told(lock):
    assert open_lock(lock, make_table(), model_id="m" * 64, reason="the final test") == 1
    assert open_lock(lock, make_table(("a", "z", "y"), (None,) * 3), model_id="n" * 64, reason=" again ") == 2
    told = read_lock(lock).record()
    assert told[0] == "Locked test set of 3 patients, opened 2 times."
    assert told[1].endswith("model mmmmmmmmmmmm, 3 patients, because: the final test")
    assert told[2].endswith("model nnnnnnnnnnnn, 1 patients, because: again")


def test_a_table_with_locked_patients_is_refused(lock):
    assert locks_beside(lock.parent / "table.parquet") == [lock]
    with pytest.raises(LeakError, match=r"1 of 2 patients .* locked test set 'test.lock.json', for example 'b'"):
        refuse_locked(make_table(("z", "b"), (None, None)), [lock])
    refuse_locked(make_table(("z",), (None,)), [lock])
    refuse_locked(make_table(), [])


def test_openings_that_mean_nothing_are_refused(lock, tmp_path):
    with pytest.raises(UsageError, match="No reason is given"):
        open_lock(lock, make_table(), model_id="m", reason="  ")
    with pytest.raises(UsageError, match="No patient of the table belongs to the locked test set"):
        open_lock(lock, make_table(("z",), (None,)), model_id="m", reason="final")
    assert read_lock(lock).openings == ()
    with pytest.raises(UsageError, match="already a lock 'test.lock.json'"):
        make_lock(make_table(), lock)
    with pytest.raises(UsageError, match=r"does not end in .lock.json"):
        make_lock(make_table(), tmp_path / "lock.json")
    with pytest.raises(UsageError, match="no patient to lock"):
        make_lock(make_table((), ()), tmp_path / "e.lock.json")


@pytest.mark.parametrize("change", ["reason", "first", "patients"])
def test_a_changed_record_is_refused(lock, change):
    for reason in ("one", "two"):
        open_lock(lock, make_table(), model_id="m", reason=reason)
    data = json.loads(lock.read_text())
    if change == "reason":
        data["openings"][1]["reason"] = "other"
    elif change == "first":
        del data["openings"][0]
    else:
        data["patients"].pop()
    lock.write_text(json.dumps(data))
    with pytest.raises(CohortError, match=r"opening \d of \d is not as it was written"):
        read_lock(lock)


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "radiocard/table/1"}', "[]"])
def test_what_is_no_lock_is_not_read(tmp_path, text):
    path = tmp_path / "x.lock.json"
    path.write_text(text)
    with pytest.raises(CohortError, match="x.lock.json is not a readable lock"):
        read_lock(path)
