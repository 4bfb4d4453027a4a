from client.prepare.expression.sources import (
    aux_source,
    expression_source,
    record_unread,
    star_files,
    star_sheets,
)

STAR = "u.rna_seq.augmented_star_gene_counts.tsv"


def test_a_folder_without_genomics_has_no_source(make_site):
    data = make_site({"expression/readme.txt": "x"}).data
    assert (expression_source(data), aux_source(data, "mutations"), star_sheets(data)) == (None, None, [])


def test_the_first_source_is_read_and_the_others_are_reported(make_site, report, rows):
    site = make_site({"expression.csv": "x", "expression.tsv.gz": "x", f"expression/{STAR}": "x"})
    source = expression_source(site.data)
    assert source.name == "expression.tsv.gz"
    source.record(report)
    why = "expression.tsv.gz is there and comes first; remove one of the two"
    assert rows(report) == [("expression.csv", "left out", "", why), ("expression/", "left out", "", why)]


def test_star_files_lie_in_the_folder_or_one_below(make_site):
    files = (f"expression/{STAR}", f"expression/id/v{STAR}.gz", f"expression/id/{STAR}.partial")
    data = make_site(dict.fromkeys(files, "")).data
    assert {name: path.relative_to(data).as_posix() for name, path in star_files(data).items()} == {
        STAR: f"expression/{STAR}",
        f"v{STAR}": f"expression/id/v{STAR}.gz",
    }
    assert expression_source(data).name == "expression/"


def test_files_in_another_format_are_not_passed_over(make_site, report, rows):
    names = ["expression.xlsx", "expression.csv", "expression/u.htseq.counts.gz", f"expression/id/{STAR}"]
    names += ["expression/id/annotations.txt", "expression/samples.tsv", "mutations.vcf", "mutations_sequenced.txt"]
    site = make_site(dict.fromkeys(names, ""))
    record_unread(site.data, "expression", report)
    record_unread(site.data, "mutations", report)
    assert [(file, state) for file, state, _, _ in rows(report)] == [
        ("expression.xlsx", "left out"),
        ("expression/u.htseq.counts.gz", "left out"),
        ("mutations.vcf", "left out"),
    ]
    assert report.rows[0].reason == (
        "not read: expected one of expression.tsv, expression.tsv.gz, expression.csv, expression.csv.gz; "
        "export it as one of them"
    )
    assert report.rows[1].reason.endswith(".rna_seq.augmented_star_gene_counts.tsv; keep GDC's file names")


def test_the_sites_own_list_of_samples_replaces_gdcs(make_site):
    data = make_site({"gdc_sample_sheet.2.tsv": "", "expression/gdc_sample_sheet.1.tsv": ""}).data
    assert [path.name for path in star_sheets(data)] == ["gdc_sample_sheet.2.tsv", "gdc_sample_sheet.1.tsv"]
    (data / "expression/samples.tsv").touch()
    assert [path.name for path in star_sheets(data)] == ["samples.tsv"]
