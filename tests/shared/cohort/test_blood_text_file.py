import numpy as np

from shared.cohort.blood_text_file import TextFeatures, read_text_features, write_text_features


def three() -> TextFeatures:
    features = np.array([[1, 2], [0, 0], [3, 4]], dtype=np.float32)
    return TextFeatures(features, ("aa", "", "bb"), ("k0", "k1", "k2"))


def test_round_trip_and_equal_bytes(tmp_path):
    write_text_features(tmp_path / "one.h5", three())
    write_text_features(tmp_path / "two.h5", three())
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    read = read_text_features(tmp_path / "one.h5")
    np.testing.assert_array_equal(read.features, three().features)
    assert read.features.dtype == np.float32
    assert (read.text_sha256, read.keys) == (("aa", "", "bb"), ("k0", "k1", "k2"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.h5", "two.h5"]


def test_present_and_take():
    text = three()
    np.testing.assert_array_equal(text.present, [True, False, True])
    kept = text.take(np.array([False, True, True]))
    np.testing.assert_array_equal(kept.features, [[0, 0], [3, 4]])
    assert (kept.text_sha256, kept.keys) == (("", "bb"), ("k1", "k2"))


def test_no_patient(tmp_path):
    write_text_features(tmp_path / "none.h5", three().take(np.zeros(3, dtype=bool)))
    assert read_text_features(tmp_path / "none.h5").features.shape == (0, 2)
