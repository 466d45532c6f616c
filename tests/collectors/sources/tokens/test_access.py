"""Ways to a page: headers, redirects, certificates."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import ValidationError

from tests.support.tls import self_signed
from tokenergy_collectors.sources.tokens.endpoint import fetch_page
from tokenergy_collectors.sources.tokens.scrape import ScrapeError
from tokenergy_collectors.sources.tokens.settings import Tls, TokenSource

PAGE = "vllm:generation_tokens_total 70.0\n"


def source(url: str, **more) -> TokenSource:
    return TokenSource(source_id="s", url=url, job_id="j", timeout_s=5, **more)


def test_headers_are_sent(endpoint) -> None:
    endpoint.body = PAGE
    assert fetch_page(source(endpoint.url, headers={"X-Scope-OrgID": "a"})) == PAGE
    assert {k.lower(): v for k, v in endpoint.headers.items()}["x-scope-orgid"] == "a"


@pytest.mark.parametrize(
    "headers",
    [{"a b": "c"}, {"a": "b\r\nc: d"}, {"": "c"}, {"Authorization": "Bearer x"}, {"a": "\x00"}],
)
def test_what_is_no_header_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="headers: "):
        source("http://127.0.0.1/", headers=headers)


@pytest.mark.parametrize("where", ["http://localhost:1/metrics", "https://127.0.0.1/", "ftp://x/y"])
def test_no_other_server_is_followed(endpoint, where: str) -> None:
    endpoint.raw = f"HTTP/1.1 302 Found\r\nLocation: {where}\r\n\r\n".encode()
    with pytest.raises(ScrapeError, match=r"redirects to|302"):
        fetch_page(source(endpoint.url))


def test_another_path_of_the_server_is_followed(endpoint) -> None:
    class Moved(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(307 if self.path == "/metrics" else 200)
            self.send_header("Location", "/metrics/")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Moved) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            assert fetch_page(source(f"http://127.0.0.1:{server.server_port}/metrics")) == PAGE
        finally:
            server.shutdown()
            thread.join(5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
def https(endpoint, certificate):
    """The endpoint behind TLS; it asks for a certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    endpoint.wrap(context)
    endpoint.body = PAGE
    return endpoint.url.replace("http://", "https://")


def test_a_page_behind_tls(https, certificate, tmp_path) -> None:
    both = Tls(ca_file=certificate, cert_file=certificate)
    assert fetch_page(source(https, tls=both)) == PAGE
    with pytest.raises(ScrapeError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_page(source(https))
    with pytest.raises(ScrapeError, match=r"."):
        fetch_page(source(https, tls=Tls(ca_file=certificate)))
    assert fetch_page(source(https, tls=Tls(cert_file=certificate, verify=False))) == PAGE
    with pytest.raises(ScrapeError, match=r"tls: .*none\.pem: No such file"):
        fetch_page(source(https, tls=Tls(ca_file=tmp_path / "none.pem")))


def test_a_login_is_told_from_prometheus_text(endpoint) -> None:
    endpoint.body = "<!DOCTYPE html><html><form action='/login'></form></html>\n"
    with pytest.raises(ScrapeError, match="answers with a web page, such as a login"):
        fetch_page(source(endpoint.url))
