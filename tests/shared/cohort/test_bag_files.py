import numpy as np
import pytest

from shared.cohort.bag_files import (
    bag_is_whole,
    drafting_bag,
    read_bag,
    read_bag_attributes,
    read_bag_coords,
    write_bag,
)


def rows(first, count):
    numbers = np.arange(first, first + count)
    return np.repeat(numbers[:, None], 3, 1).astype(np.float32), np.stack([numbers, 2 * numbers], 1)


def test_what_is_appended_is_read_back_in_order(tmp_path):
    path = tmp_path / "s.h5"
    with drafting_bag(path, dim=3, most=200) as bag:
        for first in range(0, 150, 50):
            bag.append(*rows(first, 50))
        assert len(bag) == 150
        assert bag.coords[-1].tolist() == [149, 298]
        bag.describe({"encoder": "e", "mpp": 0.5, "tile": 64})
        assert not path.exists()
    assert read_bag(path)[:, 0].tolist() == list(range(150))
    assert read_bag_coords(path)[:, 1].tolist() == list(range(0, 300, 2))
    assert read_bag_attributes(path) == {"encoder": "e", "mpp": 0.5, "tile": 64, "patches": 150, "complete": 1}
    assert bag_is_whole(path)


def test_equal_bags_have_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_bag(tmp_path / name, *rows(0, 70), {"b": 1, "a": "x"} if name == "one" else {"a": "x", "b": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def half_a_bag(path):
    with drafting_bag(path, 3, 10) as bag:
        bag.append(*rows(5, 4))
        raise ValueError("features of 4 tiles and no more")


def test_a_failure_leaves_the_earlier_file_and_no_draft(tmp_path):
    path = tmp_path / "s.h5"
    write_bag(path, *rows(0, 2), {})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="features of 4"):
        half_a_bag(path)
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5"]
    assert path.read_bytes() == before


def test_every_flipped_bit_of_a_feature_is_noticed(tmp_path):
    path = tmp_path / "s.h5"
    write_bag(path, *rows(0, 8), {})
    whole = path.read_bytes()
    start = whole.index(rows(0, 8)[0].tobytes())
    for at in (start, start + 50, start + 95):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert not bag_is_whole(path)
        assert read_bag_attributes(path)["complete"] == 1


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_foreign_files_are_no_bags(tmp_path, content):
    path = tmp_path / "s.h5"
    path.write_bytes(content)
    assert read_bag_attributes(path) == {}
    assert not bag_is_whole(path)


def test_a_file_that_broke_off_is_no_bag(tmp_path):
    path = tmp_path / "s.h5"
    write_bag(path, *rows(0, 500), {})
    path.write_bytes(path.read_bytes()[:3000])
    assert not bag_is_whole(path)
    assert read_bag_attributes(tmp_path / "none.h5") == {}
