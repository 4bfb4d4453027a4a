import errno
import resource

import numpy as np
import pytest

from shared.cohort.hdf5_draft import writing_hdf5


@pytest.fixture
def little_room():
    """No file may grow beyond 100 kB, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_has_no_room_is_an_oserror_and_leaves_nothing(tmp_path, little_room):
    path = tmp_path / "t.h5"
    for _ in range(3):  # HDF5 itself would take the process down after the first
        with pytest.raises(OSError) as caught, writing_hdf5(path) as (file, _):
            file["values"] = np.ones(50_000)
        assert caught.value.errno == errno.EFBIG
        assert not list(tmp_path.iterdir())


def test_the_fault_can_be_asked_for_while_writing(tmp_path, little_room):
    drafting = writing_hdf5(tmp_path / "t.h5")
    file, check = drafting.__enter__()
    check()
    file["values"] = np.ones(50_000)
    file.flush()
    with pytest.raises(OSError) as caught:
        check()
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(OSError):
        drafting.__exit__(None, None, None)


def test_what_fits_is_written(tmp_path, little_room):
    with writing_hdf5(tmp_path / "t.h5") as (file, _):
        file["values"] = np.arange(1000)
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]
