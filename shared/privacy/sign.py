"""Sign a privacy ledger in the name of the user who owns the key, so that a sudo rule of the hospital can allow it.

    python -m shared.privacy.sign --key FILE public-key     prints the key as hex, made when there is none
    python -m shared.privacy.sign --key FILE sign           reads a message, writes the 64 bytes of its signature

It signs ledger heads and privacy reports, and nothing else.
"""

import argparse
import sys
from pathlib import Path

from shared.errors import Refused
from shared.privacy.signer import KeyFile

__all__ = ["main"]

PREFIXES = (b"mmfed-head-v1|", b"mmfed-report-v1|")
MOST_BYTES = 1000


def main() -> int:
    """Exit status 0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=Path, required=True, metavar="FILE")
    parser.add_argument("verb", choices=("public-key", "sign"))
    options = parser.parse_args()
    try:
        if options.verb == "public-key":
            sys.stdout.write(KeyFile.make(options.key).public_key.hex() + "\n")
            return 0
        message = sys.stdin.buffer.read(MOST_BYTES + 1)
        if not message.startswith(PREFIXES) or len(message) > MOST_BYTES:
            sys.stderr.write(
                "expected a ledger head or a privacy report to sign, got something else; it is mmfed that calls this\n"
            )
            return 1
        sys.stdout.buffer.write(KeyFile(options.key).sign(message))
    except (Refused, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
