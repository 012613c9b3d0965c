"""Claims about `aegis init`."""

from pathlib import Path

from tests.cli.running import data, place


def test_init_writes_a_file_that_passes_the_check_and_its_schema(tmp_path: Path) -> None:
    here = place(tmp_path)

    assert data(here.run("init", "--json"))["file"] == str(here.folder / "aegis.yaml")
    assert here.run("check").exit_code == 0
    first = (here.folder / "aegis.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./aegis.schema.json"
    assert (here.folder / "aegis.schema.json").exists()


def test_init_never_overwrites(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("server: {listen: 127.0.0.1:9}")

    result = here.run("init")

    assert result.exit_code == 2
    assert "already there; nothing was changed" in result.stderr
    assert (here.folder / "aegis.yaml").read_text() == "server: {listen: 127.0.0.1:9}"
    assert not (here.folder / "aegis.schema.json").exists()


def test_init_makes_the_folder_it_is_given(tmp_path: Path) -> None:
    here = place(tmp_path)

    assert here.run("init", "conf/aegis").exit_code == 0
    assert (here.folder / "conf" / "aegis" / "aegis.yaml").exists()
