"""deploy/try-it/ does as it says: a whole deployment on one machine, over loopback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.submission import read_submittable

TRY_IT = Path(__file__).parents[2] / "deploy" / "try-it"


def test_its_study_can_be_submitted() -> None:
    assert read_submittable(TRY_IT / "study.toml").modalities.names == ("clinical",)


@pytest.mark.slow
def test_two_hospitals_train_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    folder = tmp_path / "tried"
    with (tmp_path / "said").open("w+") as said:  # no pipe: a process left behind would hold it open
        done = subprocess.run(
            [TRY_IT / "run.sh", folder, str(port)], env=env, stdout=said, stderr=subprocess.STDOUT, timeout=800
        )
        said.seek(0)
        text = said.read()
    assert done.returncode == 0, text
    assert "sites/B/data/clinical.tsv: 96 patients" in text
    (model,) = (folder / "runs").glob("try-it-*/model.safetensors")
    (received,) = (folder / "sites/A/state/models").glob("*/model.safetensors")
    assert received.read_bytes() == model.read_bytes()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in left
