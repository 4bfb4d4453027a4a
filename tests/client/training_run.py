"""Train and use a detector in a process of its own, watched from its first moment (see test_train_detector.py).

Prints one JSON line: paths opened for writing or made, connections tried, boxes found, what became of the process.
"""

import json
import os
import sys

written: set[str] = set()
calls: list[str] = []


def watch(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and isinstance(args[0], str | bytes) and isinstance(args[2], int):
        if args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.add(os.path.abspath(os.fsdecode(args[0])))  # noqa: PTH100
    elif event in ("os.mkdir", "os.link", "os.symlink", "os.rename") and isinstance(args[0], str | bytes | os.PathLike):
        written.add(os.path.abspath(os.fsdecode(args[0])))  # noqa: PTH100
    elif event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        calls.append(f"{event} {args[1:]}")


sys.addaudithook(watch)

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from client.prepare.imaging.detector import open_detector  # noqa: E402
from client.prepare.imaging.pictures import read_picture  # noqa: E402
from client.train_detector import train_detector  # noqa: E402
from shared.site import read_site  # noqa: E402

assert "ultralytics" not in sys.modules  # what a command imports at its start
site = read_site(Path(sys.argv[1]))
torch.set_num_threads(1)
torch.manual_seed(7)
before = torch.random.get_rng_state()
random_before = np.random.get_state()[1].tolist()  # noqa: NPY002
opens, saves, environment = Image.open, torch.save, dict(os.environ)
printed = np.get_printoptions()
written.clear()
steps: list[tuple[str, int, int]] = []
trained = train_detector(
    site, architecture="yolov5n", image_size=64, epochs=2, batch=4, progress=lambda *step: steps.append(step)
)
detector = open_detector(site)
assert detector is not None
pictures = sorted((site.data / "imaging").glob("*.png"))
lesions = [detector.find(read_picture(path).pixels) for path in pictures]
outcome = {
    "written": sorted(written),
    "calls": calls,
    "steps": steps,
    "lines": trained.lines(),
    "lesions": [lesion and [*lesion.box, lesion.confidence] for lesion in lesions],
    "threads": torch.get_num_threads(),
    "seed kept": bool((before == torch.random.get_rng_state()).all())
    and random_before == np.random.get_state()[1].tolist(),  # noqa: NPY002
    "deterministic": torch.are_deterministic_algorithms_enabled(),
    "untouched": Image.open is opens and torch.save is saves and printed == np.get_printoptions(),
    "environment": environment == dict(os.environ),
    "ultralytics": "ultralytics" in sys.modules,
}
sys.stdout.write("\n" + json.dumps(outcome) + "\n")
