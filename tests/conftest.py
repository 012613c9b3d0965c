"""What every test may use: the shared evidence folder (skipped with a reason where it is absent) and `--long`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.stores.postgres import server

SHARED = Path(__file__).resolve().parents[2] / "shared"

settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long proofs at their full count")


@pytest.fixture
def shared() -> Path:
    """The folder of contracts, logs and yardsticks beside the project; absent on most machines."""
    if not SHARED.is_dir():
        pytest.skip("the evidence folder ../shared is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of the tests' own (skipped with a reason where none is installed)."""
    with server() as address:
        yield address


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the proofs run at their full count."""
    return bool(request.config.getoption("--long"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its argument: what was packed or drawn may differ from one worker to the next."""
    return argname if isinstance(val, bytes) else None
