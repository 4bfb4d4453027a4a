"""Which modalities reach a model as features of a frozen encoder, and which encoder a study names for each."""

from shared.study import DetectionTask, Study

__all__ = ["named_encoders"]


def named_encoders(study: Study) -> dict[str, str]:
    """Modality -> SHA-256 of the encoder the study names, "" where it leaves that to the sites.

    Slides, clinical images, and blood where its results are described in words.
    """
    use, named = study.modalities, {}
    if isinstance(study.task, DetectionTask):  # pictures, not features
        return {}
    if use.slides:
        named["slides"] = use.slides.encoder_sha256
    if use.blood and use.blood.route != "numeric":
        named["blood"] = use.blood.text_encoder_sha256
    if use.imaging:
        named["imaging"] = use.imaging.encoder_sha256
    return named
