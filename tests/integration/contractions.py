"""What a migration takes away from code that knows nothing of it: the schema before and after, on a real server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common import migrator
from common.connection import Raw

LADDERS = (
    ("tinyint", "smallint", "mediumint", "int", "bigint"),
    ("tinytext", "text", "mediumtext", "longtext"),
    ("tinyblob", "blob", "mediumblob", "longblob"),
)
"""Types of which each holds whatever those before it hold."""
REMOVES_ROWS = re.compile(r"(?:\s|/\*.*?\*/)*(DELETE|TRUNCATE|REPLACE)\b", re.IGNORECASE | re.DOTALL)
EXCUSE = re.compile(r"^-- contracts (\S+), unused since v\d+(\.\d+)*$", re.MULTILINE)
"""How a file says that what it takes away is nobody's any more: which file brought what stands in its place, or was the
first to have it, and since which release nothing reads or writes it."""


class Column(NamedTuple):
    type: str
    nullable: bool
    filled: bool
    """Whether a row that does not name it gets a value all the same."""
    collation: str | None


class Schema(NamedTuple):
    columns: dict[tuple[str, str], Column]
    rules: dict[tuple[str, str], tuple[str, frozenset[str]]]
    """By table and name, unique keys, foreign keys and checks: what each says, and the columns that it is about."""

    @property
    def tables(self) -> set[str]:
        return {table for table, _ in self.columns}


def read(cursor: Any, schema: str) -> Schema:
    cursor.execute(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLLATION_NAME"
        " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s",
        (schema,),
    )
    columns = {
        (row["TABLE_NAME"], row["COLUMN_NAME"]): Column(
            row["COLUMN_TYPE"],
            row["IS_NULLABLE"] == "YES",
            row["COLUMN_DEFAULT"] is not None or row["IS_NULLABLE"] == "YES" or bool(row["EXTRA"]),
            row["COLLATION_NAME"],
        )
        for row in cursor.fetchall()
    }
    rules: dict[tuple[str, str], tuple[str, frozenset[str]]] = {}
    for table in sorted({table for table, _ in columns}):
        cursor.execute(f"SHOW CREATE TABLE `{schema}`.`{table}`")
        for line in cursor.fetchone()["Create Table"].splitlines():
            rule = line.strip().removesuffix(",")
            if found := re.match(r"(?:UNIQUE KEY|PRIMARY KEY|CONSTRAINT)(?: `(\w+)`)?", rule):
                named = frozenset(re.findall(r"`(\w+)`", re.sub(r"REFERENCES.*", "", rule[found.end() :])))
                rules[table, found[1] or "PRIMARY"] = (rule, named)
            elif check := re.search(r"^`(\w+)` .* CHECK (.*)$", rule):  # of one column
                rules[table, f"check of {check[1]}"] = (check[2], frozenset([check[1]]))
    return Schema(columns, rules)


def contractions(before: Schema, after: Schema) -> Iterator[tuple[str, str]]:
    """(table, what was done to it) of all by which a statement that ran before could fail or read something else."""
    for (table, name), column in before.columns.items():
        now = after.columns.get((table, name))
        if now is None:
            yield table, f"{table}.{name} is gone"
        elif not _holds(now, column):
            yield table, f"{table}.{name} was {column.type}, and is {now.type}: narrower, or another type"
        elif now.collation != column.collation:
            yield table, f"{table}.{name} is compared by {now.collation}, and was by {column.collation}"
        elif column.nullable and not now.nullable:
            yield table, f"{table}.{name} may not be NULL any more"
        elif column.filled and not now.filled:
            yield table, f"{table}.{name} has no default any more"
    for (table, name), column in after.columns.items():
        if table in before.tables and (table, name) not in before.columns and not column.filled:
            yield table, f"{table}.{name} is new and has to be given"
    for (table, name), (text, about) in (before.rules | after.rules).items():
        new = {column for column in about if (table, column) not in before.columns}
        if table in before.tables & after.tables and not (about and new == about):
            if (table, name) not in after.rules and not text.startswith("CONSTRAINT"):
                yield table, f"{table}: {name} is gone, and with it who relied on it for telling repeats"
            elif (table, name) in after.rules and before.rules.get((table, name)) != after.rules[table, name]:
                yield table, f"{table}: {name} is new or another, and may refuse what was accepted"


def _holds(now: Column, before: Column) -> bool:
    if now.type == before.type:
        return True
    (kind, size, rest), (old_kind, old_size, old_rest) = (
        re.fullmatch(r"(\w+)(?:\((\d+)\))?(.*)", type_).groups()  # type: ignore[union-attr]
        for type_ in (now.type, before.type)
    )
    if rest != old_rest:
        return False
    if kind == old_kind and kind in ("varchar", "char", "varbinary", "datetime"):
        return int(size or 0) >= int(old_size or 0)
    ladder = next((ladder for ladder in LADDERS if kind in ladder and old_kind in ladder), ())
    return bool(ladder) and ladder.index(kind) >= ladder.index(old_kind)


def _drops(statement: str, table: str, column: str) -> bool:
    dropped = rf"\bALTER\s+TABLE\s+`?{table}\b.*\bDROP\s+(COLUMN\s+)?(IF\s+EXISTS\s+)?`?{column}\b"
    return bool(re.search(dropped, statement, re.IGNORECASE | re.DOTALL))


class Step(NamedTuple):
    """A migration that was applied, and what it took away."""

    file: Path
    removed: list[tuple[str, str]]

    def refused(self) -> list[str]:
        """Why it may not be released; nothing if it takes nothing away, or says rightly that nobody uses it."""
        said = EXCUSE.search(self.file.read_text(encoding="utf-8"))
        if not self.removed:
            return [f"{self.file.name} contracts nothing, and says so"] if said else []
        taken = [what for _, what in self.removed]
        if not said:
            return [*taken, f'{self.file.name} has no line "-- contracts 0001_….sql, unused since v1.0"']
        expanded = self.file.parent / said[1]
        if said[1] >= self.file.name or not expanded.exists():
            return [*taken, f"{said[1]} is no earlier migration"]
        text = expanded.read_text(encoding="utf-8")
        tables = {table for table, _ in self.removed if table}
        return [f"{said[1]} is not about {table}" for table in sorted(tables) if not re.search(rf"\b{table}\b", text)]


def steps(connection: Raw, folder: Path) -> Iterator[Step]:
    """Apply the files of `folder` to an empty schema, each when it is asked for."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE DATABASE contractions CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
        cursor.execute("USE contractions")
        before = read(cursor, "contractions")
        for migration in migrator._read(folder, "contractions"):
            for statement in migration.statements:
                cursor.execute(statement)
            after = read(cursor, "contractions")
            ran = migration.statements
            said = [("", f"{found[1]} takes rows away") for s in ran if (found := REMOVES_ROWS.match(s))]
            said += [
                (table, f"{table}.{name} is new, and what was in it is gone")
                for table, name in before.columns.keys() & after.columns.keys()
                if any(_drops(statement, table, name) for statement in ran)
            ]
            yield Step(folder / migration.name.split("/")[1], [*contractions(before, after), *said])
            before = after
