import numpy as np
import pytest

from client.prepare.blood.describe import build_describer
from client.prepare.blood.results import Result
from client.prepare.blood.text import blood_text
from client.prepare.patients import read_roster
from shared.digests import sha256_bytes
from shared.errors import EncoderError, SiteFileError
from shared.study import Blood

CLINICAL = "case_id\tsex\na\tmale\nb\tmale\nc\tmale\nd\tmale\n"
BLOOD = (
    "case_id,analyte,value,unit,ref_low,ref_high\n"
    "a,ALP,312,U/L,45,125\na,HGB,14,g/dL,12,16\nb,HGB,140,g/L,120,160\nc,HGB,lost,g/dL,12,16\n"
)
ANALYTES = ("6768-6", "718-7")


def settings(route="template", **more):
    return Blood(route=route, analytes=ANALYTES, text_encoder="tiny", text_dim=8, **more)


def site_of(make_site, bert, blood=BLOOD, sections=""):
    files = {"clinical.tsv": CLINICAL} | ({"blood.csv": blood} if blood else {})
    return make_site(files, f'[encoders.tiny]\npath = "{bert}"\n{sections}')


def test_described_results_become_features(make_site, report, bert):
    site = site_of(make_site, bert)
    roster = read_roster(site)
    text = blood_text(site, roster, settings(), report)
    assert text.features.shape == (4, 8)
    assert text.features.dtype == np.float32
    assert text.keys == tuple(roster.table["key"])
    said = "Alkaline phosphatase is elevated (312 U/L, reference 45-125), 2.5 times the upper limit."
    digests = [sha256_bytes(sentence.encode()) for sentence in (said, "No abnormal blood biomarkers.")]
    assert text.text_sha256 == (*digests, "", "")  # c has no usable row, d none at all
    np.testing.assert_array_equal(text.present, [True, True, False, False])
    assert not text.features[2:].any()
    assert np.abs(text.features[0] - text.features[1]).max() > 1e-3
    assert [(c.name, c.found, c.total) for c in report.coverage] == [("ALP", 1, 4), ("HGB", 2, 4)]
    assert [row.state for row in report.rows] == ["left out", "used"]
    assert not (site.state / "blood_text").exists()  # no text is kept


def test_two_runs_are_bit_identical(make_site, report, bert):
    site = site_of(make_site, bert)
    one, two = (blood_text(site, read_roster(site), settings(), report) for _ in range(2))
    assert one.features.tobytes() == two.features.tobytes()


@pytest.mark.parametrize("blood", [None, "case_id,analyte\na,ALP\n", "case_id,analyte,value,unit\na,ALP\n"])
def test_without_a_usable_file_nobody_has_blood(make_site, report, bert, blood):
    site = site_of(make_site, bert, blood)
    assert not blood_text(site, read_roster(site), settings(), report).present.any()
    assert [row.state for row in report.rows] == (["left out"] if blood else [])


def test_a_site_without_blood_needs_no_encoder(make_site, report):
    site = make_site({"clinical.tsv": CLINICAL})
    text = blood_text(site, read_roster(site), settings(), report)
    assert text.features.shape == (4, 8)
    assert not text.present.any()


def test_another_encoder_than_the_studys_is_refused(make_site, report, bert):
    site = site_of(make_site, bert)
    with pytest.raises(EncoderError, match="expected weights of tiny with SHA-256 aaaa"):
        blood_text(site, read_roster(site), settings(text_encoder_sha256="a" * 64), report)


@pytest.mark.parametrize("sections", ["", '[blood]\nllm = "nowhere"\n'])
def test_a_local_model_must_be_named_by_the_site_file(make_site, report, bert, sections):
    site = site_of(make_site, bert, sections=sections)
    with pytest.raises(
        SiteFileError, match=r"site A: \[blood\] llm: expected the folder of a transformers causal model"
    ):
        blood_text(site, read_roster(site), settings("local_llm"), report)


def test_a_local_model_describes_from_its_folder(make_site, report, bert, causal, monkeypatch):
    monkeypatch.setattr("client.prepare.blood.local_llm.MAX_NEW_TOKENS", 8)
    site = site_of(make_site, bert, sections=f'[blood]\nllm = "{causal}"\n[compute]\ndevice = "cpu"\n')
    text = blood_text(site, read_roster(site), settings("local_llm"), report)
    assert text.text_sha256 == blood_text(site, read_roster(site), settings(), report).text_sha256  # garbage refused
    assert [row.state for row in report.rows] == ["left out", "used", "noted", "left out", "used"]
    assert len(list((site.state / "blood_text").iterdir())) == 1  # only the patient with an abnormal result


def test_the_template_is_the_describer_of_its_route(make_site, report, bert):
    describe = build_describer(site_of(make_site, bert), settings(), report)
    assert describe([Result("718-7", 14, 12, 16)]) == "No abnormal blood biomarkers."
