"""The describer of a study's route: results -> text."""

from collections.abc import Sequence
from typing import Protocol

from client.prepare.blood import template
from client.prepare.blood.local_llm import LlmDescriber, model_digest, open_llm
from client.prepare.blood.results import Result
from client.prepare.report import PrepareReport
from shared.errors import SiteFileError
from shared.site import Site
from shared.study import Blood

__all__ = ["Describer", "build_describer"]


class Describer(Protocol):
    """Puts the results of one patient into words; the same results give the same words."""

    def __call__(self, rows: Sequence[Result]) -> str:
        """The text."""


def build_describer(site: Site, blood: Blood, report: PrepareReport) -> Describer:
    """The describer of route `template` or `local_llm`.

    Raises
    ------
    SiteFileError
        The route is local_llm, and the site file names no folder with a model.
    """
    if blood.route != "local_llm":
        return template.describe
    folder = site.path(site.blood.llm)
    if not site.blood.llm or not (folder / "config.json").is_file():
        raise SiteFileError(
            f"site {site.id}: [blood] llm: expected the folder of a transformers causal model, since the study "
            f"describes blood results with a local language model, got {site.blood.llm!r}; copy the model there"
        )
    return LlmDescriber(open_llm(folder, site.compute.device), model_digest(folder), site.state / "blood_text", report)
