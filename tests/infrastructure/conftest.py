"""The Lambda design, as each environment of samconfig.toml has it."""

import logging
from collections.abc import Iterator

import pytest

from tests.infrastructure.lambda_design import ENVIRONMENTS, Shop, shop_of


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)  # of the translator, at each template
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop(environment: str) -> Shop:
    return shop_of(environment)
