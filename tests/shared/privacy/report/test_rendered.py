"""HTML and PDF: every block, in order, and nothing that names a patient or a machine."""

from io import BytesIO

import pytest
from pypdf import PdfReader

from shared.errors import Refused
from shared.privacy.budget import Budget
from shared.privacy.report import Report, broken_report, site_report, verify_report
from shared.privacy.report.html import render_html
from shared.privacy.report.pdf import render_pdf
from shared.privacy.report.write import FILES, write_reports
from shared.site import Site
from tests.shared.privacy.report import ledgers


def pages(report: Report) -> list[str]:
    """The text of every page, white space as single blanks."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(render_pdf(report))).pages]


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_page_one_is_the_verdict_and_what_it_means(report: Report) -> None:
    first = pages(report)[0]
    assert in_order(
        first,
        "Site A, University Hospital A",
        "WITHIN CAP",
        "Every model update that left this hospital carried noise",
        "privacy loss spent",
        "Someone who is 50 % sure that a patient took part can become at most 67 % sure.",
        "1 in 100,000",
        "The coordinator with other hospitals",
        "Signature",
    )
    assert "sigma" not in first
    assert "What is promised" not in first


def test_page_two_is_promised_beside_not_promised(report: Report) -> None:
    second = pages(report)[1]
    assert in_order(second, "What is promised", "Against whom", "What is not promised", "none sent", "UNACCOUNTED")
    assert "Numbers" not in second


def test_the_other_blocks_follow_in_order_with_numbered_pages(report: Report) -> None:
    found = pages(report)
    assert in_order(" ".join(found[2:]), "D How", "E Numbers", "F Events", "H Integrity", "I Audit", "J Provenance")
    assert all(f"page {number} of {len(found)}" in text for number, text in enumerate(found, start=1))
    assert "No empirical audit was run" in " ".join(found)


def test_the_same_report_makes_the_same_pdf(report: Report) -> None:
    assert render_pdf(report) == render_pdf(report)


def test_every_letter_shape_is_inside_the_pdf(report: Report) -> None:
    for page in PdfReader(BytesIO(render_pdf(report))).pages:
        fonts = page["/Resources"]["/Font"].values()  # type: ignore[index]
        used = [font.get_object() for font in fonts]
        assert used
        assert all("/FontFile2" in font["/FontDescriptor"] for font in used)


def test_the_html_has_every_block_and_needs_nothing_else(report: Report) -> None:
    page = render_html(report)
    assert in_order(page, *(f'<section id="{letter}">' for letter in "ABCGDEFHIJ"))
    assert "http" not in page.lower()
    assert "<script" not in page
    assert "@page" in page


def test_html_and_pdf_say_the_same(report: Report) -> None:
    page, text = render_html(report), " ".join(pages(report))
    for words in ("Grading of gliomas", "EK 2026-17", "acknowledged", "refused: ROUND_INVALID", "who_grade"):
        assert words in page
        assert words in text


@pytest.mark.parametrize("name", ["<b>Klinik & Co</b>", '"/><script>alert(1)</script>', "Łódź, Αθήνα, Киев"])
def test_names_are_shown_as_they_are_and_never_read_as_markup(report: Report, name: str) -> None:
    shown = report.model_copy(update={"title": name})
    assert "<script" not in render_html(shown)
    assert name in pages(shown)[0]


def test_a_very_long_text_is_broken_over_pages(budget: Budget, site: Site) -> None:
    ledgers.approve(budget, governance={**ledgers.GOVERNANCE, "purpose": "research " * 3000})
    ledgers.sent(budget, "histogram " * 2000)
    assert len(pages(site_report(budget.ledger, site))) > 8


def test_what_is_not_private_is_stamped_on_every_page(budget: Budget, site: Site) -> None:
    ledgers.approve(budget, ledgers.PLAIN, private=False)
    ledgers.sent(budget, "plain model updates", ledgers.PLAIN)
    report = site_report(budget.ledger, site)
    assert all("NOT PRIVATE" in text for text in pages(report))
    assert "no bound" in pages(report)[0]
    assert 'class="bad"' in render_html(report)


def test_a_broken_ledger_is_never_told_as_an_empty_one(site: Site) -> None:
    report = broken_report(site, Refused("LEDGER_BROKEN", "x.sqlite: entry 7: its content does not have its hash"))
    text = " ".join(pages(report))
    assert text.count("Not known: the ledger cannot be relied on.") >= 4
    assert "entry 7: its content does not have its hash" in text
    for words in ("none sent", "Nothing was charged", "Nothing was sent", "No round was", "none recorded"):
        assert words not in text
        assert words not in render_html(report)


def test_three_files_are_written_and_replaced_whole(report: Report, site: Site) -> None:
    folder = site.state
    folder.mkdir()
    paths = write_reports(report, folder)
    assert [path.name for path in paths] == list(FILES) == sorted(FILES, key=FILES.index)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_reports(report, folder)] == before
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert verify_report(paths[0].read_text())
    assert before[2].startswith(b"%PDF")
