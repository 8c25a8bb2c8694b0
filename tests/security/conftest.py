from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.conftest import IN_CI
from tests.security.broker import SecuredBroker, secured_broker
from tests.security.certificates import Certificates, make_certificates
from tools.devkafka import DevKafkaMissingError


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secured(certificates: Certificates) -> Iterator[SecuredBroker]:
    """A broker with logins and rights; one of its own even where the tests are given a broker."""
    try:
        made = secured_broker(certificates)
    except DevKafkaMissingError as missing:
        if IN_CI:
            pytest.fail(f"CI must test on a real broker: {missing}")
        pytest.skip(str(missing))
    with made.broker:
        made.broker.start()
        yield made


@pytest.fixture
def prefix() -> str:
    """Of topics and users that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"
