"""Who takes part: every site is asked what it holds before it trains (CONTRACT.md section 6)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

from server.exchange import Rejected
from shared import __version__
from shared.cohort.encoded import named_encoders
from shared.cohort.genes import vocabulary
from shared.cohort.normalise import GeneStatistics
from shared.messages import HandshakeReply
from shared.study import Study

__all__ = ["Members", "parse_greeting"]


@dataclass
class Members:
    """The sites that were accepted, with what they hold, and those that were refused, with the reason."""

    study: Study
    greetings: dict[str, HandshakeReply] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def held(self, site: str) -> frozenset[str]:
        """The branches a site trains, `fusion` aside."""
        return frozenset(self.greetings[site].buckets) - {"fusion"}

    def lacking(self) -> dict[str, int]:
        """The study's modalities that too few members hold for their branch to be trained -> how many do."""
        holders = Counter(name for site in self.greetings for name in self.held(site))
        least = self.study.federation.branch_quorum
        return {name: holders[name] for name in self.study.modalities.names if holders[name] < least}

    def admit(self, greetings: dict[str, HandshakeReply]) -> None:
        """Accept the sites that agree with the study and, where the study leaves it open, with one another."""
        encoders = self._encoders(greetings)
        for site, greeting in sorted(greetings.items()):
            fault = _fault(self.study, greeting, encoders)
            if fault:
                self.refused[site] = fault
            else:
                self.greetings[site] = greeting

    def gene_statistics(self) -> NDArray[np.float64] | None:
        """Statistics over the sites accepted so far (2, U); None when sites need none."""
        expression = self.study.modalities.expression
        if expression is None or expression.normalise != "federated":
            return None
        sums = [self.greetings[site].gene_sums for site in sorted(self.greetings)]
        return GeneStatistics.merge(sums, len(vocabulary(expression.groups))).table

    def forget_sums(self) -> None:
        """Let go of the members' gene sums, once the statistics are settled: three times a gene list for every site."""
        self.greetings = {site: replace(met, gene_sums=np.zeros((3, 0))) for site, met in self.greetings.items()}

    def _encoders(self, greetings: dict[str, HandshakeReply]) -> dict[str, str]:
        """The encoder each modality must have: the study's, else that of the members, else the most frequent."""
        agreed = {}
        for modality, named in named_encoders(self.study).items():
            votes = _votes(self.greetings, modality) or _votes(greetings, modality)
            agreed[modality] = named or (votes.most_common(1)[0][0] if votes else "")
        return agreed


def _votes(greetings: Mapping[str, HandshakeReply], modality: str) -> Counter[str]:
    """How many sites have each encoder; in the order of site names, which decides between equals."""
    found = (greeting.encoders.get(modality, "") for _, greeting in sorted(greetings.items()))
    return Counter(sha for sha in found if sha)


def parse_greeting(site: str, message: Message, study: Study) -> HandshakeReply:
    """Parse one handshake reply; Rejected when its name or the shape of its sums is wrong."""
    greeting = HandshakeReply.read(message)
    if greeting.site != site:
        raise Rejected("SITE_MISMATCH")
    expression = study.modalities.expression
    genes = len(vocabulary(expression.groups)) if expression else 0
    sums = greeting.gene_sums
    if sums.shape != (3, genes) or not np.isfinite(sums).all() or (sums[[0, 2]] < 0).any():
        raise Rejected(f"expected finite gene sums of shape (3, {genes}), got others")
    return greeting


def _fault(study: Study, greeting: HandshakeReply, encoders: dict[str, str]) -> str:
    """Why a site cannot take part, or "" when it can."""
    if greeting.version.split(".")[:2] != __version__.split(".")[:2]:
        return f"VERSION_MISMATCH: expected {__version__}, got {greeting.version}; install the same version"
    if set(greeting.buckets) - {"fusion"} - set(study.modalities.names):
        return "expected only the study's modalities, got others"
    if study.modalities.expression and greeting.genes_sha256 != study.modalities.expression.genes_sha256:
        return "GENES_MISMATCH: expected the study's gene list, got another; prepare again with this study"
    for modality in sorted(named_encoders(study).keys() & greeting.buckets.keys()):
        if not greeting.encoders.get(modality):
            return (
                f"ENCODER_MISMATCH: {modality}: expected the SHA-256 of the encoder's weights, got none; "
                "prepare again with this study"
            )
    for modality, sha in greeting.encoders.items():
        if sha and sha != (encoders.get(modality) or sha):
            expected = encoders[modality][:12]
            return f"ENCODER_MISMATCH: {modality}: expected weights {expected}, got {sha[:12]}; use the same encoder"
    slides = study.modalities.slides
    if slides and greeting.stain not in ("", slides.stain):
        return (
            f"ENCODER_MISMATCH: slides: expected stain normalisation {slides.stain!r}, got {greeting.stain!r}; "
            "prepare again with this study"
        )
    return ""
