"""BMCs that ask who reads them, that are busy, that hang; sessions, certificates, secrets."""

import pytest

from tests.collectors.sources.redfish.rig import (
    FOUND,
    LOST,
    METRICS,
    POWER,
    SECRET,
    N,
    Rig,
    bmc,
    served,
    why,
)
from tests.support.redfish import (
    ROOT,
    environment,
    old_power,
    tree,
)


@pytest.fixture
def login(tmp_path):
    """The keys of a user whose password is in a file."""
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return {"username": "monitor", "password_file": path}


def test_one_session_serves_all_readings_and_ends_with_the_source(login):
    with served() as server:
        with Rig(bmc(server.port, **login)) as rig:
            rig.run(300)
            assert rig.values() == [(POWER, 400 * N)] * 11
            assert (server.begun, len(server.sessions)) == (1, 1)
            assert {how for method, path, how in server.requests if path != f"{ROOT}/"} == {
                "", "session"
            }  # fmt: skip
            # Nothing but the value is asked for once its place is known.
            assert server.requests[-2:] == [("GET", METRICS, "session")] * 2
        assert server.sessions == {}
        assert server.requests[-1] == ("DELETE", f"{ROOT}/SessionService/Sessions/1", "session")


def test_a_session_that_has_expired_is_begun_again_without_a_gap(login):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        server.sessions.clear()
        rig.run(30)
        assert rig.values() == [(POWER, 400 * N)] * 2
        assert (server.begun, rig.events) == (2, [])


def test_basic_authentication_has_no_session(login):
    with served() as server:
        with Rig(bmc(server.port, auth="basic", **login)) as rig:
            rig.run(30)
            assert rig.values() == [(POWER, 400 * N)] * 2
        assert {(method, how) for method, _, how in server.requests} == {("GET", "basic")}


@pytest.mark.parametrize("auth", ["session", "basic"])
def test_a_refused_password_is_not_tried_again_until_it_is_another_one(login, auth, capsys):
    login["password_file"].write_text("wrong")
    with served() as server, Rig(bmc(server.port, auth=auth, **login)) as rig:
        rig.run(540)
        assert why(rig) == "it refuses the user name or the password (HTTP 401)"
        tries = [one for one in server.requests if one[0] == "POST" or one[2] == "wrong"]
        tries = [one for one in tries if one[1] != f"{ROOT}/"]  # which anyone may read
        assert len(tries) == 1  # BMCs lock a user after a few
        rig.run(120)
        tries = [one for one in server.requests if one[0] == "POST" or one[2] == "wrong"]
        tries = [one for one in tries if one[1] != f"{ROOT}/"]  # which anyone may read
        assert len(tries) == 2
        login["password_file"].write_text(SECRET)
        rig.run(61)
        assert rig.kinds() == [LOST, FOUND]
        assert (POWER, 400 * N) in rig.values()
    assert "wrong" not in capsys.readouterr().err


def test_no_password_where_one_is_asked_for():
    with served() as server, Rig(bmc(server.port)) as rig:
        rig.run(0)
        assert why(rig) == "it asks for a user name and password (HTTP 401)"
        [finding] = rig.check()
        assert finding.text.endswith("give username and password_file")


def test_a_password_comes_from_the_environment(monkeypatch):
    keys = {"username": "monitor", "password_env": "TEST_BMC_PASSWORD"}
    with served() as server, Rig(bmc(server.port, **keys)) as rig:
        rig.run(0)
        assert why(rig) == "password_env: the environment has no TEST_BMC_PASSWORD"
        monkeypatch.setenv("TEST_BMC_PASSWORD", SECRET)
        rig.run(30)
        assert rig.values() == [(POWER, 400 * N)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file or directory"),
        (b"", "expected one line that holds the password"),
        (b"a\nb\n", "expected one line that holds the password"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_password_file_that_cannot_be_used(login, content, said):
    path = login["password_file"]
    path.unlink() if content is None else path.write_bytes(content)
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        assert why(rig) == f"password_file {path}: {said}"


def test_no_secret_is_told(login, capfd, caplog):
    """Neither a log, an event nor a finding has the password, whatever goes wrong."""
    caplog.set_level(0)
    texts = []
    faults = [
        lambda handler: False,
        lambda handler: handler.answer(401),
        lambda handler: handler.answer(500, SECRET.encode()),
        lambda handler: handler.answer(200, SECRET.encode()),
        lambda handler: handler.answer(204) if handler.command == "POST" else False,
    ]
    for auth in ("session", "basic"):
        for fault in faults:
            with (
                served() as server,
                server.broken(fault),
                Rig(bmc(server.port, auth=auth, **login)) as rig,
            ):
                rig.run(30)
                texts += [str(one) for one in rig.check()] + [one for _, one in rig.events]
                texts += [repr(rig.keys), repr(rig.source.config)]
    texts += [*capfd.readouterr(), caplog.text]
    assert len(texts) > 20
    for text in texts:
        assert "Tr0ub4dor" not in text
        assert "token-" not in text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, f"the user may not read {METRICS} (HTTP 403)"),
        (404, f"the BMC has no {METRICS} (HTTP 404)"),
        (500, f"{METRICS}: HTTP 500"),
        (503, "it is busy or starts (HTTP 503)"),
        (429, "it is busy or starts (HTTP 429)"),
        (401, f"the user may not read {METRICS} (HTTP 401)"),
        (308, f"{METRICS} redirects to another address (HTTP 308)"),
    ],
)
def test_a_refusal_is_a_loss_with_its_reason(login, status, said):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        rig.rows.clear()
        with server.broken(lambda handler: handler.path == METRICS and handler.answer(status)):
            rig.run(30)
            assert (rig.rows, why(rig)) == ([], said)
        rig.run(61)
        assert (POWER, 400 * N) in rig.values()
        assert rig.kinds() == [LOST, FOUND]


