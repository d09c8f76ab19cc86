"""The code of a service that sells nothing."""

from common.database import Transaction
from common.events import Event


class NoteWritten(Event):
    note_id: int


def write(tx: Transaction, note_id: int, text: str = "") -> None:
    tx.execute("INSERT INTO notes (note_id, text) VALUES (%s, %s)", (note_id, text))
    tx.publish(NoteWritten(note_id))
