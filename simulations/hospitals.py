"""Split a cohort folder into one folder a hospital, each with a site file: what a deployment would find there."""

import csv
import gzip
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from client.prepare.expression.scale import likely_scale
from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.sheets import find_file, read_sheet
from shared.cohort.tables import read_blood, read_clinical, read_expression, read_patients_by_genes, read_slides
from shared.digests import sha256_json
from shared.errors import BadInput, CohortError
from shared.site import Disclosure, ImportedFeatures
from simulations.disclosure_file import disclosure_of, disclosure_toml
from simulations.encoder_file import ENCODER_FILE, encoder_of, encoder_toml
from simulations.tcga.barcodes import is_tcga, other_programmes, programme_of
from simulations.tcga.merge_small import Rule, merge_small_sites
from simulations.tcga.tissue_source_sites import site_notes

__all__ = ["Hospital", "site_of_patients", "split_cohort", "split_of", "write_hospitals"]

TABLES = ("mutations", "copy_number")
LINKED = ("slides", "imaging", "features/slides")
"""Folders of a cohort whose files are linked."""
BARCODE_SITE = slice(5, 7)  # TCGA-<tissue source site>-<participant>
FORMAT = 3  # of the folders written here; part of their name


class Hospital:
    """One hospital's folder: its id and its site file."""

    def __init__(self, site_id: str, folder: Path) -> None:
        self.id, self.folder = site_id, folder

    @property
    def site_file(self) -> Path:
        """The site file, as a hospital engineer would have written it."""
        return self.folder / "site.toml"


def split_of(clinical: pd.DataFrame, split: str | None) -> str:
    """`split`; without one, `tss` if every case_id is a TCGA barcode, else `column:site`."""
    return split or ("tss" if all(_barcodes(clinical["case_id"].tolist())) else "column:site")


def site_of_patients(clinical: pd.DataFrame, split: str | None) -> dict[str, str]:
    """case_id -> site.

    Parameters
    ----------
    clinical
        The cohort's clinical table.
    split
        `tss` (the second field of a TCGA barcode), `column:NAME`, or None, as in `split_of`.

    Raises
    ------
    CohortError, BadInput
        A case_id is no barcode, the column is missing, has an empty cell or two names that would become one site,
        or `split` is none of these.
    """
    cases = clinical["case_id"].tolist()
    barcodes = _barcodes(cases)
    others = other_programmes(cases) if any(programme_of(case) for case in cases if not is_tcga(case)) else ""
    split = split_of(clinical, split)
    if split == "tss":
        if not all(barcodes):
            got = others or f"{barcodes.count(False)} other case ids"
            raise CohortError(
                f"clinical.tsv: expected TCGA barcodes for --split tss, got {got}; use --split column:NAME"
            )
        return {case: case[BARCODE_SITE] for case in cases}
    if not split.startswith("column:"):
        raise BadInput(f"--split: expected tss or column:NAME, got {split!r}; choose one of them")
    column = split.removeprefix("column:")
    if column not in clinical.columns:
        if others:
            raise CohortError(
                f"clinical.tsv: expected TCGA barcodes, which name the hospital, or a column {column!r} for --split, "
                f"got {others} and no such column; write the hospital into a column and use --split column:NAME"
            )
        raise CohortError(f"clinical.tsv: expected a column {column!r} for --split, got none; name another column")
    sites = [str(value).strip() for value in clinical[column]]
    if not all(sites):
        raise CohortError(
            f"clinical.tsv: expected a {column} for every patient, got {sites.count('')} empty; fill them in"
        )
    _refuse_alike(column, sites)
    return dict(zip(cases, (_site_id(site) for site in sites), strict=True))


def split_cohort(
    cohort: Path,
    split: str | None,
    cache: Path,
    *,
    merge: Rule = "none",
    least: int = 20,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Hospital]:
    """Write `cache/<name>-<digest>/<site>/` for every site of the cohort; folders that are there are reused.

    Slides, clinical images and features made elsewhere are linked, not copied. The expression scale is the one that
    the whole cohort's table seems to be on; the encoder of the features is the one that features/encoder.toml names,
    and what may leave a site is what disclosure.toml says, if the cohort has one.
    With `merge`, tissue source sites of fewer than `least` patients are put together (simulations/tcga/merge_small.py);
    `say` is given one sentence for every merge, and what else is to be known of the site codes.
    """
    clinical = read_clinical(cohort)
    sites = site_of_patients(clinical, split)
    by_code = split == "tss" or (split is None and all(map(is_tcga, sites)))
    if merge != "none" and not by_code:
        raise BadInput(
            f"--merge-small: expected --split tss beside it, got {split or 'a column'}; leave one of them out"
        )
    if by_code:
        for sentence in site_notes(list(sites.values())):
            say(sentence)
        sites, merged = merge_small_sites(sites, merge, least)
        for sentence in merged:
            say(sentence)
    return write_hospitals(cohort, sites, cache)


def write_hospitals(cohort: Path, sites: Mapping[str, str], cache: Path) -> list[Hospital]:
    """The same from case_id -> site of every patient of the cohort."""
    clinical = read_clinical(cohort)
    state = [(str(path.relative_to(cohort)), path.stat().st_size, path.stat().st_mtime_ns) for path in _inputs(cohort)]
    # where the links lead: they do not move along
    linked = str(cohort.resolve()) if any((cohort / name).is_dir() for name in LINKED) else ""
    name = f"{cohort.resolve().name}-{sha256_json([FORMAT, sorted(sites.items()), state, linked])[:12]}"
    root = cache / name
    names = sorted(set(sites.values()))
    if not (root / "complete").is_file():
        root.mkdir(parents=True, exist_ok=True)
        _write_all(cohort, clinical, sites, root)
        (root / "complete").touch()
    return [Hospital(site, root / site) for site in names]


