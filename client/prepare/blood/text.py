"""Blood results as the feature of a text: described, then encoded by a frozen text encoder."""

import numpy as np

from client.prepare.blood.describe import build_describer
from client.prepare.blood.results import Result, read_results
from client.prepare.blood.text_encoder import load_text_encoder
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.blood_text_file import TextFeatures
from shared.digests import sha256_bytes
from shared.errors import CohortError
from shared.site import Site
from shared.study import Blood

__all__ = ["blood_text"]


def blood_text(site: Site, roster: Roster, blood: Blood, report: PrepareReport) -> TextFeatures:
    """Features (P, text_dim) of the described results; patients without a usable result have none.

    A malformed blood.csv is recorded, and then no patient has blood results. A site without any needs no encoder.

    Raises
    ------
    EncoderError
        The text encoder is missing at this site, or is not the study's.
    SiteFileError
        The route is local_llm, and the site has no language model.
    """
    results = _results(site, roster, blood, report)
    features = np.zeros((len(roster.case_ids), blood.text_dim), dtype=np.float32)
    digests = [""] * len(features)
    if results:
        encoder = load_text_encoder(blood.text_encoder, site, dim=blood.text_dim, sha256=blood.text_encoder_sha256)
        describe = build_describer(site, blood, report)
        for place, case_id in enumerate(roster.case_ids):
            if case_id in results:
                text = describe(results[case_id])
                features[place] = encoder.encode(text)
                digests[place] = sha256_bytes(text.encode())
    return TextFeatures(features, tuple(digests), tuple(roster.table["key"]))


def _results(site: Site, roster: Roster, blood: Blood, report: PrepareReport) -> dict[str, tuple[Result, ...]]:
    try:
        return read_results(site, roster, blood.analytes, report)
    except CohortError as exc:
        report.add("blood.csv", "left out", "; ".join(line.strip() for line in str(exc).splitlines()))
        return {}
