"""What a person reads before approving."""

from collections.abc import Callable

from client.site_ledger import open_budget
from client.terms import describe as described
from shared.resolve import resolve
from shared.site import Site
from shared.study import Study, parse_study
from tests.client.conftest import CONTENT


def describe(study: Study, site: Site) -> str:
    return described(study, site, open_budget(site))


def full(**changes: object) -> Study:
    modalities = {"slides": {"max_patches": 12, "dim": 1280}, "expression": {}, "blood": {}, "clinical": {}}
    return resolve(parse_study({**CONTENT, "modalities": modalities, **changes}))


def test_it_says_what_is_read(make_site: Callable[[str], Site]) -> None:
    text = describe(full(), make_site('[columns]\ngrade = "who_grade"\n'))
    assert "to predict one of G2, G3, G4: grade (here: who_grade) of clinical.tsv" in text
    assert "slides: at most 12 tiles a patient, turned into 1280 numbers each by mobilenet_v2, here" in text
    assert "expression: 105 genes in 6 groups" in text
    assert "blood: 22 analytes" in text
    assert "clinical: age_at_diagnosis, sex" in text


def test_it_says_who_is_responsible(site: Site, study: Study) -> None:
    text = describe(study, site)
    assert f"small, digest {study.digest}" in text
    assert "controller: Example University Hospital" in text
    assert "ethics reference: EK 1/26" in text


def test_a_study_without_governance_says_so(site: Site) -> None:
    content = {key: value for key, value in CONTENT.items() if key != "governance"}
    assert "governance: not stated" in describe(parse_study(content), site)


def test_it_says_what_leaves_and_how_long(site: Site, study: Study) -> None:
    text = describe(study, site)
    assert "5 rounds of 1 pass(es) over the patients, and two more messages" in text
    assert "NOT PRIVATE" in text
    assert "counts and histograms of how well the model does on own test patients, if they are at least 10" in text
    assert "once: count, sum and sum of squares" not in text


def test_expression_sends_gene_sums(site: Site) -> None:
    assert "once: count, sum and sum of squares of each gene, where at least 10 patients have it" in describe(
        full(), site
    )


def test_a_site_that_keeps_its_statistics_reads_so(make_site: Callable[[str], Site], study: Study) -> None:
    text = describe(study, make_site("[disclosure]\nevaluation = false\n"))
    assert "no test statistics" in text
    assert "counts and histograms" not in text


def test_survival_names_both_columns(site: Site) -> None:
    text = describe(full(task={"kind": "survival"}), site)
    assert "to predict survival, in bins cut at 12, 24, 60 months: os_months and os_event of clinical.tsv" in text


def test_further_tasks_and_values_left_out_are_shown(make_site: Callable[[str], Site]) -> None:
    task = {"kind": "classification", "column": "grade + idh", "classes": ["a", "b"], "left_out": ["G1 + wt"]}
    text = describe(
        full(task=task, heads=[{"name": "death", "task": {"kind": "survival"}}]),
        make_site('[columns]\nidh = "idh_status"\n'),
    )
    assert (
        "to predict one of a, b: grade and idh (here: idh_status) of clinical.tsv; patients with G1 + wt are left out"
    ) in text
    assert (
        "a further task, to predict survival, in bins cut at 12, 24, 60 months: os_months and os_event of clinical.tsv"
    ) in text


def test_it_says_what_becomes_of_images_and_described_blood(site: Site) -> None:
    modalities = {
        "slides": {"stain": "macenko"},
        "blood": {"route": "template", "analytes": ["6768-6"], "text_encoder": "all-minilm-l6-v2"},
        "imaging": {"encoder": "resnet50", "max_images": 3},
    }
    text = describe(full(modalities=modalities), site)
    assert "numbers each by mobilenet_v2, here, after Macenko stain normalisation" in text
    assert (
        "blood: 1 analytes (6768-6); results out of range are put into words by a fixed template, and the words are "
        "turned into 384 numbers by all-minilm-l6-v2, here"
    ) in text
    assert (
        "imaging: the lesion cut out of at most 3 clinical images a patient, turned into 2048 numbers each by "
        "resnet50, here"
    ) in text
    stays = text.split("What never leaves\n")[1].split("\n\n")[0]
    assert "identifiers, slides, images, and the text of any error" in stays
    assert "what the encoders here make of each patient's slides and blood and imaging" in stays
    assert "the words that describe a patient's blood results" in stays


def test_a_language_model_and_whole_images_are_named(site: Site) -> None:
    modalities = {"blood": {"route": "local_llm"}, "imaging": {"crop": False}}
    text = describe(full(modalities=modalities), site)
    assert "put into words by this site's own language model" in text
    assert "imaging: the whole of at most 4 clinical images a patient" in text
    assert "the words that describe" not in describe(full(), site)
