"""What the coordinator makes of ledger heads: kept over runs, told to others, and never two with one parent."""

import json
import shutil
from pathlib import Path

import pytest

from server.exchange import Rejected
from server.heads import Heads
from shared.errors import WorkFailed
from shared.privacy.budget import Budget, Policy
from shared.privacy.head import Head
from shared.privacy.ledger import Ledger

POLICY = Policy(8.0, 1e-5, "p")


def budget(folder: Path, site: str = "A") -> Budget:
    return Budget(Ledger.open(folder, site), POLICY)


def shown(from_: Budget, round_: int = 1) -> str:
    return from_.export(digest="d" * 64, run="1", round_=round_, seen={}).text()


def test_heads_that_follow_one_another_are_kept_and_echoed(tmp_path: Path) -> None:
    heads, ledger = Heads(tmp_path / "heads.json"), budget(tmp_path / "A")
    assert heads.echo("A") == ""
    first = shown(ledger)
    heads.take("A", first)
    heads.take("A", first)  # an answer that was sent again
    heads.take("A", shown(ledger, 2))
    assert [head.seq for head in heads.seen["A"]] == [2, 3]
    again = Heads(tmp_path / "heads.json")
    assert again.echo("A") == heads.echo("A")
    assert again.last()["A"].seq == 3


def test_a_site_whose_answers_were_lost_goes_on(tmp_path: Path) -> None:
    heads, ledger = Heads(), budget(tmp_path / "A")
    heads.take("A", shown(ledger))
    for round_ in (2, 3):
        shown(ledger, round_)
    assert heads.take("A", shown(ledger, 4)).seq == 5


def test_the_others_are_told_of_a_head_by_the_fingerprint_of_its_key(tmp_path: Path) -> None:
    heads = Heads()
    for site in "AB":
        heads.take(site, shown(budget(tmp_path / site, site)))
    ((fingerprint, told),) = json.loads(heads.told_to("A")).items()
    assert len(fingerprint) == 16
    assert told == [heads.last()["B"].seq, heads.last()["B"].hash]
    assert '"B"' not in heads.told_to("A")


def test_a_copied_ledger_is_refused(tmp_path: Path) -> None:
    heads, original = Heads(), budget(tmp_path / "A")
    heads.take("A", shown(original))
    shutil.copytree(tmp_path / "A", tmp_path / "copy")
    copy = budget(tmp_path / "copy")
    heads.take("A", shown(original, 2))
    with pytest.raises(Rejected, match="got two heads with one parent: a copy or a restored backup"):
        heads.take("A", shown(copy, 2))


def test_an_older_ledger_is_refused(tmp_path: Path) -> None:
    heads, original = Heads(), budget(tmp_path / "A")
    for round_ in (1, 2, 3):
        text = shown(original, round_)
        if round_ == 1:
            old = text
    heads.take("A", text)
    with pytest.raises(Rejected, match="expected a ledger head after the last one, got an older one"):
        heads.take("A", old)


def test_a_ledger_made_anew_is_refused_until_the_coordinator_knows(tmp_path: Path) -> None:
    heads = Heads()
    heads.take("A", shown(budget(tmp_path / "A")))
    with pytest.raises(Rejected, match="expected the ledger key this site has always used, got another"):
        heads.take("A", shown(budget(tmp_path / "anew")))


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_no_head_is_no_answer(text: str) -> None:
    with pytest.raises(Rejected, match="expected a signed ledger head, got none that can be read"):
        Heads().take("A", text)


def test_a_forged_head_is_refused(tmp_path: Path) -> None:
    head = Head.parse(shown(budget(tmp_path / "A")))
    forged = Head(head.site, head.seq + 1, head.hash, head.parent, head.key, head.sig)
    for site, text in (("A", forged.text()), ("B", head.text())):
        with pytest.raises(Rejected, match="got one that is not genuine"):
            Heads().take(site, text)


def test_a_damaged_file_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "heads.json").write_text('{"A": ["x"]}')
    with pytest.raises(WorkFailed, match="expected the ledger heads of earlier runs"):
        Heads(tmp_path / "heads.json")
