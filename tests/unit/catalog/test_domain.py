"""Products and their revisions."""

from uuid import UUID

from catalog.domain import Product

MUG = Product(UUID(int=1), "Mug", "Holds tea.", 1_500)


def test_a_new_product_is_on_sale_at_revision_1() -> None:
    assert (MUG.retired, MUG.revision) == (False, 1)


def test_each_change_is_a_revision_more() -> None:
    changed = MUG.change("Cup", "Holds sake.", 1_600)
    assert changed == Product(MUG.product_id, "Cup", "Holds sake.", 1_600, revision=2)
    assert changed.change("Cup", "Holds sake.", 1_700).revision == 3


def test_a_change_to_what_is_already_so_is_none() -> None:
    assert MUG.change(MUG.name, MUG.description, MUG.price) is MUG


def test_a_product_retires_once() -> None:
    retired = MUG.retire()
    assert (retired.retired, retired.revision) == (True, 2)
    assert retired.retire() is retired


def test_a_retired_product_can_be_corrected_and_stays_retired() -> None:
    corrected = MUG.retire().change("Cup", MUG.description, MUG.price)
    assert (corrected.name, corrected.retired, corrected.revision) == ("Cup", True, 3)
