"""Score a detector on patients' pictures."""

from collections.abc import Sequence

import torch

from client.detection.pictures import Example
from shared.metrics.detection import Detected, Found
from shared.models.yolo import Yolo

__all__ = ["find_lesions"]

BATCH = 16  # pictures a forward pass


def find_lesions(model: Yolo, examples: Sequence[Example], site: str) -> Detected:
    """What the model finds on the pictures of one site's patients, ordered by case_id, beside what was drawn."""
    cases = sorted({example.case_id for example in examples})
    place = {case: i for i, case in enumerate(cases)}
    device, found = next(model.parameters()).device, []
    for start in range(0, len(examples), BATCH):
        part = examples[start : start + BATCH]
        pictures = torch.stack([example.pixels for example in part]).to(device).float() / 255
        for example, (boxes, confidence) in zip(part, model.find(pictures), strict=True):
            numbers = (boxes.cpu().double().numpy(), confidence.cpu().double().numpy(), example.boxes.double().numpy())
            found.append(Found(place[example.case_id], *numbers))
    return Detected.of(found, [site] * len(cases))
