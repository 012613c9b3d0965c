"""Claims about where state and configuration are."""

import stat
from pathlib import Path

import pytest

from aegis.config.home import config_files, make_state_folder, state_folder
from aegis.core.errors import ConfigError


def test_a_flag_beats_the_variable_beats_xdg() -> None:
    env = {"HOME": "/home/u", "XDG_STATE_HOME": "/xdg", "AEGIS_HOME": "/var/aegis"}

    assert state_folder(env, flag="/flag") == Path("/flag")
    assert state_folder(env) == Path("/var/aegis")
    assert state_folder({"HOME": "/home/u", "XDG_STATE_HOME": "/xdg"}) == Path("/xdg/aegis")
    assert state_folder({"HOME": "/home/u", "XDG_STATE_HOME": "relative"}) == Path("/home/u/.local/state/aegis")


def test_the_state_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = make_state_folder(tmp_path / "a" / "state")

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_state_folder(folder) == folder


def test_a_state_folder_that_others_can_read_is_refused_with_the_command(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with pytest.raises(ConfigError, match="chmod 700"):
        make_state_folder(tmp_path)


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="cannot be made"):
        make_state_folder(tmp_path / "file")


def test_files_are_found_weakest_first(tmp_path: Path) -> None:
    xdg, home, here = tmp_path / "xdg", tmp_path / "home", tmp_path / "here"
    for folder in (xdg / "aegis", home, here):
        folder.mkdir(parents=True)
        (folder / "aegis.yaml").touch()
    env = {"XDG_CONFIG_HOME": str(xdg)}

    assert config_files(env, home=home, folder=here) == tuple(f / "aegis.yaml" for f in (xdg / "aegis", home, here))
    assert config_files(env, home=here, folder=here) == tuple(f / "aegis.yaml" for f in (xdg / "aegis", here))
