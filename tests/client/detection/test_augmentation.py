import torch

from client.detection.augmentation import augmented

SIDE = 64


def picture(box: tuple[int, int, int, int]) -> torch.Tensor:
    pixels = torch.full((3, SIDE, SIDE), 114 / 255)
    x0, y0, x1, y1 = box
    pixels[:, y0:y1, x0:x1] = 1.0
    return pixels


def test_boxes_move_as_the_picture_does():
    generator = torch.Generator().manual_seed(0)
    places = set()
    for _ in range(40):
        changed, boxes = augmented(picture((20, 24, 36, 34)), torch.tensor([[20.0, 24.0, 36.0, 34.0]]), generator)
        background, lesion = changed[0].median(), changed[0].max()
        rows, columns = torch.nonzero(changed[0] > (background + lesion) / 2, as_tuple=True)
        bright = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert torch.allclose(boxes[0], torch.stack(bright).float(), atol=1.0)
        places.add(tuple(boxes[0].round().int().tolist()))
    assert len(places) > 30


def test_a_lesion_that_leaves_the_picture_is_none():
    edge, left = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        _, boxes = augmented(picture((0, 0, 2, 2)), edge, generator)
        left += len(boxes) == 0
        assert (boxes >= 0).all()
        assert (boxes <= SIDE).all()
    assert 10 < left < 50


def test_the_same_seed_gives_the_same_pixels_and_the_original_stays():
    box = torch.tensor([[20.0, 24.0, 36.0, 34.0]])
    original = picture((20, 24, 36, 34))
    before = original.clone()
    first, second = (augmented(original, box, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert torch.equal(original, before)
    assert box.tolist() == [[20.0, 24.0, 36.0, 34.0]]
