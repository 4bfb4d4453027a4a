import numpy as np
import pytest

from client.prepare.expression.samples import Kind
from client.prepare.expression.star_samples import read_star_samples
from client.prepare.expression.tables import expression_table
from client.prepare.patients import read_roster
from shared.errors import CohortError

END = ".rna_seq.augmented_star_gene_counts.tsv"
CLINICAL = "case_id\na\nb\nc\n"
SHEET = "File ID\tFile Name\tData Category\tData Type\tProject ID\tCase ID\tSample ID\tSample Type\n"
NEW_SHEET = "File ID\tFile Name\tCase ID\tSample ID\tTissue Type\tTumor Descriptor\tSpecimen Type\n"
OTHER = "another sample of the patient was taken: a primary tumour first, then the first by name"


def genes(*values):
    """TP53, CD99 and its copy on Y, EGFR, with the same count and TPM."""
    ids = [("ENSG00000141510.18", "TP53"), ("ENSG00000002586.20", "CD99"), ("ENSG00000002586.20_PAR_Y", "CD99")]
    ids.append(("ENSG00000146648.18", "EGFR"))
    return [(i, name, value, value) for (i, name), value in zip(ids, values, strict=True)]


@pytest.fixture
def tabled(make_site, report):
    def make(files, scale="tpm"):
        site = make_site({"clinical.tsv": CLINICAL, **files}, f'[expression]\nscale = "{scale}"\n')
        return expression_table(site, read_roster(site), ("CD99", "EGFR", "TP53"), report)

    return make


def test_tpm_of_every_patient_become_log2(tabled, star, report, rows):
    table = tabled(
        {
            f"expression/2{END}": star(genes(3, 7, 0, 1)),
            f"expression/id/1{END}": star(genes(0, 1, 0, 15)),
            "expression/samples.tsv": f"file\tcase_id\n1{END}\ta\n2{END}\tc\n",
        }
    )
    np.testing.assert_array_equal(table.values, [[1, 4, 0], [0, 0, 0], [3, 1, 2]])
    np.testing.assert_array_equal(table.observed, [[1, 1, 1], [0, 0, 0], [1, 1, 1]])
    assert rows(report) == [
        (f"expression/id/1{END}", "used", "a", ""),
        (f"expression/2{END}", "used", "c", ""),
        ("expression/", "noted", "", "1 rows _PAR_Y not used: their reads are counted on chromosome X"),
        ("expression/", "noted", "", "2 patients, 3 of 3 genes"),
    ]


def test_counts_are_of_a_million_of_all_genes(tabled, star):
    million = [*genes(1, 3, 0, 0), ("ENSG00000000001.1", "REST", 999_996, 0)]
    table = tabled(
        {f"expression/1{END}": star(million), "expression/samples.tsv": f"file\tcase_id\n1{END}\tb\n"}, "counts"
    )
    np.testing.assert_allclose(table.values[1], [2, 0, 1], rtol=1e-7)


def test_a_scale_that_star_files_do_not_hold_is_named(tabled, star, rows, report):
    table = tabled({f"expression/1{END}": star(genes(1, 1, 1, 1)), "expression/samples.tsv": "file\tcase_id\n"}, "log2")
    assert not table.observed.any()
    assert rows(report) == [
        (
            "expression/",
            "left out",
            "",
            "data/expression: expected expression.scale = 'tpm' or 'counts' in the site file, which STAR files hold, "
            "got 'log2'; write scale = \"tpm\"",
        )
    ]


def test_of_several_samples_the_first_readable_is_taken(tabled, star, rows, report):
    lines = [
        f"u\t1{END}\tT\tG\tP\ta\ta-02A\tRecurrent Tumor\n",
        f"u\t3{END}\tT\tG\tP\ta\ta-01B\tPrimary Tumor\n",
        f"u\t2{END}\tT\tG\tP\ta\ta-01A\tPrimary Tumor\n",
        f"u\t4{END}\tT\tG\tP\ta\ta-11A\tSolid Tissue Normal\n",
        f"u\t5{END}\tT\tG\tP\tb\tb-11A\tSolid Tissue Normal\n",
        f"u\t6{END}\tT\tG\tP\tx\tx-01A\tPrimary Tumor\n",
        f"u\t7{END}\tT\tG\tP\tc\tc-01A\tPrimary Tumor\n",
        "u\tother.maf.gz\tS\tM\tP\tc\tc-01A\tPrimary Tumor\n",
    ]
    files = {f"expression/{n}{END}": star(genes(n, n, 0, n)) for n in (1, 2, 3, 4, 5, 6, 8)}
    files[f"expression/2{END}"] = star(genes(2, 2, 0, "low"))
    table = tabled({**files, "gdc_sample_sheet.2026-01-01.tsv": SHEET + "".join(lines)})
    np.testing.assert_array_equal(table.values[0], [2, 2, 2])
    assert not table.observed[1:].any()
    normal = "normal tissue or a control, which never stands for a tumour"
    assert rows(report)[:-2] == [
        (
            f"expression/8{END}",
            "left out",
            "",
            "no table of samples says whose it is; list it in expression/samples.tsv",
        ),
        (
            f"expression/7{END}",
            "left out",
            "c",
            "no such file in the folder; copy it there or take its line out of the table of samples",
        ),
        ("expression/", "left out", "x", "not in clinical.tsv"),
        (f"expression/: 4{END}", "noted", "a", normal),
        (f"expression/: 5{END}", "left out", "b", normal),
        (
            f"expression/2{END}",
            "left out",
            "a",
            "1 fault; line 10: expected a tpm_unstranded of 0 or above, got 'low'; download the file again",
        ),
        (f"expression/1{END}", "noted", "a", OTHER),
        (f"expression/3{END}", "used", "a", ""),
    ]


def test_no_reason_names_a_patient_or_a_file(tabled, star, report):
    tabled(
        {
            f"expression/secret{END}": star(genes(1, 1, 0, -1)),
            "expression/samples.tsv": f"file\tcase_id\nsecret{END}\ta\n",
        }
    )
    assert [row.state for row in report.rows if row.key] == ["left out"]
    assert not [row for row in report.rows if "secret" in row.reason]


def test_a_file_of_other_genes_than_most_is_left_out(tabled, star, report):
    files = {f"expression/{n}{END}": star(genes(n, n, 0, n)[: 3 if n == 1 else 4]) for n in (1, 2, 3)}
    table = tabled({**files, "expression/samples.tsv": f"file\tcase_id\n1{END}\ta\n2{END}\tb\n3{END}\tc\n"})
    assert table.observed.any(axis=1).tolist() == [False, True, True]
    assert [(row.file, row.state) for row in report.rows][:3] == [
        (f"expression/1{END}", "left out"),
        (f"expression/2{END}", "used"),
        (f"expression/3{END}", "used"),
    ]


def test_a_folder_without_a_readable_file_observes_nothing(tabled, report):
    table = tabled({f"expression/1{END}": "", "expression/samples.tsv": f"file\tcase_id\n1{END}\ta\n"})
    assert not table.observed.any()
    assert "expected a header line, got an empty file" in report.rows[0].reason


def test_sheets_of_gdc_name_patients_and_kinds(make_site):
    new = f"u\t1{END}\ta\ta-01A\tTumor\tPrimary\tSolid Tissue\nu\t2{END}\ta\ta-11A\tNormal\tPrimary\tSolid Tissue\n"
    old = f"u\t3{END}.gz\tT\tG\tP\tb\tb-06A\tMetastatic\n"
    data = make_site({"gdc_sample_sheet.1.tsv": NEW_SHEET + new, "expression/gdc_sample_sheet.2.tsv": SHEET + old}).data
    assert [(s.name, s.case_id, s.kind) for s in read_star_samples(data)] == [
        (f"1{END}", "a", Kind.PRIMARY),
        (f"3{END}", "b", Kind.OTHER),
        (f"2{END}", "a", Kind.NORMAL),
    ]


def test_the_sites_own_list_may_say_the_sample_type(make_site):
    data = make_site({"expression/samples.tsv": f"file\tcase_id\tsample_type\nid/1{END}\ta\tMetastatic\n"}).data
    assert [(s.name, s.kind) for s in read_star_samples(data)] == [(f"1{END}", Kind.OTHER)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"expected samples.tsv .* or a GDC sample sheet .*, got neither; add one"),
        ({"expression/samples.tsv": "file\tpatient\n"}, "expected a column 'case_id', got none"),
        ({"gdc_sample_sheet.tsv": "File Name\tCase ID\n"}, "2 faults"),
        (
            {"expression/samples.tsv": f"file\tcase_id\n1{END}\ta\n1{END}.gz\tb\n"},
            "line 3: expected one patient a file, got a file of another line again",
        ),
    ],
)
def test_tables_of_samples_are_refused(make_site, files, message):
    with pytest.raises(CohortError, match=message):
        read_star_samples(make_site(files).data)
