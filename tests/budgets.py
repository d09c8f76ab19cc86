"""Sizes of the tree beside their budgets, for a reader to see; nothing fails by them: `python -m tests.budgets`.

A line counts if it has code on it: no blanks, no comments, no docstrings. Going over a budget costs a paragraph in
docs/decisions.md.
"""

import ast
import io
import re
import statistics
import tokenize
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def lines(path: Path) -> int:
    source = path.read_text(encoding="utf-8")
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def modules(*folders: str) -> list[int]:
    return [lines(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def requirements(path: str) -> int:
    return len(re.findall(r"^[A-Za-z]", (ROOT / path).read_text(), re.MULTILINE))


def blocks() -> dict[str, int]:
    """Lines of template.yaml a service: of its resources, told by their names."""
    text = (ROOT / "template.yaml").read_text() if (ROOT / "template.yaml").exists() else ""
    resources = re.split(r"^  (?=[A-Z])", text, flags=re.MULTILINE)
    services = [path.name for path in (ROOT / "services").iterdir() if (path / "domain.py").exists()]
    return {
        service: sum(len(part.splitlines()) for part in resources if part.startswith(service.capitalize()))
        for service in services
    }


def rows() -> Iterable[tuple[str, object, object]]:
    for service in sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir()):
        if sizes := modules(f"services/{service}"):
            found = f"{sum(sizes)} · {max(sizes)} · {statistics.median(sizes):g}"
            yield f"services/{service}: lines · longest module · median", found, "450 · 120 · 50"
    layer = modules("layers/common")
    yield "layers/common: lines · modules", f"{sum(layer)} · {sum(size > 0 for size in layer)}", "900 · 12"
    local = modules("localcloud")
    yield "localcloud: lines · longest module", f"{sum(local)} · {max(local)}", "800 · 120"
    operating = modules("operations")
    yield "operations: lines · longest module", f"{sum(operating)} · {max(operating)}", "500 · 120"
    benchmarks = modules("bench")
    yield "bench: lines · longest module", f"{sum(benchmarks)} · {max(benchmarks)}", "800 · 120"
    releasing = modules("release")
    yield "release: lines · longest module", f"{sum(releasing)} · {max(releasing)}", "none · 120"
    if (template := ROOT / "template.yaml").exists():
        yield (
            "template.yaml: lines · longest service",
            f"{len(template.read_text().splitlines())} · {max(blocks().values())}",
            "700 · 70",
        )
    containers = modules("ecs")
    yield "ecs: lines · longest module", f"{sum(containers)} · {max(containers)}", "none · 120"
    source = sum(
        modules("services", "layers", "ecs", "localcloud", "operations", "reference", "bench", "release", "cost")
    )
    tests = sum(modules("tests"))
    yield "test lines to source lines", f"{tests / source:.1f}", 2.5
    targets = re.findall(r"^[a-z-]+(?=:)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    yield "Make targets", len(targets), 17
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    runtime = requirements("layers/common/requirements.txt")
    yield "dependencies: runtime · development", f"{runtime} · {len(groups['dev'])}", "4 · 15"
    pages = list((ROOT / "docs").glob("*.md"))
    yield (
        "docs: pages · lines",
        f"{len(pages)} · {sum(len(page.read_text().splitlines()) for page in pages)}",
        "8 · 1500",
    )


def main() -> None:
    print(f"{'':<56}{'now':>16}   budget")
    for what, now, budget in rows():
        print(f"{what:<56}{now!s:>16}   {budget}")


if __name__ == "__main__":
    main()
