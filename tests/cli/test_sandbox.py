"""Claims about `aegis sandbox show`: what the services would have got, without any secret."""

from pathlib import Path

from tests.cli.running import data, place
from tests.cli.story import TRAIL_STOPPED


def test_what_a_service_got_is_shown_request_by_request(tmp_path: Path) -> None:
    here = place(tmp_path)
    (here.folder / "trail.json").write_text(TRAIL_STOPPED)
    assert here.run("event", "import", "--sandbox", str(here.folder / "trail.json")).exit_code == 0

    shown = data(here.run("sandbox", "show", "pagerduty", "--json"))
    assert shown["schema"] == "aegis.sandbox/1"
    first = shown["services"]["pagerduty"]["records"][0]
    assert (first["method"], first["path"]) == ("POST", "/v2/enqueue")
    assert shown["services"]["pagerduty"]["received"] >= 1
    everything = here.run("sandbox", "show", "all")
    assert "POST /v2/enqueue" in everything.stdout
    assert "5a5a5a" not in everything.stdout
    assert "xoxb-sandbox" not in everything.stdout


def test_before_the_first_request_and_for_an_unknown_service_it_says_so(tmp_path: Path) -> None:
    here = place(tmp_path)
    assert here.run("sandbox", "show", "slack").exit_code == 4

    here.home.mkdir(mode=0o700)
    (here.home / "sandbox.jsonl").touch()
    unknown = here.run("sandbox", "show", "fax")

    assert unknown.exit_code == 4
    assert "fax" in unknown.stderr
