"""Site files: folders, columns, and every fault at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SiteFileError
from shared.site import ColumnRule, Site, read_site

SITE = 'schema = 1\n[site]\nid = "06"\n'


def write(folder: Path, text: str) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "site.toml").write_text(text)
    return folder / "site.toml"


def read(folder: Path, text: str) -> Site:
    return read_site(write(folder, text))


def test_the_smallest_site_file(tmp_path: Path) -> None:
    site = read(tmp_path, SITE)
    assert site.id == "06"
    assert (site.data, site.state) == (tmp_path / "data", tmp_path / "state")
    assert site.disclosure.min_patients == 10
    assert site.column_rule("grade") == ColumnRule(source="grade", factor=1.0)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, SITE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    site = read_site(Path("site.toml"))
    monkeypatch.chdir("elsewhere")
    assert site.data.is_dir()
    assert site.path("keys/a") == file.parent / "keys/a"
    assert site.path("/etc/a") == Path("/etc/a")


@pytest.mark.parametrize(
    ("text", "source", "factor"),
    [
        ("grade", "grade", 1.0),
        ("survival_days / 30.44", "survival_days", 1 / 30.44),
        ("years*12", "years", 12.0),
        (" follow up time  / 2 ", "follow up time", 0.5),
        ("OS-time", "OS-time", 1.0),
    ],
)
def test_a_column_rule(text: str, source: str, factor: float) -> None:
    assert ColumnRule.read(text) == ColumnRule(source=source, factor=factor)


@pytest.mark.parametrize("text", ["", " ", "days / 0", "days / x", "/ 30", "days * ", "a / 2 / 3", "days / -1"])
def test_what_is_no_column_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected NAME, NAME / NUMBER or NAME \* NUMBER, got .*; write e\.g\."):
        ColumnRule.read(text)


@given(st.text(max_size=30))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = ColumnRule.read(text)
    except ValueError:
        return
    assert rule.source == rule.source.strip() != ""
    assert rule.factor > 0


def test_a_mapped_column_and_its_values(tmp_path: Path) -> None:
    site = read(tmp_path, SITE + '[columns]\nos_months = "days / 30"\n[values.grade]\n"II" = "G2"\n')
    assert site.column_rule("os_months") == ColumnRule(source="days", factor=1 / 30)
    assert site.values == {"grade": {"II": "G2"}}


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    text = (
        'schema = 1\n[site]\nid = "A/B"\n[disclosure]\nmin_patient = 5\nevaluation = "no"\n[compute]\nworkers = 0\n'
        '[expression]\nscale = "rpkm"\n[columns]\nos_months = "days / 0"\ngrade = ""\n[superlink]\naddress = "host"\n'
    )
    with pytest.raises(SiteFileError) as caught:
        read(tmp_path, text)
    first, *faults = str(caught.value).split("\n")
    assert first.endswith("site.toml: 10 faults")
    assert {fault.split(": ")[0].strip() for fault in faults} == {
        *("site.id", "disclosure.min_patient", "disclosure.evaluation", "compute.workers", "expression.scale"),
        *("columns", "superlink.address", "superlink.root_certificates", "superlink.private_key"),
    }
    assert "  disclosure.min_patient: expected a known key, got an unknown one; write 'min_patients'" in faults
    assert (
        "  columns: os_months: expected NAME, NAME / NUMBER or NAME * NUMBER, got 'days / 0'; write e.g. "
        '"days / 30.44"' in faults
    )
    assert "  expression.scale: expected 'tpm', 'counts', 'log2' or 'z', got \"rpkm\"; correct the value" in faults


@pytest.mark.parametrize("data", ["both", "both/", "./both"])
def test_data_and_state_in_one_folder_are_refused(tmp_path: Path, data: str) -> None:
    with pytest.raises(SiteFileError, match="expected data and state in two folders, got"):
        read(tmp_path, SITE + f'data = "{data}"\nstate = "both"\n')


@pytest.mark.parametrize(
    "written", ["", 'encoder_sha256 = ""', 'encoder_sha256 = "abc"', f'encoder_sha256 = "{"A" * 64}"']
)
def test_features_of_unknown_weights_are_refused(tmp_path: Path, written: str) -> None:
    match = r"features.encoder_sha256: expected the SHA-256 \(64 hex digits.* got '.*'; ask whoever extracted them"
    with pytest.raises(SiteFileError, match=match):
        read(tmp_path, SITE + f'[features]\nencoder = "uni"\n{written}\n')


def test_features_of_known_weights_are_accepted(tmp_path: Path) -> None:
    site = read(tmp_path, SITE + f'[features]\nencoder = "uni"\nencoder_sha256 = "{"a1" * 32}"\n')
    assert site.features is not None
    assert site.features.encoder_sha256 == "a1" * 32


def test_an_encoders_scaling_is_its_own_unless_written(tmp_path: Path) -> None:
    site = read(tmp_path, SITE + '[encoders.uni]\npath = "uni"\n[encoders.conch]\npath = "c"\nmean = [0.1, 0.2, 0.3]\n')
    assert (site.encoders["uni"].mean, site.encoders["uni"].std) == (None, None)
    assert (site.encoders["conch"].mean, site.encoders["conch"].std) == ((0.1, 0.2, 0.3), None)
    with pytest.raises(SiteFileError, match=r"encoders.uni.std.*: expected greater than 0, got 0"):
        read(tmp_path, SITE + '[encoders.uni]\npath = "uni"\nstd = [0.2, 0, 0.2]\n')


@pytest.mark.parametrize("key", ["features_days", "logs_days"])
def test_a_retention_that_nothing_would_keep_is_refused(tmp_path: Path, key: str) -> None:
    match = rf"retention.{key}: expected 0, since this version deletes nothing by itself, got 30; write 0, and delete"
    with pytest.raises(SiteFileError, match=match):
        read(tmp_path, SITE + f"[retention]\n{key} = 30\n")
    read(tmp_path, SITE + f"[retention]\n{key} = 0\n")


def test_a_missing_data_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="site.data: expected an existing folder, got 'gone/'; create it or"):
        read(tmp_path, SITE + 'data = "gone/"\n')


def test_another_schema_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="schema: expected 1, got 2; correct the value"):
        read(tmp_path, SITE.replace("1", "2", 1))
