import h5py
import numpy as np

from shared.cohort.image_file import Images, read_images, write_images

IMAGES = Images(
    features=np.arange(6, dtype=np.float32).reshape(2, 3),
    boxes=np.array([[0, 0, 10, 20], [1.5, 2, 3, 4]], dtype=np.float32),
    box_found=np.array([False, True]),
    keys=("aa", "aa"),
    image_id=("x-1", "x-2"),
    attributes={"encoder": "resnet18", "dim": 3, "bf16_min_cosine": 0.99975},
)


def test_what_was_written_is_read(tmp_path):
    write_images(tmp_path / "imaging.h5", IMAGES)
    read = read_images(tmp_path / "imaging.h5")
    for name in ("features", "boxes", "box_found"):
        values, expected = getattr(read, name), getattr(IMAGES, name)
        np.testing.assert_array_equal(values, expected)
        assert values.dtype == expected.dtype
    assert (read.keys, read.image_id) == (("aa", "aa"), ("x-1", "x-2"))
    assert read.attributes == {"schema": 1, "encoder": "resnet18", "dim": 3, "bf16_min_cosine": 0.99975}
    assert list(tmp_path.iterdir()) == [tmp_path / "imaging.h5"]


def test_no_images_are_a_file_too(tmp_path):
    none = Images(np.empty((0, 8), np.float32), np.empty((0, 4), np.float32), np.empty(0, bool), (), ())
    write_images(tmp_path / "imaging.h5", none)
    read = read_images(tmp_path / "imaging.h5")
    assert (read.features.shape, read.boxes.shape, read.keys, read.image_id) == ((0, 8), (0, 4), (), ())


def test_the_bytes_depend_on_the_content_alone(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_images(tmp_path / name, IMAGES)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"features", "boxes", "box_found", "keys", "image_id"}
