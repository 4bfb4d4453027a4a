import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from simulations.report import render_report, write_report

pytestmark = pytest.mark.slow  # together they take seconds

Make = Callable[[str], dict[str, Any]]
CARD = "# Model card: x\n\n> **Research use only.**\n\n| Site | n |\n| --- | --- |\n| HT | 3 |\n"
VOID = {"meta", "br", "link", "img", "path", "use", "rect"}


class Page(HTMLParser):
    """Open tags, ids, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href", "action"):
                self.references.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def pages(
    _made: dict[str, dict[str, Any]], study_toml: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The page of each kind of task, drawn once: its figures take seconds."""
    found = {}
    for kind, metrics in _made.items():
        folder = tmp_path_factory.mktemp(kind)
        (folder / "model-card.md").write_text(CARD)
        found[kind] = write_report(copy.deepcopy(metrics), study_toml, folder)
    return found


@pytest.mark.parametrize("kind", ["classification", "survival"])
def test_one_file_with_everything_in_it(kind: str, pages: dict[str, Path]) -> None:
    path = pages[kind]
    html = path.read_text(encoding="utf-8")
    page = read(html)
    expected = {"report.html", "model-card.md", "figures", "tables"}
    assert {file.name for file in path.parent.iterdir()} == expected
    assert path.stat().st_size < 500_000
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "script" not in page.tags


@pytest.mark.parametrize("kind", ["classification", "survival"])
def test_every_section_is_there(kind: str, pages: dict[str, Path]) -> None:
    html = pages[kind].read_text(encoding="utf-8")
    sections = re.findall(r"<h2>(.*?)</h2>", html)
    own = ["Survival by predicted risk"] if kind == "survival" else []
    alone = [] if kind == "survival" else ["Each modality alone"]
    assert sections == [
        "Training together helped",
        "Results",
        "Own and unseen hospitals",
        "Hospitals and patients",
        "Hospital by hospital",
        "Calibration",
        "By sex and age",
        *own,
        "What each modality adds",
        "Which modalities",
        *alone,
        "Learning",
        "All metrics",
        "How to read this",
        "What was synthetic",
        "Model card",
        "How to repeat it",
        "Figures and tables as files",
    ]
    for text in ("python simulations/run.py --seed 0", "3f9a" * 16, "z-scored over its whole cohort", "flwr 1.41.0"):
        assert text in html
    assert "2 patients (no modality at all), 5 patients (no grade)" in html
    assert "too few hospitals had blood in 1 round" in html


def test_pictures_are_described_and_their_ids_differ(pages: dict[str, Path]) -> None:
    html = pages["classification"].read_text(encoding="utf-8")
    page = read(html)
    pictures = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', html)
    assert len(pictures) == html.count("<svg ") >= 10
    assert len(set(pictures)) == len(pictures)
    assert len(set(page.ids)) == len(page.ids)


def test_null_is_a_dash_with_its_reason_as_a_footnote(pages: dict[str, Path]) -> None:
    html = pages["classification"].read_text(encoding="utf-8")
    assert '<td title="one class">–<sup>a</sup></td>' in html
    assert "<sup>a</sup> one class" in html
    assert not re.search(r"\b(nan|None)\b", re.sub(r'fill="none"|fill: none', "", html))


def test_nothing_that_a_cohort_names_becomes_markup(metrics_of: Make, study_toml: str) -> None:
    metrics = metrics_of("classification")
    evil = "<script>alert('$x^2$')</script>"
    metrics["study"]["name"] = metrics["notes"][0] = metrics["command"] = evil
    metrics["cohort"]["excluded"] = {evil: 1}
    metrics["cohort"]["sites"][evil] = metrics["cohort"]["sites"].pop("HT")
    metrics["cohort"]["unseen"]["classes"] = {evil: 3}
    metrics["arms"]["local"]["sites"][evil] = metrics["arms"]["local"]["sites"].pop("HT")
    metrics["arms"][evil] = metrics["arms"].pop("pooled")
    metrics["arms"]["local"]["own"]["auc"] |= {"value": None, "reason": evil}
    html = render_report(metrics, study_toml)
    assert "<script" not in html
    assert "script" not in read(html).tags
    assert html.count("&lt;script&gt;") > 10


