import errno
import os

from client.prepare.fingerprint import FileHashes
from client.prepare.patients import read_roster
from client.prepare.slides import jobs
from client.prepare.slides.jobs import find_jobs
from shared.study import Slides


def found(site, report):
    return find_jobs(site, Slides(), site.state / "slides", read_roster(site), FileHashes(site), report)


def outcome(report):
    return {row.file: row.reason for row in report.rows}


def files(*slides):
    rows = "".join(f"P\t{slide}\n" for slide in slides)
    return {"clinical.tsv": "case_id\nP\n", "slides.tsv": f"case_id\tslide_id\n{rows}"}


def test_links_to_nothing_and_pipes_cost_themselves_alone(make_site, report):
    site = make_site(files("a", "b", "c", "d"))
    (site.data / "slides/a.svs").symlink_to(site.data / "nowhere")
    (site.data / "slides/b").symlink_to("b")
    os.mkfifo(site.data / "slides/c")
    (site.data / "slides/d.SVS").write_text("slide")
    os.mkfifo(site.data / "slides/not-listed")
    (site.data / "slides/neither").symlink_to(site.data / "nowhere")
    (site.data / "slides/not-listed.svs").write_text("slide")
    assert [(job.slide_id, job.source.name) for job in found(site, report)] == [("d", "d.SVS")]
    assert outcome(report) == {
        **{f"slides/{slide}": "listed in slides.tsv, but no such file" for slide in "abc"},
        "slides/not-listed.svs": "not listed in slides.tsv, so nobody's",
    }


def test_a_slide_that_cannot_be_read_costs_itself_alone(make_site, report, monkeypatch):
    site = make_site(files("a.vms", "b.svs"))
    for name in ("a.vms", "b.svs"):
        (site.data / "slides" / name).write_text("slide")
    parts = jobs.slide_parts

    def refuse(path):
        if path.suffix == ".vms":
            raise PermissionError(errno.EACCES, "Permission denied")
        return parts(path)

    monkeypatch.setattr(jobs, "slide_parts", refuse)
    assert [job.slide_id for job in found(site, report)] == ["b"]
    assert outcome(report) == {"slides/a.vms": "expected a readable file, got Permission denied; check its permissions"}
