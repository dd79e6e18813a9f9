"""Try all cases, and print a table: case, title, outcome, and whether it is right.

python -m field [COLLECTION] [--made FOLDER] [--minutes M] [--only 6 7]

Without a collection, the files are those of the project's own builders. With one, a folder with `all.sh` and
`real/`, they are its files, built into a temporary folder unless `--made` names one that has them already. A
case of which it has no file is tried with the project's own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import door
from field.cases import CASES
from field.check import Case, Place

WIDTH = 100


def tried(
    case: Case, folder: Path, minutes: float, collection: Path | None, made: Path | None
) -> tuple[str, bool]:
    """Try a case in an empty folder; return the outcome in a line, and whether it is right."""
    try:
        if collection and made and case.originals:
            case.collect(collection, made, folder)
        else:
            case.build(folder)
        return case.right(Place(folder, minutes)), True
    except (Exception, SystemExit, door.TooLong) as wrong:
        return f"{type(wrong).__name__}: {' '.join(str(wrong).split())}", False


def build(collection: Path, made: Path) -> None:
    """Build the files of a collection."""
    environment = os.environ | {"FIELD_MADE": str(made), "PYTHON": sys.executable}
    subprocess.run(["bash", str(collection / "all.sh")], env=environment, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("collection", nargs="?", type=Path, help="folder with all.sh and real/")
    parser.add_argument("--made", type=Path, help="folder with the files that all.sh made")
    parser.add_argument("--minutes", type=float, default=0.05, help="time for each fit")
    parser.add_argument("--only", nargs="+", type=int, help="numbers of cases")
    given = parser.parse_args()
    if given.collection:
        given.collection = given.collection.resolve()
    rows = []
    # A limit that also holds on a busy machine.
    door.SECONDS = 600
    with tempfile.TemporaryDirectory() as temporary:
        made = given.made or Path(temporary) / "made"
        if given.collection and not given.made:
            build(given.collection, made)
        print("| case | title | files | outcome | right |\n|---|---|---|---|---|")
        for case in CASES:
            if given.only and case.number not in given.only:
                continue
            folder = Path(temporary) / f"{case.number:02d}"
            folder.mkdir()
            outcome, right = tried(case, folder, given.minutes, given.collection, made)
            files = "collected" if given.collection and case.originals else "own"
            rows.append(right)
            said = outcome if len(outcome) <= WIDTH else f"{outcome[: WIDTH - 1]}…"
            print(
                f"| {case.number:02d} | {case.title} | {files} | {said} | {'right' if right else 'WRONG'} |",
                flush=True,
            )
    print(f"\n{sum(rows)} of {len(rows)} right")
    sys.exit(int(not all(rows)))


if __name__ == "__main__":
    main()
