"""What was fetched is a cohort that a run trains on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shared.study import Study
from simulations.simulate import Options as RunOptions
from simulations.simulate import simulate
from simulations.tcga.cohort import Options, carry_out, make_plan
from simulations.tcga.gdc import Gdc
from tests.gdc_server import FakeGdc, serving

STAR = (
    "# gene-model: GENCODE v36\ngene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded\nN_unmapped\t\t\t1\t1\t1\t\t\t\n"
)


@pytest.mark.slow
def test_from_the_gdc_to_a_report(make_study: Callable[..., Study], tmp_path: Path) -> None:
    rng, gdc = np.random.default_rng(0), FakeGdc()
    for site in ("HT", "DU", "06"):
        for number in range(26):
            case, grade = f"TCGA-{site}-{number:04d}", f"G{2 + number % 3}"
            days = float(rng.integers(100, 2000))
            gdc.cases.append(
                {
                    "submitter_id": case,
                    "project": {"project_id": "TCGA-LGG"},
                    "demographic": {"gender": "male", "vital_status": "Dead", "days_to_death": days},
                    "diagnoses": [{"age_at_diagnosis": 15000 + 10 * number, "tumor_grade": grade}],
                }
            )
            tpm = rng.lognormal(3, 0.3, 6) * (1 + (number % 3) * np.linspace(0, 1, 6))
            rows = [f"ENSG0000000000{i}.1\tGENE{i}\tprotein_coding\t1\t1\t1\t{v:.4f}\t1\t1" for i, v in enumerate(tpm)]
            gdc.add_file(
                f"e-{case}",
                f"{case}.rna_seq.augmented_star_gene_counts.tsv",
                (STAR + "\n".join(rows) + "\n").encode(),
                data_type="Gene Expression Quantification",
                analysis={"workflow_type": "STAR - Counts"},
                cases=[{"submitter_id": case, "project": {"project_id": "TCGA-LGG"}}],
                associated_entities=[{"entity_submitter_id": f"{case}-01A-11R-0001-07"}],
            )
    cohort = tmp_path / "cohort"
    with serving(gdc), Gdc(gdc.url) as connection:
        plan = make_plan(connection, Options(("TCGA-LGG",), cohort))
        carry_out(connection, plan, lambda what, done, total: None, lambda line: None)
    options = RunOptions(
        make_study("training.rounds=3"),
        cohort=str(cohort),
        arms=("federated", "pooled"),
        out=tmp_path / "run",
        cache=tmp_path / "cache",
    )
    said: list[str] = []
    folder, metrics = simulate(options, lambda what, done, total: None, said.append)
    assert {site: found["patients"] for site, found in metrics["cohort"]["sites"].items()} == {
        "06": 26,
        "DU": 26,
        "HT": 26,
    }
    assert metrics["arms"]["federated"]["own"]["accuracy"]["value"] > 0.4
    assert any("06 and DU: Henry Ford Hospital" in note for note in metrics["notes"])
    assert "TCGA-HT" not in (folder / "report.html").read_text() + (folder / "metrics.json").read_text()
