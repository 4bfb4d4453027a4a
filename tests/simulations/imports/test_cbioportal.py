"""A study folder of cBioPortal becomes a cohort folder."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import simulations
from shared.cohort.tables import read_clinical, read_expression, read_patients_by_genes
from shared.errors import BadInput, CohortError
from simulations.hospitals import split_cohort
from simulations.imports.cbioportal import import_cbioportal

GENES = "Hugo_Symbol\tEntrez_Gene_Id\t"
MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"
HEAD = "#Patient Identifier\t...\n#...\n#STRING\n#1\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three TCGA patients, one with a recurrence; the third has neither mutations nor copy number."""
    folder = tmp_path / "study"
    files = {
        "data_clinical_patient.txt": HEAD
        + "PATIENT_ID\tAGE\tSEX\tOS_STATUS\tOS_MONTHS\tPFS_STATUS\tSUBTYPE\n"
        + "TCGA-02-0001\t60\tMale\t1:DECEASED\t12.5\t1:PROGRESSION\tLGG_IDHwt\n"
        + "TCGA-06-0002\t41\tFemale\t0:LIVING\t30\t0:CENSORED\t\n"
        + "TCGA-DU-0003\tNA\tFemale\t\t\t\tLGG_IDHmut\n",
        "data_clinical_sample.txt": HEAD
        + "PATIENT_ID\tSAMPLE_ID\tGRADE\tSUBTYPE\n"
        + "TCGA-02-0001\tTCGA-02-0001-02\tG4\tx\nTCGA-02-0001\tTCGA-02-0001-01\tG3\tx\n"
        + "TCGA-06-0002\tTCGA-06-0002-01\tG2\tx\nTCGA-DU-0003\tTCGA-DU-0003-01\t\tx\n",
        "data_mrna_seq_v2_rsem_zscores_ref_all_samples.txt": f"{GENES}TCGA-02-0001-01\nEGFR\t1\t-9\n",
        "data_mrna_seq_v2_rsem.txt": f"{GENES}TCGA-02-0001-02\tTCGA-02-0001-01\tTCGA-06-0002-01\n"
        + "EGFR\t1956\t7\t8\t9\nTP53\t7157\t1\t2\tNA\nTWICE\t1\t0\t2\t2\nTWICE\t2\t0\t4\t6\n\t3\t1\t1\t1\n",
        "data_mutations.txt": MAF
        + "TP53\tMissense_Mutation\tTCGA-02-0001-01\nEGFR\tSilent\tTCGA-02-0001-01\n"
        + "IDH1\tMissense_Mutation\tTCGA-02-0001-02\n",
        "case_lists/cases_sequenced.txt": "stable_id: lgg_sequenced\ncase_list_ids: TCGA-02-0001-01\tTCGA-06-0002-01\n",
        "data_cna.txt": f"{GENES}TCGA-02-0001-01\tTCGA-06-0002-01\nEGFR\t1956\t2\t-1\nUNKNOWN9\t1\t1\t1\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_whole_study(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    notes = import_cbioportal(study, out)
    clinical = read_clinical(out)
    assert clinical["case_id"].tolist() == ["TCGA-02-0001", "TCGA-06-0002", "TCGA-DU-0003"]
    assert list(clinical.columns) == [
        "case_id", "age_at_diagnosis", "sex", "os_event", "os_months", "pfs_event", "subtype", "grade",
    ]  # fmt: skip
    assert clinical["os_event"].tolist() == ["1", "0", ""]
    assert clinical["os_months"].tolist() == ["12.5", "30", ""]
    assert clinical["pfs_event"].tolist() == ["1", "0", ""]
    assert clinical["age_at_diagnosis"].tolist() == ["60", "41", ""]
    assert clinical["sex"].tolist() == ["male", "female", "female"]
    assert clinical["grade"].tolist() == ["G3", "G2", ""]  # of the primary tumour
    assert clinical["subtype"].tolist() == ["LGG_IDHwt", "", "LGG_IDHmut"]  # the patient's, not the sample's
    expression = read_expression(out)
    assert expression is not None
    assert expression.loc["EGFR"].tolist() == [8, 9]
    assert expression.loc["TWICE"].tolist() == [3, 4]
    assert expression.loc["TP53"].isna().tolist() == [False, True]
    assert list(expression.index) == ["EGFR", "TP53", "TWICE"]
    mutations = read_patients_by_genes(out, "mutations")
    assert mutations is not None
    assert mutations["TP53"].to_dict() == {"TCGA-02-0001": 1, "TCGA-06-0002": 0}
    assert list(mutations.columns) == ["TP53"]  # the recurrence's IDH1 does not count
    copies = read_patients_by_genes(out, "copy_number")
    assert copies is not None
    assert copies["EGFR"].tolist() == [2, -1]
    assert list(copies.columns) == ["EGFR"]
    assert "expression.tsv.gz: 3 genes of 2 patients, from data_mrna_seq_v2_rsem.txt" in notes
    assert [hospital.id for hospital in split_cohort(out, None, tmp_path / "cache")] == ["02", "06", "DU"]


def test_other_case_ids_need_a_column(study: Path, tmp_path: Path) -> None:
    for name in ("data_clinical_patient.txt", "data_mutations.txt", "data_cna.txt", "data_mrna_seq_v2_rsem.txt"):
        (study / name).unlink()
    (study / "data_clinical_sample.txt").write_text(
        "#\nPATIENT_ID\tSAMPLE_ID\tSAMPLE_TYPE\tCENTER\nP1\tS2\tRecurrence\tB\nP1\tS9\tPrimary\tA\nP2\tS3\tPrimary\tB\n"
    )
    notes = import_cbioportal(study, tmp_path / "out")
    clinical = read_clinical(tmp_path / "out")
    assert clinical["center"].tolist() == ["A", "B"]  # of the primary samples
    assert "run with --split column:NAME, the column of the hospital (center may be one)." in " ".join(notes)
    assert "expression.tsv.gz: no data_mrna_seq_*.txt in the study" in notes


def test_genes_and_a_table_by_choice(study: Path, tmp_path: Path) -> None:
    import_cbioportal(study, tmp_path / "out", genes=["TP53"], aux_genes=["IDH1", "UNKNOWN9"])
    expression = read_expression(tmp_path / "out")
    mutations = read_patients_by_genes(tmp_path / "out", "mutations")
    copies = read_patients_by_genes(tmp_path / "out", "copy_number")
    assert expression is not None
    assert mutations is not None
    assert copies is not None
    assert list(expression.index) == ["TP53"]
    assert mutations["IDH1"].tolist() == [0, 0]
    assert copies["UNKNOWN9"].tolist() == [1, 1]
    chosen = study / "data_mrna_seq_v2_rsem_zscores_ref_all_samples.txt"
    import_cbioportal(study, tmp_path / "z", expression=chosen)
    scores = read_expression(tmp_path / "z")
    assert scores is not None
    assert scores.loc["EGFR"].tolist() == [-9]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "data_clinical_patient.txt",
            "1:DECEASED",
            "gone",
            "OS_STATUS: expected '0:LIVING' and '1:DECEASED', got 'gone'",
        ),
        ("data_clinical_sample.txt", "SAMPLE_ID", "SAMPLE", "expected a column 'SAMPLE_ID', got none; add it"),
        ("data_clinical_sample.txt", "0001-02\t", "0001-01\t", "line 7: expected every SAMPLE_ID once, got one again"),
        ("data_clinical_patient.txt", "TCGA-06-0002", "TCGA-02-0001", "PATIENT_ID with every patient once"),
        ("data_clinical_patient.txt", "60\tMale", "60", "line 6: expected 7 cells, got 6"),
        ("data_cna.txt", "\t2\t", "\t5\t", "expected discrete copy number from -2 to 2, got other values"),
        ("data_cna.txt", "Hugo_Symbol", "Gene", "expected 'Hugo_Symbol' first, got 'Gene'"),
        ("data_mrna_seq_v2_rsem.txt", "0001-0", "0009-0", None),
        ("data_mutations.txt", "Variant_Classification", "Class", "expected a column 'Variant_Classification'"),
    ],
)
def test_faults_of_the_study(study: Path, tmp_path: Path, name: str, old: str, new: str, message: str | None) -> None:
    path = study / name
    path.write_text(path.read_text().replace(old, new))
    if message is None:  # a patient fewer is no fault
        import_cbioportal(study, tmp_path / "out")
        return
    with pytest.raises(CohortError, match=message) as caught:
        import_cbioportal(study, tmp_path / "out")
    assert "0001" not in str(caught.value)
    assert not (tmp_path / "out" / "clinical.tsv").exists()


def test_no_study_and_no_new_folder(study: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CohortError, match="expected a study folder of cBioPortal with data_clinical_sample.txt, got no"
    ):
        import_cbioportal(tmp_path, tmp_path / "out")
    import_cbioportal(study, tmp_path / "out")
    with pytest.raises(BadInput, match="--out: expected a new folder, got the cohort"):
        import_cbioportal(study, tmp_path / "out")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    script = Path(simulations.__file__).with_name("import_cohort.py")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(script), run_name="__main__")
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, *capsys.readouterr()

    return run


def test_the_command(study: Path, command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = command("cbioportal", str(study), "--out", str(tmp_path / "out"))
    assert code == 0, err
    assert "mutations.tsv: 2 patients, 1 genes mutated in 2% of them or more" in out
    assert "TCGA-" not in out
    code, _, err = command("cbioportal", str(study), "--out", str(tmp_path / "out"))
    assert code == 2
    assert "name another" in err
