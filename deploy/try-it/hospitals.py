"""Write sites/A/data and sites/B/data: the public lung cancer patients of 18 hospitals, as if those were two."""

import sys
from pathlib import Path

from simulations.lung_cohort import lung_table


def main(sites: Path) -> None:
    """`clinical.tsv` of both: hospitals of odd number are A, the others B."""
    table, _ = lung_table()
    odd = table["site"].str.removeprefix("inst-").astype(int) % 2 == 1
    for name, patients in (("A", table[odd]), ("B", table[~odd])):
        data = sites / name / "data"
        data.mkdir(parents=True, exist_ok=True)
        patients.drop(columns="site").to_csv(data / "clinical.tsv", sep="\t", index=False)
        sys.stdout.write(f"{data / 'clinical.tsv'}: {len(patients)} patients\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "sites"))
