"""Fill in what a study only refers to, so that the study alone says everything."""

from pathlib import Path

from shared.cohort.blood import blood_panel
from shared.cohort.genes import groups_digest, packaged_panel, read_gmt
from shared.errors import StudyError
from shared.study import Expression, Study

__all__ = ["resolve"]


def resolve(study: Study, folder: Path | None = None) -> Study:
    """The study with gene groups and analytes in full; a resolved study comes back unchanged.

    Parameters
    ----------
    study
        As written.
    folder
        Folder of the study file, to which a GMT path is relative.

    Raises
    ------
    StudyError
        The study refers to something that only a simulation can fill in ("cohort" genes, unnamed aux columns).
    """
    use = study.modalities
    update: dict[str, object] = {}
    if use.expression is not None:
        update["expression"] = _resolve_expression(use.expression, folder)
    if use.blood is not None and not use.blood.analytes:
        update["blood"] = use.blood.model_copy(update={"analytes": tuple(a.loinc for a in blood_panel())})
    modalities = use.model_copy(update=update)
    return study if modalities == use else study.model_copy(update={"modalities": modalities})


def _resolve_expression(expression: Expression, folder: Path | None) -> Expression:
    if expression.aux and not expression.aux_columns:
        raise StudyError(
            "modalities.expression.aux_columns: expected the columns by name, such as 'mutations:IDH1', got none; "
            "list them, since every site must have the same"
        )
    if expression.groups:
        return expression.model_copy(update={"genes_sha256": groups_digest(expression.groups)})
    if expression.genes == "cohort":
        raise StudyError(
            'modalities.expression.genes: expected "panel" or a GMT file, got "cohort", which only a simulation can '
            "resolve; name a GMT file"
        )
    packaged = expression.genes == "panel"
    groups = packaged_panel() if packaged else read_gmt((folder or Path()) / expression.genes)
    digest = groups_digest(groups)
    if expression.genes_sha256 not in ("", digest):
        raise StudyError(
            f"modalities.expression.genes_sha256: expected {digest[:12]}... (that of {expression.genes}), "
            f"got {expression.genes_sha256[:12]}...; use the gene file the study was written for"
        )
    # a path must not change the digest: two sites may keep the same file in different places
    name = "panel" if packaged else "gmt"
    return expression.model_copy(update={"genes": name, "groups": groups, "genes_sha256": digest})
