"""Claims about `aegis config`."""

from pathlib import Path

from tests.cli.running import data, place

from aegis.config.schema import schema_text

TOKEN = "xoxb-not-to-be-seen-0123456789"


def test_show_says_what_is_in_force_and_where_it_comes_from(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("server: {listen: 127.0.0.1:9000}\n")

    assert here.run("config", "show", "--origin", "server").stdout.replace(f"{here.folder}/", "") == (
        "server.listen: 127.0.0.1:9000  # aegis.yaml:1:10\n"
    )
    values = {value["path"]: value for value in data(here.run("config", "show", "--json"))["values"]}
    assert values["server.listen"]["value"] == "127.0.0.1:9000"
    assert values["budgets.everything.daily.emergency"] == {
        "path": "budgets.everything.daily.emergency", "value": "10.00", "origin": "default",
    }  # fmt: skip


def test_show_prints_references_and_never_values(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.env["SLACK"] = TOKEN
    here.write('connectors: {slack: {token: env:SLACK, channel: "#soc"}, teams: {webhook: env:TEAMS}}\n')

    result = here.run("config", "show", "connectors")

    assert "connectors.slack.token: <env:SLACK set>\n" in result.stdout
    assert "connectors.teams.webhook: <env:TEAMS not set>\n" in result.stdout
    assert TOKEN not in result.output + here.run("config", "show", "--json").output


def test_schema_prints_the_committed_text(tmp_path: Path) -> None:
    assert place(tmp_path).run("config", "schema").stdout == schema_text()


def test_a_chosen_file_is_the_only_one(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("server: {listen: near:1}\n")
    (here.folder / "other.yaml").write_text("sandbox: {seed: 9}\n")

    result = here.run("--config", str(here.folder / "other.yaml"), "config", "show", "--json")

    values = {value["path"]: value["value"] for value in data(result)["values"]}
    assert (values["sandbox.seed"], values["server.listen"]) == ("9", "127.0.0.1:8787")


def test_a_chosen_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert place(tmp_path).run("--config", "/nowhere.yaml", "config", "show").exit_code == 3
