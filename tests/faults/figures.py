"""Figures of the proofs' last run, which docs/promises.md shows: counts, never times of this machine alone.
Those of `designs.lambda` and `designs.ecs` are times of both, side by side in docs/designs.md."""

import json

from localcloud.home import REPOSITORY

FOLDER = REPOSITORY / ".local" / "test" / "figures"


def note(proof: str, **figures: object) -> None:
    """Keep what a proof counted, by the name of its module without `test_`: `note("contention", orders=1000, sold=10)`.

    A proof that runs in several modes has one after a dot: `under_load.cloud-map`. Called again for the same proof, it
    adds to what is there.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{proof}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | figures, indent=2))
