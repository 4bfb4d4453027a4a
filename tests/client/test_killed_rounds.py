"""A process that is killed anywhere in a private round never releases without a charge, and never loses a charge."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.privacy.accounting import epsilon
from tests.federation import prepared_site, write_site
from tests.private_studies import private_study

pytestmark = pytest.mark.slow
STUDY = private_study()
NOTHING, CHARGED, RELEASED = [], ["charge"], ["charge", "released"]
EXPECTED = {
    "before the lint": (NOTHING, 1),
    "before the projection": (NOTHING, 1),
    "charge inserted, not committed": (NOTHING, 1),
    "charged, no patient read": (CHARGED, 2),
    "patients read, not trained": (CHARGED, 2),
    "amid the steps": (CHARGED, 2),
    "trained, nothing stored": (CHARGED, 2),
    "stored, not in the ledger": (CHARGED, 2),
    "release inserted, not committed": (CHARGED, 2),
    "released, not sent": (RELEASED, 1),
}


def test_a_charge_is_never_lost_and_never_given_back(tmp_path: Path) -> None:
    file = write_site(tmp_path / "A", (8, 8, 8), sections="[disclosure]\nmin_patients = 4\n")
    prepared_site(file, STUDY)
    script = Path(__file__).with_name("killed_rounds.py")
    done = subprocess.run(
        [sys.executable, str(script), str(file.parent), str(tmp_path / "killed")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert STUDY.terms is not None
    assert outcomes.keys() == EXPECTED.keys()
    for point, (after, charges) in EXPECTED.items():
        found = outcomes[point]
        assert found["signal"] == signal.SIGKILL, point
        assert found["after"] == after, point
        assert found["charges"] == charges, point
        assert found["epsilon"] == epsilon([STUDY.terms.round] * charges, 1e-5), point
        assert found["same bytes"] == (after == RELEASED), point
        assert found["finite"], point
        assert found["whole"], point
