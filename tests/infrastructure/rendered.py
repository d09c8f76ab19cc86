"""Every template as it would be created, as JSON for tools that know nothing of SAM or of conditions:
`python -m tests.infrastructure.rendered FOLDER`."""

import json
import sys
from pathlib import Path

from tests.infrastructure.templates import ROOT, load, stack

ENVIRONMENTS = ("dev", "prod")


def write(folder: Path) -> list[Path]:
    """A file a template and environment; of templates that are the same in both, one."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in [ROOT / "template.yaml", *sorted(ROOT.glob("infra/*.yaml")), *sorted(ROOT.glob("ecs/*.yaml"))]:
        if not path.read_text(encoding="utf-8").startswith("AWSTemplateFormatVersion"):
            continue
        name = str(path.relative_to(ROOT))
        with_environment = "Environment" in load(name).get("Parameters", {})
        for environment in ENVIRONMENTS if with_environment else ("",):
            given = {"Environment": environment} if environment else {}
            resources = stack(name, **given).resources
            file = folder / f"{environment}-{name.replace('/', '-')}".lstrip("-").replace(".yaml", ".json")
            file.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}, indent=2))
            written.append(file)
    return written


if __name__ == "__main__":
    print(*write(Path(sys.argv[1])), sep="\n")
