import subprocess
import sys
import time

import pytest

from client.prepare.lock import detector_lock, prepare_lock

HOLDER = """
import sys, time
from pathlib import Path
from client.prepare.lock import detector_lock, prepare_lock
from shared.site import read_site
lock = detector_lock if sys.argv[2:] == ["detector"] else prepare_lock
with lock(read_site(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free(make_site):
    site = make_site({})
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(site.path("site.toml"))], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    start = time.monotonic()
    with prepare_lock(site):
        assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("lock", "name", "words"),
    [(prepare_lock, "prepare", "another prepare is at"), (detector_lock, "detector", "another train-detector is at")],
)
def test_a_second_process_waits_and_says_so(make_site, lock, name, words):
    site = make_site({})
    with (
        lock(site),
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(site.path("site.toml")), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as waiting,
    ):
        assert words in waiting.stdout.readline()
        assert waiting.poll() is None
        waiting.kill()


def test_a_training_does_not_wait_for_a_prepare(make_site):
    site = make_site({})
    with prepare_lock(site), detector_lock(site):
        assert {path.name for path in site.state.glob("*.lock")} == {"prepare.lock", "detector.lock"}
