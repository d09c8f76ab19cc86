"""How migration files are read. What they do is tested on a server."""

import hashlib
from pathlib import Path

import pytest

from common.migrator import MigrationTooLong, _read


def statements(folder: Path, text: str) -> list[str]:
    (folder / "0001_lamps.sql").write_text(text, encoding="utf-8")
    [migration] = _read(folder, "workshop")
    return migration.statements


def test_a_statement_ends_with_a_semicolon_at_the_end_of_a_line(tmp_path: Path) -> None:
    assert statements(tmp_path, "CREATE TABLE a (\n  b INT\n);\n\nINSERT INTO a VALUES (1);  \nSELECT ';' AS c") == [
        "CREATE TABLE a (\n  b INT\n)",
        "INSERT INTO a VALUES (1)",
        "SELECT ';' AS c",
    ]


def test_comments_and_blanks_are_no_statements(tmp_path: Path) -> None:
    assert statements(tmp_path, "-- what it is for;\n  -- indented\nSELECT 1;\n-- the end\n;\n\n") == ["SELECT 1"]


def test_the_first_file_alone_may_hold_several_statements(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1;\nSELECT 2;\n")
    (tmp_path / "0002_b.sql").write_text("-- one;\nSELECT 1;\n")
    assert [len(migration.statements) for migration in _read(tmp_path, "workshop")] == [2, 1]
    (tmp_path / "0010_c.sql").write_text("SELECT 1;\nSELECT 2;\n")
    with pytest.raises(MigrationTooLong, match=r"workshop/0010_c\.sql"):
        list(_read(tmp_path, "workshop"))


def test_files_come_in_the_order_of_their_numbers_and_others_not_at_all(tmp_path: Path) -> None:
    for name in ("0010_c.sql", "0002_b.sql", "0001_a.sql", "README.md", "notes.sql", "0003_d.txt"):
        (tmp_path / name).write_text("SELECT 1;")
    assert [m.name for m in _read(tmp_path, "workshop")] == [
        "workshop/0001_a.sql",
        "workshop/0002_b.sql",
        "workshop/0010_c.sql",
    ]


def test_the_checksum_is_of_the_whole_file_with_its_comments(tmp_path: Path) -> None:
    text = "-- 灯\nSELECT 1;\n"
    (tmp_path / "0001_a.sql").write_text(text, encoding="utf-8")
    [migration] = _read(tmp_path, "workshop")
    assert migration.checksum == hashlib.sha256(text.encode()).hexdigest()
