"""Which encoders a study names."""

import pytest

from shared.cohort.encoded import named_encoders
from shared.study import parse_study

BLOOD = {"route": "template", "text_encoder": "all-minilm-l6-v2", "text_encoder_sha256": "b" * 64}


@pytest.mark.parametrize(
    ("modalities", "named"),
    [
        ({"clinical": {}, "blood": {}}, {}),
        ({"slides": {}}, {"slides": ""}),
        (
            {"slides": {"encoder_sha256": "a" * 64}, "blood": BLOOD, "imaging": {"encoder_sha256": "c" * 64}},
            {"slides": "a" * 64, "blood": "b" * 64, "imaging": "c" * 64},
        ),
    ],
)
def test_slides_images_and_described_blood_have_encoders(modalities: dict[str, object], named: dict[str, str]) -> None:
    content = {"schema": 1, "name": "s", "task": {"kind": "survival"}, "model": {"architecture": "linear"}}
    assert named_encoders(parse_study({**content, "modalities": modalities})) == named
