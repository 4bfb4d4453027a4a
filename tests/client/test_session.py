"""What a site holds, and what is too few to be held."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.session import Session, admitted_study, open_session
from shared.cohort.normalise import GeneStatistics
from shared.errors import Refused
from shared.site import Site, read_site
from tests.federation import RARE_PATIENTS, prepared_site, tiny_study, write_site

STUDY = tiny_study()


def refusal(code: str, *args: Any) -> str:
    with pytest.raises(Refused) as caught:
        Session(*args)
    assert caught.value.code == code
    return str(caught.value)


def small_site(folder: Path, classes: tuple[int, int, int], sections: str = "", **more: Any) -> Site:
    return prepared_site(write_site(folder, classes, sections=sections, **more), STUDY)


def test_what_a_site_holds(sites: dict[str, Path]) -> None:
    a, c = (Session(read_site(sites[site]), STUDY) for site in "AC")
    assert a.held == ("expression", "clinical")
    assert a.counts == {"expression": 12, "clinical": 12, "fusion": 12}
    assert c.held == ("clinical",)
    assert c.counts == {"clinical": 12, "fusion": 12}


def test_too_few_training_patients(tmp_path: Path) -> None:
    site = small_site(tmp_path / "D", (6, 6, 4))
    assert refusal("TOO_FEW_PATIENTS", site, STUDY) == (
        "expected at least 10 training patients, got 8; this site cannot take part"
    )
    willing = small_site(tmp_path / "E", (6, 6, 4), "[disclosure]\nmin_patients = 8\n")
    assert Session(willing, STUDY).counts["fusion"] == 8


def test_a_modality_of_too_few_patients_is_not_held(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (8, 8, 8))
    table = file.parent / "data" / "expression.tsv"
    rows = [line.split("\t")[:10] for line in table.read_text().splitlines()]  # nine patients, before the split
    table.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    session = Session(prepared_site(file, STUDY), STUDY)
    assert session.held == ("clinical",)
    train, test = session.patients(None)
    assert not train.expression.any()
    assert not train.present[:, 0].any()
    assert not test.expression_observed.any()


def test_a_site_that_was_not_prepared(tmp_path: Path) -> None:
    site = read_site(write_site(tmp_path / "A", (8, 8, 8)))
    assert "run `mmfed-client prepare`" in refusal("NOT_PREPARED", site, STUDY)


def test_a_site_without_the_label(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (8, 8, 8))
    table = file.parent / "data" / "clinical.tsv"
    text = table.read_text()
    for grade in ("G2", "G3", "G4"):
        text = text.replace(f"\t{grade}\n", "\t\n")
    table.write_text(text)
    assert "got none of 24; run `check`" in refusal("NO_PATIENTS", prepared_site(file, STUDY), STUDY)


def test_gene_sums_of_too_few_patients_are_zero(sites: dict[str, Path]) -> None:
    data = Session(read_site(sites["A"]), STUDY).data
    columns = ["BRCA1", "EGFR", "MSH6", "PALB2", "TP53"]
    sums = data.sums(10)
    assert dict(zip(columns, sums[0], strict=True)) == {"BRCA1": 12, "EGFR": 12, "MSH6": 0, "PALB2": 12, "TP53": 12}
    assert (sums[:, 2] == 0).all()
    assert 0 < data.train_sums[0, 2] <= RARE_PATIENTS
    assert data.sums(13).sum() == 0
    assert Session(read_site(sites["C"]), STUDY).data.sums(10).shape == (3, 5)


def test_training_and_test_patients_are_normalised_alike(sites: dict[str, Path]) -> None:
    session = Session(read_site(sites["A"]), STUDY)
    statistics = GeneStatistics(np.stack([np.full(5, 5.0), np.full(5, 2.0)]))
    train, test = session.patients(statistics)
    assert (len(train), len(test)) == (12, 12)
    assert not set(train.case_id) & set(test.case_id)
    raw = session.data.patients
    np.testing.assert_allclose(test.expression[:, 0], (raw.take(session.data.test).expression[:, 0] - 5) / 2, rtol=1e-5)
    assert session.patients(GeneStatistics(statistics.table.copy()))[0] is train
    assert session.patients(None)[0] is not train


def test_a_session_is_opened_once(sites: dict[str, Path]) -> None:
    text = base64.b64encode(STUDY.canonical().encode()).decode()
    first, second = (open_session(admitted_study(sites["A"], text, STUDY.digest, STUDY.digest)) for _ in range(2))
    assert first is second
    with pytest.raises(Refused, match="expected the message to carry the digest"):
        admitted_study(sites["A"], text, STUDY.digest, "other")
