"""Servers with a certificate of one's own: trusted by the file that a connector names, for its hosts alone."""

import ssl
from pathlib import Path

import pytest
from tests.connectors.stories import FixedClock
from tests.transport.postoffice import at, post_office
from tests.transport.test_http import answering, certificate, request_to, serving, whole
from tests.transport.test_smtp import LETTER

from aegis.app.services import trust
from aegis.config.load import load
from aegis.config.settings import Config
from aegis.core.errors import ConfigError, ServiceError
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.transport.http import OutboundHttp
from aegis.transport.smtp import SmtpMail

pytestmark = pytest.mark.anyio


def secret(_reference: Reference) -> Secret:
    return Secret("https://k@127.0.0.1/1")


def written(folder: Path, authority: ssl.SSLContext) -> Path:
    """The authority as a file."""
    file = folder / "ca.pem"
    (held,) = authority.get_ca_certs(binary_form=True)
    file.write_text(ssl.DER_cert_to_PEM_cert(held))
    return file


def configured(folder: Path, text: str) -> Config:
    (folder / "aegis.yaml").write_text(text)
    return load(folder / "aegis.yaml", {})


async def test_a_connectors_own_authority_is_trusted_for_its_host(tmp_path: Path) -> None:
    context, authority = certificate("127.0.0.1")
    async with serving(answering(whole(b"safe")), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        text = (
            f'connectors: {{splunk: {{base_url: "{url}", token: env:X, ca_file: "{written(tmp_path, authority)}"}}}}\n'
        )
        own = trust(configured(tmp_path, text), secret)
        assert list(own) == ["127.0.0.1"]
        for trusted in (own, {"splunk.example.com": own["127.0.0.1"]}):
            http = OutboundHttp(clock=FixedClock(), observer=lambda _happened: None, trust=trusted)
            try:
                if trusted is own:
                    assert (await http.send(request_to(0, url=f"{url}/x"))).body == b"safe"
                else:
                    with pytest.raises(ServiceError, match="its certificate is not trusted"):
                        await http.send(request_to(0, url=f"{url}/x"))
            finally:
                await http.close()


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_so_is_a_mail_servers(tmp_path: Path, implicit: bool) -> None:
    context, authority = certificate("127.0.0.1")
    async with post_office(tls=context, implicit=implicit) as office:
        server = at(office.port, security="tls" if implicit else "starttls", ca_file=str(written(tmp_path, authority)))
        await SmtpMail(clock=FixedClock(), observer=lambda _happened: None).post(server, LETTER)
    assert len(office.letters) == 1


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "no certificate"])
def test_a_file_that_holds_no_certificate_stops_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "wrong.pem"
    if content is not None:
        file.write_text(content)
    text = f'connectors: {{webhook: {{webhook: env:A, secret: env:B, ca_file: "{file}"}}}}\n'
    with pytest.raises(ConfigError, match=r"connectors.webhook: ca_file .* holds no certificate"):
        trust(configured(tmp_path, text), secret)
