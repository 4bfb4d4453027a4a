from client.prepare.page import render_page, write_reports
from client.prepare.report import PrepareReport
from client.prepare.settings import PrepareSettings
from shared.study import Slides

SETTINGS = PrepareSettings(modalities=("slides",), slides=Slides())


def reported(folder) -> PrepareReport:
    report = PrepareReport(folder)
    report.add("slides/a.svs", "used", "4 patches", key="aaaa", case_id="P1")
    report.add("slides/b.svs", "left out", "expected a slide, got <an empty file>; copy it again", key="bbbb")
    report.add("blood.csv", "left out", "line 3: expected a number, got 'x'; correct it", key="aaaa", case_id="P1")
    report.add("blood.csv", "left out", "line 9: expected a number, got 'x'; correct it", key="bbbb", case_id="P2")
    report.cover("blood", "Alkaline phosphatase", 1, 4)
    return report


def test_the_page_counts_and_gives_reasons(make_site, tmp_path):
    page = render_page(make_site({}), [(SETTINGS, reported(tmp_path))])
    assert '<td>blood.csv</td><td class="n used">0</td><td class="n noted">0</td><td class="n out">2</td>' in page
    assert '<td class="n">2</td><td>expected a number, got &#39;x&#39;; correct it</td>' in page
    assert "got &lt;an empty file&gt;" in page
    assert "1 of 4" in page
    assert "width: 25.0%" in page


def test_nothing_outside_is_referred_to(make_site, tmp_path):
    page = render_page(make_site({}), [(SETTINGS, reported(tmp_path))])
    assert "http" not in page
    assert "<script" not in page


def test_a_page_without_faults_says_so(make_site, tmp_path):
    site = make_site({})
    site.state.mkdir()
    write_reports(site, [(SETTINGS, PrepareReport(tmp_path))])
    assert "Nothing was left out." in (site.state / "prepare-report.html").read_text()


def test_two_studies_have_one_report(make_site, tmp_path):
    site, other = make_site({}), PrepareReport(tmp_path / "other")
    other.add("slides/b.svs", "left out", "expected a slide, got <an empty file>; copy it again", key="bbbb")
    other.add("slides/c.svs", "left out", "zero tiles", key="cccc")
    settings = PrepareSettings(modalities=("slides",), slides=Slides(tile=256))
    site.state.mkdir()
    write_reports(site, [(SETTINGS, reported(tmp_path)), (settings, other)])
    report = PrepareReport.read(site.state / "prepare-report.csv", tmp_path)
    assert [row.file for row in report.rows] == [
        "slides/a.svs",
        "slides/b.svs",
        "blood.csv",
        "blood.csv",
        "slides/c.svs",
    ]
    assert settings.digest[:12] in (site.state / "prepare-report.html").read_text()
