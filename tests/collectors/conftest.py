import pytest

from tests.support.endpoint import Endpoint


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint
