import pytest

from client.prepare.expression.measured import Measured, measured
from shared.errors import CohortError

END = ".rna_seq.augmented_star_gene_counts.tsv"


def test_a_site_without_expression_has_measured_nothing(make_site):
    assert measured(make_site({}), ["a"]) == Measured(frozenset(), frozenset())


def test_a_matrix_tells_genes_and_patients(make_site):
    site = make_site({"expression.csv": "g,TCGA-1-01A,TCGA-2-11A,x\nTP53,1,2,3\n1-Mar,1,2,3\n"})
    assert measured(site, ["TCGA-1", "TCGA-2"]) == Measured(frozenset(["TP53"]), frozenset(["TCGA-1"]))


def test_star_counts_tell_genes_of_the_first_readable_file_and_patients_of_the_list(make_site, star):
    samples = f"file\tcase_id\n1{END}\ta\n2{END}\tb\n3{END}\tc\n2x{END}\td\n"
    site = make_site(
        {
            f"expression/1{END}": "",
            f"expression/2{END}": star([("ENSG00000141510.18", "TP53", 1, 1)]),
            f"expression/3{END}": "",
            "expression/samples.tsv": samples,
        },
        '[expression]\nscale = "tpm"\n',
    )
    assert measured(site, ["a", "b", "d", "e"]) == Measured(frozenset(["TP53"]), frozenset(["a", "b"]))


def test_star_counts_that_are_all_broken_are_refused_without_naming_them(make_site):
    site = make_site({f"expression/secret{END}": "", "expression/samples.tsv": "file\tcase_id\n"})
    with pytest.raises(CohortError, match="expected a readable file of STAR counts, got 1 broken ones") as caught:
        measured(site, ["a"])
    assert "secret" not in str(caught.value)


def test_star_counts_under_another_scale_are_a_fault(make_site, star):
    files = {f"expression/1{END}": star([("ENSG00000141510.18", "TP53", 1, 1)])}
    files["expression/samples.tsv"] = f"file\tcase_id\n1{END}\ta\n"
    fault = measured(make_site(files, '[expression]\nscale = "z"\n'), ["a"]).fault
    assert fault.startswith("expression: expected expression.scale = 'tpm' or 'counts'")
    assert measured(make_site(files, '[expression]\nscale = "tpm"\n'), ["a"]).fault == ""