def _inputs(cohort: Path) -> list[Path]:
    """The files that decide what a split holds: the tables, and the slides, images and features that are there."""
    folders = [cohort, *(cohort / name for name in LINKED if (cohort / name).is_dir())]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    series = [path for path in (cohort / "slides").glob("*/*.dcm") if path.is_file()]
    encoder = [path for path in (cohort / ENCODER_FILE,) if path.is_file()]
    return sorted(files + series + encoder)


def _barcodes(cases: Sequence[str]) -> list[bool]:
    """Whether each is a TCGA barcode, whose second field names the hospital."""
    return [case.startswith("TCGA-") and len(case.split("-")) >= 3 and len(case.split("-")[1]) == 2 for case in cases]


def _site_id(text: str) -> str:
    """A site id as shared/site.py wants it: letters, digits, hyphen and underscore, a letter or digit first."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    return (name if name[0].isalnum() else f"S{name}")[:32]


def _refuse_alike(column: str, sites: Sequence[str]) -> None:
    """CohortError when two hospitals would share one id: their patients would silently become one site's."""
    names: dict[str, str] = {}
    for site in sites:
        other = names.setdefault(_site_id(site), site)
        if other != site:
            raise CohortError(
                f"clinical.tsv: expected names of {column} that differ in their first 32 letters and digits, "
                f"got {other!r} and {site!r}; rename one"
            )


def _write_all(cohort: Path, clinical: pd.DataFrame, sites: Mapping[str, str], root: Path) -> None:
    expression, blood, slides = read_expression(cohort), read_blood(cohort), read_slides(cohort)
    images, image_rows = read_imaging(cohort) or [], _sheet(cohort, "imaging.csv")
    excluded = _sheet(cohort, "exclude.csv")
    matrices = {name: read_patients_by_genes(cohort, name) for name in TABLES}  # type: ignore[arg-type]
    scale = "log2" if expression is None else likely_scale(expression)
    encoder, disclosure = encoder_of(cohort), disclosure_of(cohort)
    for site in sorted(set(sites.values())):
        cases = [case for case in clinical["case_id"] if sites[case] == site]
        draft = Path(tempfile.mkdtemp(prefix=f".{site}-", dir=root))
        data = draft / "data"
        data.mkdir()
        _write_rows(data / "clinical.tsv", clinical, cases)
        if expression is not None:
            _write_genes(data / "expression.tsv.gz", expression[[case for case in cases if case in expression.columns]])
        for name, matrix in matrices.items():
            if matrix is not None:
                part = matrix.loc[[case for case in cases if case in matrix.index]]
                part.to_csv(data / f"{name}.tsv", sep="\t", index_label="case_id")
        if blood is not None:
            blood[blood["case_id"].isin(cases)].to_csv(data / "blood.csv", index=False)
        if excluded is not None:
            excluded[excluded["case_id"].isin(cases)].to_csv(data / "exclude.csv", index=False)
        if slides is not None:
            _link_slides(data, slides[slides["case_id"].isin(cases)])
        if image_rows is not None:
            image_rows[image_rows["case_id"].isin(cases)].to_csv(data / "imaging.csv", index=False)
            _link(data / "imaging", [image.path for image in images if image.case_id in cases])
        (draft / "site.toml").write_text(_site_toml(site, scale, encoder, disclosure), encoding="utf-8")
        (draft / "state").mkdir()
        final = root / site
        if final.exists():  # left by an interrupted split
            shutil.rmtree(final)
        draft.rename(final)


def _write_rows(path: Path, table: pd.DataFrame, cases: Sequence[str]) -> None:
    table[table["case_id"].isin(cases)].to_csv(path, sep="\t", index=False, quoting=csv.QUOTE_MINIMAL)


def _write_genes(path: Path, part: pd.DataFrame) -> None:
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=1, filename="") as file:
        part.to_csv(file, sep="\t", index_label="gene_symbol")


def _sheet(cohort: Path, name: str) -> pd.DataFrame | None:
    """A table of the cohort as it is written; None without it."""
    path = find_file(cohort, name)
    return None if path is None else read_sheet(path)


def _link_slides(data: Path, slides: pd.DataFrame) -> None:
    columns = ["case_id", "slide_id", *(["mpp"] if slides["mpp"].notna().any() else [])]
    slides[columns].to_csv(data / "slides.tsv", sep="\t", index=False)
    found: list[Path] = []
    for slide_id, path in slides.loc[slides["path"].notna(), ["slide_id", "path"]].itertuples(index=False):
        if path.parent.name == slide_id and path.parent.parent.name == "slides":  # a DICOM series: the whole folder
            found.append(path.parent)
        else:
            companion = path.with_suffix("")  # where an .mrxs keeps its pixels
            found += [path, *([companion] if companion.is_dir() else [])]
    _link(data / "slides", found)
    _link(data / "features" / "slides", [path for path in slides["features"] if pd.notna(path)])


def _link(folder: Path, paths: Sequence[Path | None]) -> None:
    """A link in `folder`, which is made, to every file or folder of `paths` that is there."""
    folder.mkdir(parents=True)
    for path in paths:
        if path is not None:
            (folder / path.name).symlink_to(path.resolve(), target_is_directory=path.is_dir())


def _site_toml(site: str, scale: str, encoder: ImportedFeatures | None, disclosure: Disclosure | None = None) -> str:
    features = f"\n[features]\n{encoder_toml(encoder)}" if encoder else ""
    leaves = f"\n[disclosure]\n{disclosure_toml(disclosure)}" if disclosure else ""
    return f'schema = 1\n\n[site]\nid = {json.dumps(site)}\n\n[expression]\nscale = "{scale}"\n{features}{leaves}'
