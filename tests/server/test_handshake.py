"""Who may take part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from server.exchange import Rejected
from server.handshake import Members, parse_greeting
from shared import __version__
from shared.messages import HandshakeReply
from shared.study import Study
from tests.federation import GROUPS, tiny_study

STUDY = tiny_study(modalities={"slides": {}})
EXPRESSION = STUDY.modalities.expression
assert EXPRESSION is not None
GENES = len({gene for genes in GROUPS.values() for gene in genes})
ONE, TWO = "1" * 64, "2" * 64
NONE = {"fusion": "10-19"}  # no slides


def greeting(name: str, encoder: str = ONE, **changes: Any) -> HandshakeReply:
    reply = HandshakeReply(
        site=name,
        version=__version__,
        encoders={"slides": encoder},
        genes_sha256=EXPRESSION.genes_sha256 if EXPRESSION else "",
        buckets={"slides": "10-19", "fusion": "10-19"},
        gene_sums=np.ones((3, GENES)),
    )
    return replace(reply, **changes)


def members(*greetings: HandshakeReply, study: Study = STUDY) -> Members:
    found = Members(study)
    found.admit({one.site: one for one in greetings})
    return found


def with_encoder(sha: str) -> Study:
    return tiny_study(modalities={"slides": {"encoder_sha256": sha}})


def test_sites_that_agree_are_accepted() -> None:
    found = members(greeting("A"), greeting("B", encoder="", buckets=NONE))
    assert list(found.greetings) == ["A", "B"]
    assert found.refused == {}
    assert found.held("A") == {"slides"}


def test_modalities_that_too_few_sites_hold_are_counted() -> None:
    some = members(greeting("A"), greeting("B", encoder="", buckets=NONE))
    least = STUDY.federation.branch_quorum
    others = {name: 0 for name in STUDY.modalities.names if name != "slides"}
    assert (least, some.lacking()) == (2, {"slides": 1, **others})
    assert members(greeting("A"), greeting("B")).lacking() == others


def test_a_site_that_does_not_say_which_encoder_made_its_slides_is_refused() -> None:
    silent = {"B": {"encoder": ""}, "C": {"encoders": {}}}
    found = members(greeting("A"), *(greeting(site, **changes) for site, changes in silent.items()))
    assert list(found.greetings) == ["A"]
    assert found.refused["B"] == found.refused["C"]
    assert found.refused["B"] == (
        "ENCODER_MISMATCH: slides: expected the SHA-256 of the encoder's weights, got none; "
        "prepare again with this study"
    )


def test_blood_as_numbers_needs_no_encoder() -> None:
    buckets = {"blood": "10-19", "fusion": "10-19"}
    numbers, words = (tiny_study(modalities={"blood": {"route": route}}) for route in ("numeric", "template"))
    silent = greeting("A", encoders={}, buckets=buckets)
    assert list(members(silent, study=numbers).greetings) == ["A"]
    assert "blood: expected the SHA-256" in members(silent, study=words).refused["A"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "9.1.0"}, f"VERSION_MISMATCH: expected {__version__}, got 9.1.0; install the same version"),
        ({"version": ""}, f"VERSION_MISMATCH: expected {__version__}, got ; install the same version"),
        ({"genes_sha256": ""}, "GENES_MISMATCH: expected the study's gene list, got another; prepare again with this"),
        ({"genes_sha256": TWO}, "GENES_MISMATCH: expected the study's gene list, got another"),
        ({"buckets": {"imaging": "<10"}}, "expected only the study's modalities, got others"),
    ],
)
def test_a_site_that_differs_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    found = members(greeting("A"), greeting("B", **changes))
    assert list(found.greetings) == ["A"]
    assert found.refused["B"].startswith(reason)


def test_another_patch_version_is_accepted() -> None:
    patch = ".".join([*__version__.split(".")[:2], "99"])
    assert list(members(greeting("A"), greeting("B", version=patch)).greetings) == ["A", "B"]


def test_the_study_decides_about_the_encoder() -> None:
    found = members(greeting("A"), greeting("B"), greeting("C", TWO), study=with_encoder(TWO))
    assert list(found.greetings) == ["C"]
    assert found.refused["A"] == (
        "ENCODER_MISMATCH: slides: expected weights 222222222222, got 111111111111; use the same encoder"
    )


def test_else_the_most_frequent_encoder_decides() -> None:
    found = members(
        greeting("A", TWO),
        greeting("B"),
        greeting("C"),
        greeting("D", "", buckets=NONE),
        greeting("E", "", buckets=NONE),
    )
    assert sorted(found.greetings) == ["B", "C", "D", "E"]
    assert "expected weights 111111111111, got 222222222222" in found.refused["A"]


def test_with_two_sites_the_first_by_name_decides() -> None:
    assert list(members(greeting("B", TWO), greeting("A")).greetings) == ["A"]


def test_a_late_site_must_agree_with_the_members() -> None:
    found = members(greeting("A"))
    found.admit({site: greeting(site, TWO) for site in "BCD"})
    assert list(found.greetings) == ["A"]
    assert sorted(found.refused) == ["B", "C", "D"]


def test_gene_statistics_are_those_of_the_members() -> None:
    sums = np.zeros((3, GENES))
    sums[:, 0] = [4, 8, 20]  # mean 2, variance 5 - 4
    twice = sums * [[1], [2], [4]]  # mean 4, variance 4
    found = members(greeting("A", gene_sums=sums), greeting("B", gene_sums=twice))
    table = found.gene_statistics()
    assert table is not None
    # n 8, sum 24, squares 100: mean 3, variance 12.5 - 9
    np.testing.assert_allclose(table[:, 0], [3, np.sqrt(3.5)])
    np.testing.assert_array_equal(table[:, 1:], [[0] * (GENES - 1), [1] * (GENES - 1)])


def test_settled_statistics_need_no_sums_any_more() -> None:
    found = members(greeting("A"), greeting("B"))
    found.forget_sums()
    assert {one.gene_sums.size for one in found.greetings.values()} == {0}
    assert found.held("A") == {"slides"}


@pytest.mark.parametrize("normalise", ["rank", "site"])
def test_no_statistics_without_federated_normalisation(normalise: str) -> None:
    expression = STUDY.content()["modalities"]["expression"] | {"normalise": normalise}
    study = tiny_study(modalities={"expression": expression})
    assert members(greeting("A", encoder="", buckets=NONE), study=study).gene_statistics() is None


@pytest.mark.usefixtures("flower_ids")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"site": "B"}, "SITE_MISMATCH"),
        ({"gene_sums": np.zeros((3, GENES + 1))}, rf"expected finite gene sums of shape \(3, {GENES}\), got others"),
        ({"gene_sums": np.full((3, GENES), np.nan)}, "expected finite gene sums"),
        ({"gene_sums": np.full((3, GENES), -1.0)}, "expected finite gene sums"),
    ],
)
def test_a_malformed_greeting_is_rejected(changes: dict[str, Any], reason: str) -> None:
    message = Message(greeting("A", **changes).content(), 1, "query.handshake")
    with pytest.raises(Rejected, match=f"^{reason}"):
        parse_greeting("A", message, STUDY)


@pytest.mark.usefixtures("flower_ids")
def test_a_greeting_is_parsed() -> None:
    negative = np.ones((3, GENES))
    negative[1] = -4  # sums of z-scores may be negative, counts and squares not
    message = Message(greeting("A", gene_sums=negative).content(), 1, "query.handshake")
    assert parse_greeting("A", message, STUDY).buckets == {"slides": "10-19", "fusion": "10-19"}


TRIMODAL = {"slides": {}, "imaging": {}, "blood": {"route": "template"}}


def test_every_encoded_modality_has_its_own_encoder() -> None:
    def greet(site: str, **encoders: str) -> HandshakeReply:
        return greeting(site, encoders={"slides": ONE, "imaging": ONE, "blood": ONE} | encoders)

    everyone = (greet("A"), greet("B", blood=""), greet("C", imaging=TWO), greet("D", blood=TWO))
    found = members(*everyone, study=tiny_study(modalities=TRIMODAL))
    assert list(found.greetings) == ["A", "B"]
    assert found.refused["C"].startswith("ENCODER_MISMATCH: imaging: expected weights 111111111111, got 222222222222")
    assert found.refused["D"].startswith("ENCODER_MISMATCH: blood: expected weights 111111111111, got 222222222222")


def test_the_study_may_name_the_encoder_of_each() -> None:
    modalities = TRIMODAL | {"imaging": {"encoder_sha256": TWO}}
    found = members(
        greeting("A", encoders={"imaging": ONE}, buckets={"imaging": "10-19"}),
        greeting("B", encoders={"imaging": TWO}, buckets={"imaging": "10-19"}),
        study=tiny_study(modalities=modalities),
    )
    assert list(found.greetings) == ["B"]


def test_late_sites_must_agree_where_no_member_has_the_modality() -> None:
    found = members(greeting("A", encoder="", buckets=NONE))
    found.admit({"B": greeting("B", ONE), "C": greeting("C", TWO), "D": greeting("D", ONE)})
    assert list(found.greetings) == ["A", "B", "D"]


def test_a_site_with_other_stains_is_refused() -> None:
    study = tiny_study(modalities={"slides": {"stain": "macenko"}})
    found = members(
        greeting("A", stain="macenko"),
        greeting("B", stain="none"),
        greeting("C", encoder="", stain="", buckets=NONE),
        study=study,
    )
    assert list(found.greetings) == ["A", "C"]
    assert found.refused["B"] == (
        "ENCODER_MISMATCH: slides: expected stain normalisation 'macenko', got 'none'; prepare again with this study"
    )
