"""Features of a slide that were made elsewhere, brought into the store."""

from client.prepare.slides.finished import RECIPE
from client.prepare.slides.imported import imported_bag
from client.prepare.slides.jobs import SlideJob
from shared.cohort.bag_files import Attribute, bag_is_whole, read_bag_attributes, write_bag
from shared.site import ImportedFeatures
from shared.study import Slides

__all__ = ["take_features"]


def take_features(job: SlideJob, settings: Slides, features: ImportedFeatures) -> bool:
    """Check the feature file of one slide and write its bag; False if that was done before.

    Raises
    ------
    SlideError
        The file holds no features, or others than those of the study's encoder.
    """
    wanted: dict[str, Attribute] = {
        "recipe": RECIPE,
        "encoder": settings.encoder,
        "encoder_sha256": features.encoder_sha256,
        "dim": settings.dim,
        "tile": settings.tile,
        "max_patches": settings.max_patches,
        "slide_sha256": job.sha256,  # of the file of features
        "engine": "imported",
    }
    found = read_bag_attributes(job.target)
    if all(found.get(name) == value for name, value in wanted.items()) and bag_is_whole(job.target):
        return False
    rows, coords, attributes = imported_bag(job.source, settings, features)
    write_bag(job.target, rows, coords, {**attributes, **wanted})
    return True
