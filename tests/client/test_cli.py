"""`mmfed-client` from outside: which site, approvals, exit codes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from client.approvals import approve, approved, list_approvals
from client.cli import app
from shared.errors import BadInput, SiteFileError
from shared.site import Site
from shared.study import Study

runner = CliRunner()


@pytest.fixture
def study_file(study: Study, tmp_path: Path) -> Path:
    path = tmp_path / "study.json"
    path.write_text(study.canonical())
    return path


def at(site: Site, *rest: str, answer: str | None = None):
    return runner.invoke(app, ["--site", "A", "--config", str(site.data.parent / "site.toml"), *rest], input=answer)


def test_every_command_has_help_with_an_example() -> None:
    group = typer.main.get_command(app)
    assert "mmfed-client --site A" in group.epilog
    for name, command in group.commands.items():
        assert command.help, name
        assert f"mmfed-client --site A {name}" in command.epilog, name


def test_help_needs_no_site_file() -> None:
    assert runner.invoke(app, ["--site", "nowhere", "approve", "--help"]).exit_code == 0


def test_approve_shows_the_terms_and_records_the_person(site: Site, study: Study, study_file: Path) -> None:
    result = at(site, "approve", str(study_file), "--yes", "--person", "Dr. Ada Example")
    assert result.exit_code == 0, result.output
    assert "What leaves this site" in result.output
    assert "NOT PRIVATE" in result.output
    assert [entry.person for entry in list_approvals(site)] == ["Dr. Ada Example"]
    assert approved(site, study.digest)


def test_approve_asks_a_person(site: Site, study: Study, study_file: Path) -> None:
    result = at(site, "approve", str(study_file), answer="y\n")
    assert isinstance(result.exception, BadInput)
    assert "expected a person to answer, got no terminal; add --yes" in str(result.exception)
    assert not approved(site, study.digest)


def test_approve_refuses_what_the_site_file_rules_out(
    make_site: Callable[[str], Site], study: Study, study_file: Path
) -> None:
    site = make_site("[privacy]\nepsilon_cap = 8.0\n")
    result = at(site, "approve", str(study_file), "--yes")
    assert isinstance(result.exception, BadInput)
    assert "epsilon_cap of 8.0" in str(result.exception)
    assert not approved(site, study.digest)


def test_approve_wants_a_study(site: Site) -> None:
    result = at(site, "approve")
    assert isinstance(result.exception, BadInput)
    assert "expected a study file or --list, got neither" in str(result.exception)


def test_the_list_shows_what_stands_and_what_was_revoked(site: Site, study: Study, another: Study) -> None:
    assert at(site, "approve", "--list").output == "site A has approved nothing yet\n"
    approve(site, study, person="first")
    approve(site, another, person="second")
    assert "revoked" in at(site, "revoke", study.digest[:10]).output
    lines = at(site, "approve", "--list").output.splitlines()
    assert lines[0].startswith(f"{study.digest[:12]}  small  approved ")
    assert "by first  revoked 20" in lines[0]
    assert lines[1].endswith("by second  stands")


def test_the_file_of_another_site_is_refused(site: Site) -> None:
    result = runner.invoke(app, ["--site", "B", "--config", str(site.data.parent / "site.toml"), "approve", "--list"])
    assert isinstance(result.exception, SiteFileError)
    assert "site.id: expected 'B' as in --site, got 'A'" in str(result.exception)


def test_the_site_file_is_found_by_the_sites_id(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "A").rename(tmp_path / "sites" / "A")
    monkeypatch.chdir(tmp_path)
    assert runner.invoke(app, ["--site", "A", "approve", "--list"]).output == "site A has approved nothing yet\n"


def test_taking_part_needs_a_superlink_section(site: Site) -> None:
    result = at(site)
    assert isinstance(result.exception, SiteFileError)
    assert "superlink: expected a [superlink] section" in str(result.exception)


def test_a_site_that_is_not_there_is_said_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for rest in ([], ["approve", "--list"]):
        with pytest.raises(SiteFileError, match=r"sites/Z/site\.toml: expected the site file of 'Z', got no such file"):
            runner.invoke(app, ["--site", "Z", *rest], catch_exceptions=False)


def test_taking_part_begins_with_what_is_approved(make_site: Callable[[str], Site], study: Study) -> None:
    site = make_site("")
    said = at(site).output
    assert "site A has approved no study and refuses every order" in said
    assert "`mmfed-client --site A approve study.json`" in said
    approve(site, study, person="p")
    assert at(site).output == f"study small, {study.digest[:12]}: approved\n"
    make_site('[columns]\ngrade = "grading"\n')
    assert f"study small, {study.digest[:12]}: refused until" in at(site).output


CLINICAL = "case_id\tage_at_diagnosis\tsex\tgrade\nP1\t50\tmale\tG2\nP2\t\t\tG3\nP3\t61\tfemale\tII\n"


def test_approve_refuses_what_check_finds_wrong(site: Site, study: Study, study_file: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    result = at(site, "approve", str(study_file), "--yes")
    assert isinstance(result.exception, BadInput)
    assert "II" in str(result.exception)
    assert not approved(site, study.digest)
    (site.data / "clinical.tsv").write_text(CLINICAL.replace("II", "G4"))
    assert at(site, "approve", str(study_file), "--yes").exit_code == 0
    assert approved(site, study.digest)
