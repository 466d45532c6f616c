import pytest

from tests.collectors.tokens.serve import Endpoint


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint
