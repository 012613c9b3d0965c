"""Claims about `.env` and `AEGIS_...` variables."""

from pathlib import Path

import pytest

from aegis.config.environment import is_setting, read_dotenv, setting_path, with_dotenv
from aegis.core.errors import ConfigError

SECRET = "sk-ant-zzzzzzzzzzzzzzzzzzzz"


def _dotenv(folder: Path, text: str, mode: int = 0o600) -> None:
    path = folder / ".env"
    path.write_text(text)
    path.chmod(mode)


def test_names_values_quotes_and_comments(tmp_path: Path) -> None:
    _dotenv(tmp_path, "# keys\nA=1\nexport B='x y'\nC=\"#5\"\n\nD=v # note\nE=a=b\n")

    assert {name: (v.value, v.line) for name, v in read_dotenv(tmp_path).items()} == {
        "A": ("1", 2), "B": ("x y", 3), "C": ("#5", 4), "D": ("v", 6), "E": ("a=b", 7),
    }  # fmt: skip


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_command(tmp_path: Path, mode: int) -> None:
    _dotenv(tmp_path, f"KEY={SECRET}", mode)

    with pytest.raises(ConfigError, match=r"run: chmod 600 \.env"):
        read_dotenv(tmp_path)


def test_no_file_is_no_variable(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path) == {}


def test_a_line_that_is_no_assignment_is_named_and_not_shown(tmp_path: Path) -> None:
    _dotenv(tmp_path, f"A=1\n{SECRET}\n: x\n")

    with pytest.raises(ConfigError) as caught:
        read_dotenv(tmp_path)

    assert caught.value.problems == (".env:2:1 - must be NAME=value", ".env:3:1 - must be NAME=value")


def test_a_value_is_not_in_its_repr(tmp_path: Path) -> None:
    _dotenv(tmp_path, f"KEY={SECRET}")

    assert SECRET not in repr(read_dotenv(tmp_path))


def test_the_real_environment_wins(tmp_path: Path) -> None:
    _dotenv(tmp_path, "A=file\nB=file")

    assert with_dotenv({"A": "real"}, read_dotenv(tmp_path)) == {"A": "real", "B": "file"}


def test_only_names_with_a_section_are_settings() -> None:
    assert [name for name in ("AEGIS_HOME", "AEGIS_CONFIG", "PATH", "AEGIS_A__B", "AEGIS__A") if is_setting(name)] == [
        "AEGIS_A__B"
    ]
    assert setting_path("AEGIS_STORE__URL") == ("store", "url")
