"""For all tests: the variables that the layer's modules read when they are imported, and no credentials of anybody."""

import os

import hypothesis
import pytest

os.environ |= {
    "AWS_REGION": "ap-northeast-1",
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "Kumiki",
    "POWERTOOLS_SERVICE_NAME": "tests",
}
for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

pytest_plugins = ["tests.e2e.running"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="with the long runs, as `make verify` has them")
    parser.addoption("--design", choices=("lambda", "ecs"), default="lambda", help="whose HTTP API is asked")
    parser.addoption("--discovery", default="cloud-map", help="how tasks of the ECS design find each other")


def pytest_configure(config: pytest.Config) -> None:
    """An example may take as long as the machine is busy with others. Only where there is time are others drawn each
    time: what a change is judged by is the same each time."""
    slow = [hypothesis.HealthCheck.too_slow]
    options = {"derandomize": not config.getoption("--long"), "suppress_health_check": slow}
    hypothesis.settings.register_profile("kumiki", deadline=None, **options)
    hypothesis.settings.load_profile("kumiki")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="a long run, for `make verify`"))


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """Whether there is time: proofs that can be short or long ask it."""
    return bool(pytestconfig.getoption("--long"))
