"""Batches: padding, caps, dropped modalities, zeros for what is absent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.cohort.patients import Patients

MODALITIES = ("slides", "expression", "clinical")


def patients(present: list[list[int]], lengths: list[int] | None = None, max_patches: int = 3) -> Patients:
    """Patient p has features 10 p + 1, 10 p + 2 ... in its bag, genes p + 1, one clinical value p + 1."""
    count, here = len(present), np.array(present, dtype=np.float32)
    lengths = lengths or [2] * count
    rows = np.arange(count, dtype=np.float32)[:, None] + 1
    seen = here > 0
    return Patients(
        site=np.full(count, "A"),
        case_id=np.array([f"P{p}" for p in range(count)]),
        modalities=MODALITIES,
        present=here,
        bags=tuple(
            10 * np.float32(p) + np.arange(1, n * int(here[p, 0]) + 1, dtype=np.float32)[:, None]
            for p, n in enumerate(lengths)
        ),
        max_patches=max_patches,
        expression=rows * seen[:, 1:2] * np.ones(2, np.float32),
        expression_observed=seen[:, 1:2] & np.ones(2, bool),
        aux=rows * seen[:, 1:2],
        aux_observed=seen[:, 1:2].copy(),
        blood=np.zeros((count, 0), np.float32),
        blood_observed=np.zeros((count, 0), bool),
        clinical=rows * seen[:, 2:],
        clinical_observed=seen[:, 2:].copy(),
        y=np.arange(count),
        time=np.zeros(count, np.float32),
        cens=np.zeros(count, np.float32),
    )


THREE = patients([[1, 1, 1], [0, 1, 1], [1, 0, 0]], [2, 0, 5])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_bags_are_padded_and_masked() -> None:
    batch = THREE.batch([0, 1])
    assert batch.slides.tolist() == [[[1.0], [2.0]], [[0.0], [0.0]]]
    assert batch.slides_mask.tolist() == [[True, True], [False, False]]
    assert batch.present.tolist() == [[1, 1, 1], [0, 1, 1]]
    assert batch.expression.tolist() == [[1, 1], [2, 2]]
    assert batch.y.tolist() == [0, 1]
    assert (batch.blood.shape, batch.imaging.shape, len(batch)) == ((2, 0), (2, 0, 0), 2)


def labelled() -> Patients:
    """THREE with two further heads: the first knows the last two patients, the second the first."""
    y = np.array([[-1, 1], [0, -1], [2, -1]])
    time, cens = np.array([[0, 5], [7, 0], [9, 0]], np.float32), np.array([[0, 1], [0, 0], [1, 0]], np.float32)
    return replace(THREE, further_y=y, further_time=time, further_cens=cens)


def test_a_study_of_one_task_has_no_further_labels() -> None:
    assert THREE.further_y.shape == THREE.further_time.shape == (3, 0)
    batch = THREE.batch([0, 2])
    assert (batch.further_y.shape, batch.further_y.dtype) == ((2, 0), torch.int64)
    assert THREE.take([]).batch([]).further_y.shape == (0, 0)


def test_further_labels_go_where_their_patients_go() -> None:
    batch = labelled().take([2, 0]).batch([1, 0], generator=generator(), modality_dropout=0.5)
    assert batch.further_y.tolist() == [[-1, 1], [2, -1]]
    assert batch.further_cens.tolist() == [[0, 1], [1, 0]]
    both = Patients.concatenate([labelled(), labelled().take([1])])
    assert both.further_y.tolist() == [[-1, 1], [0, -1], [2, -1], [0, -1]]
    assert labelled().take([]).batch([]).further_y.shape == (0, 2)
    assert batch.to(torch.device("cpu")).further_y.tolist() == batch.further_y.tolist()


def test_the_patients_of_a_head_have_its_labels() -> None:
    first, second = labelled().of_head(0), labelled().of_head(1)
    assert (first.case_id.tolist(), first.y.tolist(), first.time.tolist()) == (["P1", "P2"], [0, 2], [7, 9])
    assert first.cens.tolist() == [0, 1]
    assert (second.case_id.tolist(), second.y.tolist()) == (["P0"], [1])


def test_a_head_can_be_forgotten() -> None:
    kept = labelled().without_heads(np.array([0]))
    assert kept.further_y.tolist() == [[-1, 1], [-1, -1], [-1, -1]]
    assert labelled().without_heads(np.array([], dtype=np.int64)).further_y.tolist() == labelled().further_y.tolist()


def test_absent_is_zeros() -> None:
    batch = THREE.batch([2])
    assert batch.expression.tolist() == [[0, 0]]
    assert not batch.expression_observed.any()
    assert not batch.aux_observed.any()
    assert batch.clinical.tolist() == [[0]]


def test_an_oversize_bag_is_cut_in_evaluation_and_drawn_in_training() -> None:
    assert THREE.batch([2]).slides.flatten().tolist() == [21, 23, 25]  # spread over all slides
    drawn = [frozenset(THREE.batch([2], generator=generator(seed)).slides.flatten().tolist()) for seed in range(20)]
    assert all(len(bag) == 3 and bag <= {21, 22, 23, 24, 25} for bag in drawn)
    assert len(set(drawn)) > 3
    assert THREE.batch([0], generator=generator()).slides.flatten().tolist() == [1, 2]


def test_the_same_generator_gives_the_same_batch() -> None:
    one, two = (THREE.batch([0, 1, 2], generator=generator(7), modality_dropout=0.5) for _ in range(2))
    assert all(torch.equal(value, vars(two)[name]) for name, value in vars(one).items())


@given(seed=st.integers(0, 2**32), p=st.floats(0.01, 0.99))
def test_dropping_modalities_never_drops_all_and_adds_none(seed: int, p: float) -> None:
    batch = THREE.batch([0, 1, 2], generator=generator(seed), modality_dropout=p)
    assert (batch.present.sum(1) >= 1).all()
    assert (batch.present <= torch.from_numpy(THREE.present)).all()
    gone = batch.present == 0
    assert not batch.slides[gone[:, 0]].any()
    assert not batch.slides_mask[gone[:, 0]].any()
    for table, column in (("expression", 1), ("aux", 1), ("clinical", 2)):
        assert not getattr(batch, table)[gone[:, column]].any()
        assert not getattr(batch, f"{table}_observed")[gone[:, column]].any()
        kept = ~gone[:, column]
        assert torch.equal(getattr(batch, table)[kept], torch.from_numpy(getattr(THREE, table))[kept])


def test_modalities_are_dropped_as_often_as_asked() -> None:
    many = patients([[1, 1, 1]] * 4000)
    present = many.batch(range(4000), generator=generator(), modality_dropout=0.3).present
    # all three are drawn to be dropped with .3^3 = .027, and then one of the three is spared
    assert present.mean(0).tolist() == pytest.approx([0.709] * 3, abs=0.03)
    spared = many.batch(range(4000), generator=generator(), modality_dropout=0.999).present
    assert spared.sum(1).max() <= 2
    assert spared.mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_evaluation_drops_nothing() -> None:
    assert torch.equal(THREE.batch([0], modality_dropout=0.9).present, torch.ones(1, 3))


def test_only_takes_the_other_modalities_away() -> None:
    kept = THREE.only(["clinical"])
    assert kept.present.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert [bag.shape for bag in kept.bags] == [(0, 1)] * 3
    assert not kept.expression.any()
    assert not kept.aux_observed.any()
    np.testing.assert_array_equal(kept.clinical, THREE.clinical)
    assert kept.batch([0, 1]).slides.shape == (2, 0, 1)
    assert THREE.only(MODALITIES).present.tolist() == THREE.present.tolist()


def test_take_and_concatenate() -> None:
    back = THREE.take([2, 0])
    assert (back.case_id.tolist(), [len(bag) for bag in back.bags]) == (["P2", "P0"], [5, 2])
    assert THREE.take(np.array([False, True, False])).case_id.tolist() == ["P1"]
    both = Patients.concatenate([THREE.take([0]), back])
    assert both.case_id.tolist() == ["P0", "P2", "P0"]
    assert [len(bag) for bag in both.bags] == [2, 5, 2]
    assert len(THREE.take([])) == 0


def test_patients_are_counted_by_modality() -> None:
    assert [THREE.count(name) for name in MODALITIES] == [2, 2, 2]
    assert THREE.only(["slides"]).count("expression") == 0


IMAGED = Patients(
    **{
        **{name: value for name, value in vars(THREE).items() if name not in ("modalities", "present", "images")},
        "modalities": ("slides", "expression", "imaging", "clinical"),
        "present": np.array([[1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]], dtype=np.float32),
        "images": (
            np.array([[1, 1]], np.float32),
            np.zeros((0, 2), np.float32),
            np.array([[5, 0], [6, 1], [7, 1]], np.float32),
        ),
        "max_images": 2,
    }
)


def test_images_are_padded_and_the_first_ones_used() -> None:
    batch = IMAGED.batch([0, 1, 2], generator=generator())
    assert batch.imaging.tolist() == [[[1, 1], [0, 0]], [[0, 0], [0, 0]], [[5, 0], [6, 1]]]
    assert batch.imaging_mask.tolist() == [[True, False], [False, False], [True, True]]
    assert THREE.batch([0]).imaging.shape == (1, 0, 0)


def test_images_follow_their_patients() -> None:
    back = IMAGED.take([2, 0])
    assert [len(image) for image in back.images] == [3, 1]
    both = Patients.concatenate([back, IMAGED.take([1])])
    assert [len(image) for image in both.images] == [3, 1, 0]
    assert both.batch([1]).imaging.tolist() == [[[1, 1]]]


def test_images_are_taken_away() -> None:
    kept = IMAGED.only(["slides", "clinical"])
    assert [image.shape for image in kept.images] == [(0, 2)] * 3
    assert kept.batch([0, 2]).imaging.shape == (2, 0, 2)
    for seed in range(20):
        batch = IMAGED.batch([0, 2], generator=generator(seed), modality_dropout=0.5)
        gone = batch.present[:, 2] == 0
        assert not batch.imaging[gone].any()
        assert not batch.imaging_mask[gone].any()
        assert batch.imaging_mask[~gone].any(dim=1).all()