def test_a_hospital_in_other_letters_is_no_warning(metrics_of: Make, study_toml: str) -> None:
    metrics = metrics_of("classification")
    for arm in metrics["arms"].values():
        arm["sites"]["東京 ✚"] = arm["sites"].pop("HT")
    assert "東京" in render_report(metrics, study_toml)


def test_the_same_metrics_make_the_same_page(pages: dict[str, Path], metrics_of: Make, study_toml: str) -> None:
    again = render_report(metrics_of("survival"), study_toml, card=CARD)
    page = pages["survival"].read_text(encoding="utf-8")
    assert again == re.sub(r"<section>\n  <h2>Figures and tables as files.*?</section>\n", "", page, flags=re.DOTALL)


def test_one_arm_and_nothing_else(metrics_of: Make) -> None:
    found = metrics_of("classification")
    own = found["arms"]["federated"]["own"]
    html = render_report({"schema": 1, "arms": {"federated": {"own": own, "own_site_mean": own}}}, "")
    read(html)
    assert "On held-out patients of the training hospitals, the federated model reaches AUC" in html


def test_no_arm_at_all() -> None:
    html = render_report({"schema": 1, "arms": {}}, "")
    read(html)
    assert "could not be computed" in html


@pytest.mark.slow
def test_keys_that_may_be_missing(metrics_of: Make, study_toml: str) -> None:
    full = metrics_of("survival")
    for part in ("arms", "calibration", "fairness"):
        full[part] = {"federated": full[part]["federated"]}
    for key in set(full) - {"arms"}:
        without = {name: value for name, value in full.items() if name not in (key, "curves")}
        read(render_report({**without, "arms": {}}, study_toml))
    for part in ("own", "own_site_mean", "unseen", "sites", "without", "rounds"):
        arm = {name: value for name, value in full["arms"]["federated"].items() if name != part}
        read(render_report({**full, "arms": {"federated": arm}}, study_toml))


def test_what_was_generated_is_said_at_the_top_and_below(plain: dict[str, Any], study_toml: str) -> None:
    assert "Generated data: slides, expression, blood." in render_report(plain, study_toml)
    plain["synthetic"] = []
    html = render_report(plain, study_toml)
    assert "Generated data:" not in html
    assert "No modality was generated." in html


def test_privacy_is_a_table_only_when_it_was_on(plain: dict[str, Any], study_toml: str) -> None:
    off = {"mode": "off", "epsilon": None, "epsilon_replace_one": None, "delta": None}
    plain["privacy"] = {"HT": off}
    assert "No differential privacy was used" in render_report(plain, study_toml)
    plain["privacy"]["HT"] = {"mode": "local", "epsilon": 3.0, "epsilon_replace_one": 5.9, "delta": 1e-5}
    html = render_report(plain, study_toml)
    assert "<td>local</td><td>3.00</td><td>5.90</td><td>1e-05</td>" in html
    assert "No differential privacy was used" not in html


def test_leaving_hospitals_out_in_turn_is_said(plain: dict[str, Any], study_toml: str) -> None:
    plain["protocol"]["name"] = "leave-one-site-out"
    html = render_report(plain, study_toml)
    assert "each hospital left out of training in turn" in html
    assert "never trained on" not in html
    assert 'class="unseen"' not in html


def test_modalities_that_a_hospital_lacks_are_marked(plain: dict[str, Any], study_toml: str) -> None:
    html = render_report(plain, study_toml)
    assert html.count('class="none" title="no patient here has it">–</td>') == 2
