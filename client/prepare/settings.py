"""The part of a study that decides what a feature store holds; studies that agree on it share a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.cohort.blood import analyte_codes, blood_panel
from shared.cohort.genes import vocabulary
from shared.digests import sha256_json
from shared.errors import StudyError
from shared.site import Site
from shared.study import Blood, Clinical, DetectionTask, Imaging, Slides, Study

__all__ = ["CLINICAL_SCALE", "PrepareSettings", "store_folder"]

CLINICAL_SCALE: dict[str, tuple[float, float]] = {"age_at_diagnosis": (50.0, 10.0)}
"""Public constants (centre, unit) of the clinical columns that mmfed knows; sex is 0/1 (female, male)."""


@dataclass(frozen=True)
class PrepareSettings:
    """What to prepare; None or empty = the study does not use it."""

    modalities: tuple[str, ...]
    slides: Slides | None = None
    genes: tuple[str, ...] = ()  # vocabulary of the expression branch
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # for the report alone: not in the digest
    aux: tuple[str, ...] = ()  # "<table>:<gene>"
    blood: Blood | None = None  # route and text encoder; its analytes are complete
    imaging: Imaging | None = None
    clinical: tuple[tuple[str, float, float], ...] = ()  # (column, centre, unit); sex as (sex, 0, 1)

    @classmethod
    def of(cls, study: Study) -> "PrepareSettings":
        """The settings of a resolved study.

        Raises
        ------
        StudyError
            The gene vocabulary is not resolved, an analyte is not in the panel, a clinical column has no scale, or the
            study reads pictures and not features.
        """
        use = study.modalities
        if isinstance(study.task, DetectionTask):
            raise StudyError(f"{study.name}: expected a study of features, got detection; it needs no `prepare`")
        if use.expression and not use.expression.groups:
            raise StudyError(
                f"{study.name}: modalities.expression.groups: expected a resolved study with gene groups, got none; "
                "take the study that `submit` or the simulation wrote"
            )
        return cls(
            modalities=use.names,
            slides=use.slides,
            genes=vocabulary(use.expression.groups) if use.expression else (),
            groups=use.expression.groups if use.expression else {},
            aux=use.expression.aux_columns if use.expression else (),
            blood=_blood(study.name, use.blood) if use.blood else None,
            imaging=use.imaging,
            clinical=_clinical(study.name, use.clinical) if use.clinical else (),
        )

    def content(self) -> dict[str, Any]:
        """Plain JSON values, as the manifest records them."""
        return {
            "modalities": list(self.modalities),
            "slides": self.slides.model_dump(mode="json") if self.slides else None,
            "genes": list(self.genes),
            "aux": list(self.aux),
            "blood": self.blood.model_dump(mode="json") if self.blood else None,
            "imaging": self.imaging.model_dump(mode="json") if self.imaging else None,
            "clinical": [list(column) for column in self.clinical],
        }

    @property
    def analytes(self) -> tuple[str, ...]:
        """LOINC codes of the blood branch."""
        return self.blood.analytes if self.blood else ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content; its first 12 digits name the store's folder."""
        return sha256_json(self.content())


def store_folder(site: Site, settings: PrepareSettings) -> Path:
    """Where the store for `settings` lies at this site."""
    return site.state / "store" / settings.digest[:12]


def _blood(study: str, blood: Blood) -> Blood:
    analytes = blood.analytes or tuple(analyte.loinc for analyte in blood_panel())
    strangers = [code for code in analytes if code not in analyte_codes().values()]
    if strangers:
        raise StudyError(
            f"{study}: modalities.blood.analytes: expected LOINC codes of the packaged panel, "
            f"got {strangers}; remove them"
        )
    return blood.model_copy(update={"analytes": analytes})


def _clinical(study: str, clinical: Clinical) -> tuple[tuple[str, float, float], ...]:
    scale = {**CLINICAL_SCALE, "sex": (0.0, 1.0), **clinical.scale}
    faults = [
        f"{study}: modalities.clinical.scale: expected the centre and unit of {name!r}, got nothing; "
        f"add e.g. scale.{name} = [50, 10]"
        for name in clinical.columns
        if name not in scale
    ]
    faults += [
        f"{study}: modalities.clinical.scale.{name}: expected a unit other than 0, got 0; correct it"
        for name in clinical.columns
        if name in scale and scale[name][1] == 0
    ]
    if faults:
        raise StudyError("\n".join(faults))
    return tuple((name, *scale[name]) for name in clinical.columns)
