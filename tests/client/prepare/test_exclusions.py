import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from client.prepare import exclusions
from client.prepare.exclusions import exclude
from shared.cohort.tables import read_exclusions
from shared.errors import BadInput

CLINICAL = {"clinical.tsv": "case_id\tsex\nP1\tmale\nP2\tfemale\nP3\tmale\n"}


def test_a_new_file_has_date_and_reason(make_site):
    site = make_site(CLINICAL)
    assert exclude(site, ("P2",), "moved, to another hospital") == ("P2",)
    lines = (site.data / "exclude.csv").read_text().splitlines()
    assert lines[0] == "case_id,date,reason"
    assert lines[1].startswith("P2,20")
    assert lines[1].endswith(',"moved, to another hospital"')


def test_what_a_person_wrote_stays_as_it_is(make_site):
    written = "reason,case_id,by\nold,P1,Dr. Example"  # no newline at the end
    site = make_site({**CLINICAL, "exclude.csv": written})
    assert exclude(site, ("P1", "P3", "P3"), "new") == ("P3",)
    assert (site.data / "exclude.csv").read_text() == written + "\nnew,P3,\n"
    assert read_exclusions(site.data) == {"P1", "P3"}


def test_an_unknown_patient_is_refused_and_nothing_is_written(make_site):
    site = make_site(CLINICAL)
    with pytest.raises(BadInput, match=r"expected patients of clinical.tsv, got 1 of 2 that it does not list; check"):
        exclude(site, ("P1", "p2"), "")
    assert not (site.data / "exclude.csv").exists()


def test_two_at_once_lose_nobody(make_site, monkeypatch):
    site = make_site({**CLINICAL, "exclude.csv": "case_id\nP1\n"})
    both, reading = threading.Barrier(2), exclusions.read_sheet

    def slow(path):
        sheet = reading(path)
        with suppress(threading.BrokenBarrierError):  # with a lock, the other never comes
            both.wait(timeout=0.5)
        return sheet

    monkeypatch.setattr(exclusions, "read_sheet", slow)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda case_id: exclude(site, (case_id,), ""), ("P2", "P3")))
    assert read_exclusions(site.data) == {"P1", "P2", "P3"}


def test_a_patient_known_otherwise_needs_no_line_in_clinical(make_site):
    site = make_site(CLINICAL)
    with pytest.raises(BadInput, match="got 1 of 2"):
        exclude(site, ("P8", "P9"), "", known={"P8"})
    assert exclude(site, ("P8",), "", known={"P8"}) == ("P8",)
    assert read_exclusions(site.data) == {"P8"}
