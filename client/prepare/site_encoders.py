"""The frozen encoders that a study wants and this site has: checked against the study, built once."""

from collections.abc import Callable, Collection
from pathlib import Path

from client.prepare.blood.text_encoder import text_encoder_recipe, text_encoder_sha256
from client.prepare.encoders import Encoder, build_encoder, encoder_recipe, encoder_sha256
from client.prepare.settings import PrepareSettings
from client.prepare.slides.jobs import imports_features
from shared.cohort.sheets import find_file
from shared.errors import EncoderError
from shared.site import Site
from shared.study import Imaging, Slides

__all__ = ["site_encoders", "site_recipes", "site_weights"]

MOST_BUILT = 2
"""Encoders kept in memory: one for slides, one for clinical images."""

BUILT: dict[tuple[object, ...], Encoder] = {}


def site_weights(site: Site, settings: PrepareSettings, weights_file: Path | None) -> dict[str, str]:
    """Modality -> SHA-256 of its encoder's weights on this machine; EncoderError if the study names others."""
    found = _each(site, settings, weights_file, encoder_sha256, text_encoder_sha256)
    wanted = {
        "slides": settings.slides.encoder_sha256 if settings.slides else "",
        "imaging": settings.imaging.encoder_sha256 if settings.imaging else "",
        "blood": settings.blood.text_encoder_sha256 if settings.blood else "",
    }
    for modality, sha in found.items():
        if wanted[modality] and wanted[modality] != sha:
            raise EncoderError(
                f"expected weights of the {modality} encoder with SHA-256 {wanted[modality][:12]}..., as the study "
                f"says, got {sha[:12]}...; install the weights the coordinator used"
            )
    return found


def site_recipes(site: Site, settings: PrepareSettings, weights_file: Path | None) -> dict[str, str]:
    """Modality -> SHA-256 of all that decides its encoder's features, [compute] aside; changes when they do.

    The weights, how pictures are scaled, the architecture, and the settings and tokenizer beside the weights. Of
    features that were made elsewhere no more than the weights is known. Raises EncoderError as `site_weights`, whose
    modalities are the same.
    """
    return _each(site, settings, weights_file, encoder_recipe, text_encoder_recipe)


def _each(
    site: Site,
    settings: PrepareSettings,
    weights_file: Path | None,
    of_image: Callable[..., str],  # encoder_sha256 or encoder_recipe
    of_text: Callable[[str, Site], str],
) -> dict[str, str]:
    """What the two functions say of the encoder of each modality that has one at this site."""
    found = {}
    if settings.slides:
        use = settings.slides
        found["slides"] = (
            site.features.encoder_sha256
            if site.features and imports_features(site, use)
            else of_image(use.encoder, dim=use.dim, weights=use.weights, site=site, file=weights_file)
        )
    if settings.imaging:
        image = settings.imaging
        found["imaging"] = of_image(image.encoder, dim=image.dim, weights=image.weights, site=site)
    if settings.blood and settings.blood.route != "numeric" and find_file(site.data, "blood.csv", "blood.csv.gz"):
        found["blood"] = of_text(settings.blood.text_encoder, site)
    return found


def site_encoders(
    site: Site, settings: PrepareSettings, chosen: Collection[str], recipes: dict[str, str], weights_file: Path | None
) -> dict[str, Encoder]:
    """The image encoder of each chosen modality that has one; none for slides whose features were made elsewhere.

    `recipes` are those of `site_recipes`.
    """
    wanted: dict[str, Slides | Imaging | None] = {"slides": settings.slides, "imaging": settings.imaging}
    return {
        name: _encoder(site, use, recipes[name], weights_file if name == "slides" else None)
        for name, use in wanted.items()
        if use is not None and name in chosen and not (isinstance(use, Slides) and imports_features(site, use))
    }


def _encoder(site: Site, use: Slides | Imaging, recipe: str, file: Path | None) -> Encoder:
    """The encoder, built once a process: a simulation prepares many hospitals with one."""
    key = (use.encoder, use.dim, use.weights, recipe, file, site.compute, site.encoders.get(use.encoder))
    if key not in BUILT:
        if len(BUILT) >= MOST_BUILT:
            BUILT.clear()
        BUILT[key] = build_encoder(use.encoder, weights=use.weights, file=file, dim=use.dim, site=site)
    return BUILT[key]
