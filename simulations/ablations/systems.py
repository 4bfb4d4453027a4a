"""The three published systems as tables of rows: SEEDS.md 2.3 (S1), 3 (S2) and 4.5 (S3), and the rival models.

Figures of a paper stand beside the row that it belongs to, and only where SEEDS.md has them. They come from other
patients, inputs and folds: they are for orientation, not for comparison.
"""

from collections.abc import Mapping

from shared.models import about
from simulations.ablations.row import Row, System

__all__ = ["SYSTEMS"]

TABLE_RECIPE = ("training.learning_rate=1e-2",)  # SEEDS.md 2.3: what a linear model needs with AdamW in a federation
RIVALS = ("abmil", "clam_sb", "transmil", "snn", "mcat", "porpoise", "survpath", "late", "linear")
FEWER_PATCHES = ("modalities.slides.max_patches=1024",)  # the most that transmil takes
GLIOMA_RIVALS: Mapping[str, str] = {
    "snn": "c-index .598",
    "abmil": "c-index .787",
    "mcat": "c-index .817",
}
"""Five-fold survival on GBMLGG, from the result file of MCAT's authors."""


def _without(*modalities: str) -> tuple[str, ...]:
    return tuple(f"modalities.{name}=false" for name in modalities)


def _rivals(
    modalities: tuple[str, ...],
    reference: str,
    published: Mapping[str, str] | None = None,
    transmil: tuple[str, ...] = (),
) -> tuple[Row, ...]:
    """One row a rival architecture, given those of `modalities` that it takes, with its own default options.

    `transmil` is what else its row sets.
    """
    rows = [Row("model", reference)]
    for name in RIVALS:
        takes, needs = about(name).takes, about(name).needs
        lacks = [modality for modality in needs if modality not in modalities]
        settings = (
            f"model.architecture={name}",
            *_without(*(modality for modality in modalities if modality not in takes)),
            *(TABLE_RECIPE if name == "linear" else transmil if name == "transmil" else ()),
        )
        cannot = f"it needs {' and '.join(lacks)}, which the study has not" if lacks else ""
        figures = {"survival": published[name]} if published and name in published else {}
        rows.append(Row("model", name, settings, figures, cannot))
    return tuple(rows)


S1 = System(
    title="S1, breast cancer subtype (arXiv 2503.02849)",
    studies={"subtype": "s1_breast"},
    default_axes=("fusion",),
    rows=(
        Row("fusion", "cross_attn_bi"),
        Row("fusion", "image_only", _without("expression"), {"subtype": "weak, no figure"}),
        Row("fusion", "gene_only", _without("slides"), {"subtype": "strong, no figure"}),
        Row("fusion", "concat", ("model.fusion=concat",), {"subtype": "below cross-attention, no figure"}),
        Row("fusion", "late", ("model.fusion=late",), {"subtype": "below cross-attention, no figure"}),
        Row("fusion", "cross_attn", ("model.fusion=cross_attn",), {"subtype": "F1 .9379, PR-AUC .9948"}),
        Row("fusion", "cross_attn_rev", ("model.fusion=cross_attn_rev",)),
        Row("fusion", "published", ("model.fusion=published",), {"subtype": "F1 .750 to .923 in the stored run"}),
        *_rivals(("slides", "expression"), "s1_crossattn"),
    ),
    notes=(
        "The paper's figures are of one site (A2) of TCGA-BRCA. `published` is its code: one gene token, so that the "
        "output does not depend on the slide.",
    ),
)

S2 = System(
    title="S2, kind of bone tumour (J Bone Oncol 55:100718)",
    studies={"kind": "s2_bone"},
    default_axes=("modality", "text", "crop", "fusion"),
    rows=(
        Row("modality", "image + path + blood", (), {"kind": "AUC .9759, F1 .8736, precision .9056"}),
        Row("modality", "image + path", _without("blood")),
        Row("modality", "image + blood", _without("slides")),
        Row("modality", "path + blood", _without("imaging")),
        Row("modality", "image", _without("slides", "blood")),
        Row("modality", "path", _without("blood", "imaging")),
        Row("modality", "blood", _without("slides", "imaging")),
        Row("text", "template"),
        Row("text", "local_llm", cannot="no language model lies on this machine"),
        Row("text", "numeric", ('modalities.blood={route="numeric"}',)),
        Row("crop", "on"),
        Row("crop", "off", ("modalities.imaging.crop=false",)),
        Row("fusion", "transformer"),
        Row("fusion", "gated_concat", ("model.fusion=gated_concat",)),
        *_rivals(("slides", "blood", "imaging"), "s2_fusion"),
    ),
)

S3 = System(
    title="S3, diffuse glioma (UMEML, arXiv 2406.07078)",
    studies={"grade": "s3_glioma_grade", "class": "s3_glioma_class", "survival": "s3_glioma_survival"},
    default_axes=("modality", "modularity", "decoder", "registers", "prototypes", "grouping", "fuse"),
    rows=(
        Row(
            "modality",
            "slides + expression",
            (),
            {
                "grade": "accuracy .7756, micro AUC .9212",
                "class": "accuracy .7514, micro AUC .9594",
                "survival": "c-index .8396 (disease-specific)",
            },
        ),
        Row("modality", "slides", _without("expression")),
        Row("modality", "expression", _without("slides")),
        Row("modality", "with aux", ('modalities.expression.aux=["mutations", "copy_number"]',)),
        Row("modularity", "paper, gamma 5"),
        Row("modularity", "cause", ("model.modularity=cause",)),
        Row("modularity", "off", ("model.modularity=off",)),
        Row("modularity", "gamma 0", ("model.gamma=0.0",)),
        Row("modularity", "gamma 1", ("model.gamma=1.0",)),
        Row("modularity", "alpha 0", ("model.alpha=0.0",)),
        Row("modularity", "beta 0", ("model.beta=0.0",)),
        Row("decoder", "on"),
        Row("decoder", "off", ("model.decoder=false",)),
        Row("registers", "3"),
        Row("registers", "0", ("model.registers=0",)),
        Row("registers", "1", ("model.registers=1",)),
        Row("registers", "8", ("model.registers=8",)),
        Row("prototypes", "5"),
        Row("prototypes", "16", ("model.prototypes=16",)),
        Row("prototypes", "off, and modularity with them", ("model.prototypes=0", "model.modularity=off")),
        Row("grouping", "functional groups"),
        Row("grouping", "hallmark50", ("modalities.expression.genes={gmt}",)),
        Row("grouping", "chunks", ("model.grouping=chunks",)),
        Row("fuse", "concat"),
        Row("fuse", "gated bilinear", ("model.fuse=gated_bilinear",)),
        Row("fuse", "late", ("model.fuse=late",)),
        *_rivals(("slides", "expression"), "umeml", GLIOMA_RIVALS, FEWER_PATCHES),
    ),
    notes=(
        "The paper says that modularity, decoder and registers each help; no table was available, so rows are compared "
        "among themselves only.",
        "`off` and `gamma 0` minimise the same loss: what parts them is chance, since every row draws its own initial "
        "weights.",
    ),
)

SYSTEMS: Mapping[str, System] = {"s1": S1, "s2": S2, "s3": S3}
"""What `--study` of the command takes."""
