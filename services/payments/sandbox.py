"""The sandbox provider: moves no money, but keeps a ledger like one that does, against which tests check payments.

Card tokens: `tok_visa` works, `tok_declined` is declined, `tok_flaky` fails twice, then works.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from common.connection import Connection, Contention, DatabaseUnavailable, Row, connect
from payments.provider import Charge, ProviderUnavailable

FAILURES = 2
CARDS = {
    "tok_visa": ("captured", None),
    "tok_declined": ("declined", "card declined"),
    "tok_flaky": ("failed", None),
}
UNKNOWN_CARD = ("declined", "unknown card token")


class Sandbox:
    """A `payments.provider.Provider`. Entries of its ledger stay as they are, but for failed ones that work later."""

    def charge(self, key: UUID, amount: int, token: str) -> Charge:
        outcome, reason = CARDS.get(token, UNKNOWN_CARD)
        with _ledger() as ledger:
            ledger.execute(
                """
                INSERT INTO sandbox_ledger (entry_key, charge_key, amount, outcome, reason)
                VALUES (%s, %s, %s, %s, %s)
                    ON DUPLICATE KEY UPDATE
                       outcome = IF(outcome = 'failed' AND asked >= %s, 'captured', outcome),
                       asked   = asked + 1
                """,
                (key.bytes, key.bytes, amount, outcome, reason, FAILURES),
            )
            [entry] = ledger.all("SELECT outcome, reason FROM sandbox_ledger WHERE entry_key = %s", (key.bytes,))
        if entry["outcome"] == "failed":
            raise ProviderUnavailable
        return Charge(entry["reason"])

    def refund(self, key: UUID, charge_key: UUID, amount: int) -> None:
        with _ledger() as ledger:
            ledger.execute(
                """
                INSERT INTO sandbox_ledger (entry_key, charge_key, amount, outcome)
                VALUES (%s, %s, %s, 'refunded')
                    ON DUPLICATE KEY UPDATE asked = asked + 1
                """,
                (key.bytes, charge_key.bytes, amount),
            )

    def books(self, after: UUID, limit: int) -> Sequence[Row]:
        """What the ledger says of each order, as a provider's statement does."""
        with _ledger() as ledger:
            return ledger.all(
                """
                SELECT charge_key AS order_id,
                       CAST(SUM(IF(outcome = 'captured', amount, 0)) AS UNSIGNED) AS captured,
                       CAST(SUM(IF(outcome = 'refunded', amount, 0)) AS UNSIGNED) AS refunded
                  FROM sandbox_ledger
                 WHERE charge_key > %s
                 GROUP BY charge_key
                 ORDER BY charge_key
                 LIMIT %s
                """,
                (after.bytes, limit),
            )


@contextmanager
def _ledger() -> Iterator[Connection]:
    """A connection of its own for each call, committed at the end: the ledger is no part of anybody's transaction."""
    connection = Connection(connect)
    try:
        yield connection
        connection.commit()
    except (DatabaseUnavailable, Contention) as error:
        raise ProviderUnavailable from error
    finally:
        connection.drop()
