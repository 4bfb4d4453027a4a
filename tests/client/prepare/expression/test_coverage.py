import numpy as np

from client.prepare.expression.coverage import coverage, observed_genes
from shared.cohort.store_files import Table


def test_coverage_counts_a_groups_genes():
    groups = {"kinases": ("EGFR", "MET", "EGFR"), "others": ("TP53",)}
    assert coverage(groups, ["EGFR", "ALK"]) == {"kinases": (1, 2), "others": (0, 1)}


def test_a_gene_is_observed_if_one_patient_has_it():
    observed = np.array([[True, False, False], [False, False, True]])
    table = Table(np.zeros((2, 3), np.float32), observed, ("EGFR", "MET", "TP53"), ("k1", "k2"))
    assert observed_genes(table) == {"EGFR", "TP53"}
