"""Writes the documents: `python -m reference`."""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from reference import ROOT, asyncapi, openapi, split

DOCUMENTS = {ROOT / "docs" / "openapi.yaml": openapi.document, ROOT / "docs" / "asyncapi.yaml": asyncapi.document}
MADE = "# Made from the code by `make docs`.\n"


class _Plain(yaml.SafeDumper):  # type: ignore[misc]
    """Says everything where it stands, instead of pointing to where it stood first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_of_lines(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text_of_lines)


def text(document: dict[str, Any]) -> str:
    return MADE + str(yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120))


def example() -> dict[Path, str]:
    """By path, what a service's own stack is made of: the worked split of docs/architecture.md."""
    folder = ROOT / "examples" / "notifications"
    made = split.own("notifications").items()
    return {folder / name: MADE + content for name, content in made if not name.startswith("infra/")}


def main() -> None:
    for path, content in example().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(path.relative_to(ROOT))
    for path, document in DOCUMENTS.items():
        path.write_text(text(document()), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