def test_what_may_not_be_read_in_one_way_is_read_in_another():
    found = tree(**{"1": environment(400) | old_power({"PowerConsumedWatts": 5})})
    with served(False, found) as server, Rig(bmc(server.port)) as rig:
        server.fault = lambda handler: handler.path == METRICS and handler.answer(403)
        rig.run(0)
        assert rig.values() == [(POWER, 5 * N)]


def test_a_chassis_that_is_refused_hides_no_other():
    """Without it nobody knows whether several have power."""
    found = tree(a=environment(1), b=environment(2))
    with served(False, found) as server, Rig(bmc(server.port)) as rig:
        server.fault = lambda one: one.path == f"{ROOT}/Chassis/b" and one.answer(500)
        rig.run(0)
        assert (rig.values(), why(rig)) == ([], f"{ROOT}/Chassis/b: HTTP 500")


def test_a_redirect_to_another_path_is_followed_and_to_another_host_is_not(login):
    with served() as server, served() as other, Rig(bmc(server.port, **login)) as rig:
        away = f"http://127.0.0.1:{other.port}/moved"
        server.tree["/moved"] = server.tree[METRICS]

        def at(location):
            return lambda one: one.path == METRICS and one.answer(307, Location=location)

        for location in ("/moved", f"http://127.0.0.1:{server.port}/moved"):
            with server.broken(at(location)):
                rig.run(30)
                assert set(rig.values()) == {(POWER, 400 * N)}
        tls = f"https://127.0.0.1:{server.port}/moved"
        for location in (away, away.removeprefix("http:"), tls, "moved", "http://[/moved", ""):
            with server.broken(at(location)):
                rig.run(30)
        assert rig.values() == []
        assert other.requests == []


def test_a_link_to_another_host_or_into_another_request_is_not_followed(login):
    with served() as other, served() as server, Rig(bmc(server.port, **login)) as rig:
        chassis = server.tree[f"{ROOT}/Chassis/1"]
        away = f"127.0.0.1:{other.port}"
        # The first ones are no paths at all, so that nothing is asked for.
        for path in (
            "/a b", "/a\r\nX: y", "/é", 7, None, f"http://{away}/", f"@{away}/", f"//{away}/"
        ):  # fmt: skip
            chassis["EnvironmentMetrics"] = {"@odata.id": path}
            rig.run(61)
        assert (rig.values(), other.requests) == ([], [])
        assert why(rig) == "the BMC has no power"
        assert {path for _, path, _ in server.requests if "Chassis/1" not in path} <= {
            f"{ROOT}/", f"{ROOT}/Chassis", f"{ROOT}/SessionService/Sessions", f"/{away}/"
        }  # fmt: skip


def test_a_login_without_an_answer_is_not_repeated_at_once(login):
    """Each one may have left a session, and a BMC has only few."""

    def vanish(handler):
        if handler.command != "POST":
            return False
        handler.bmc.begun += 1
        handler.close_connection = True
        return True

    with served() as server, Rig(bmc(server.port, **login)) as rig:
        rig.run(0)
        server.sessions.clear()  # the connection is kept
        with server.broken(vanish):
            rig.run(30)
        assert (server.begun, why(rig)) == (2, "it closed the connection")


def test_a_refusal_from_the_start_is_told(login):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        server.fault = lambda handler: handler.path == METRICS and handler.answer(403)
        rig.run(0)
        assert why(rig) == f"the user may not read {METRICS} (HTTP 403)"
        # Each resource is asked for once in a reading, though two values are looked for.
        assert [path for _, path, _ in server.requests].count(METRICS) == 1


def test_a_bmc_without_free_sessions_says_what_to_do(login):
    with served() as server, Rig(bmc(server.port, **login)) as rig:
        server.fault = lambda one: one.command == "POST" and one.answer(507)
        rig.run(0)
        assert why(rig) == (
            'it gives no session (HTTP 507): are too many open? auth = "basic" needs none'
        )
