"""`python simulations/import_cohort.py`: a cBioPortal study, or features of CLAM or TRIDENT, as a cohort folder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.commands import run_command
from shared.errors import BadInput
from shared.logs import configure_logs

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _start() -> None:
    """Make a cohort folder of what others made, or add features to one."""
    configure_logs(level=30)


@app.command()
def cbioportal(
    study: Annotated[Path, typer.Argument(help="The folder with data_clinical_sample.txt.")],
    out: Annotated[Path, typer.Option(help="The cohort folder to write.")],
    expression: Annotated[
        Path | None, typer.Option(help="The table of expression; default: data_mrna_seq_*.txt, TPM first.")
    ] = None,
    genes: Annotated[Path | None, typer.Option(help="GMT: genes of the expression table; default: all.")] = None,
    aux_genes: Annotated[
        Path | None,
        typer.Option(help="GMT: genes of mutations and copy number; default: 2 % of patients, and the panel."),
    ] = None,
) -> None:
    """Import a study folder of cBioPortal: clinical data, expression, mutations, copy number.

    Example:
      python simulations/import_cohort.py cbioportal lgg_tcga_pan_can_atlas_2018 --out cohorts/lgg
    """
    from shared.cohort.genes import read_gmt, vocabulary
    from simulations.imports.cbioportal import import_cbioportal

    notes = import_cbioportal(
        study,
        out,
        expression=expression,
        genes=None if genes is None else vocabulary(read_gmt(genes)),
        aux_genes=None if aux_genes is None else vocabulary(read_gmt(aux_genes)),
    )
    console = Console()
    for note in [*notes, f"Cohort: {out}"]:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


@app.command()
def features(
    folder: Annotated[Path, typer.Argument(help="Feature files (.h5), or the job folder that holds them.")],
    cohort: Annotated[Path, typer.Option(help="The cohort folder that they belong to.")],
    encoder: Annotated[str, typer.Option(help="The encoder that made them, as studies name it.")],
    encoder_sha256: Annotated[str, typer.Option(help="SHA-256 of its weight file.")] = "",
    weights: Annotated[Path | None, typer.Option(help="The weight file itself, instead of its SHA-256.")] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files; default: link them.")] = False,
) -> None:
    """Put slide features of CLAM or TRIDENT into a cohort folder.

    Example:
      python simulations/import_cohort.py features trident/20x_256px_0px_overlap/features_uni_v1 --cohort cohorts/lgg
      --encoder uni --weights uni.bin
    """
    from shared.digests import sha256_file
    from simulations.imports.features import import_features

    if weights is not None and not weights.is_file():
        raise BadInput(f"--weights: expected the encoder's weight file, got no file {weights}; check the path")
    found = import_features(
        folder,
        cohort,
        encoder=encoder,
        sha256=sha256_file(weights) if weights else encoder_sha256,
        copy=copy,
    )
    console = Console()
    line = f"features/slides: {found.slides} slides of {found.patients} patients, {found.dim} features a patch"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    for reason, count in found.left_out.items():
        console.print(f"left out: {count} files: {reason}", markup=False, highlight=False, soft_wrap=True)
    if found.left_out:
        raise typer.Exit(3)


if __name__ == "__main__":
    run_command(app)
