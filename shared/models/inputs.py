"""What a model must know of its inputs: all of it follows from the study, none of it from data."""

from dataclasses import dataclass

from shared.cohort.genes import vocabulary
from shared.study import Study

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """Widths of the batch a model will be given."""

    modalities: tuple[str, ...]  # the study's, in the fixed order: the columns of Batch.present
    slides: int = 0  # F, width of a patch feature
    max_patches: int = 0  # N at most, a public constant
    genes: int = 0  # U, size of the gene vocabulary
    groups: tuple[tuple[int, ...], ...] = ()  # indices into the vocabulary, one tuple a gene group, by name
    aux: int = 0  # A, mutations and copy number
    blood: int = 0  # F_b, analytes, or width of the text feature
    blood_text: bool = False  # the text route: the feature of a description, observed as a whole
    imaging: int = 0  # F_i, width of an image feature and box_found
    clinical: int = 0  # V, clinical columns

    @classmethod
    def of(cls, study: Study) -> "Inputs":
        """The inputs of a resolved study."""
        use = study.modalities
        genes = vocabulary(use.expression.groups) if use.expression else ()
        index = {gene: i for i, gene in enumerate(genes)}
        # by name, because canonical JSON sorts them: a study that travelled must give the same model
        groups = [group for _, group in sorted(use.expression.groups.items())] if use.expression else []
        return cls(
            modalities=use.names,
            slides=use.slides.dim if use.slides else 0,
            max_patches=use.slides.max_patches if use.slides else 0,
            genes=len(genes),
            groups=tuple(tuple(sorted(index[gene] for gene in set(group))) for group in groups),
            aux=len(use.expression.aux_columns) if use.expression else 0,
            blood=(use.blood.text_dim or len(use.blood.analytes)) if use.blood else 0,
            blood_text=bool(use.blood and use.blood.text_dim),
            imaging=use.imaging.dim + 1 if use.imaging else 0,
            clinical=len(use.clinical.columns) if use.clinical else 0,
        )
