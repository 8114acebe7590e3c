"""What the addresses answer, in process."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from liftwerk.errors import HomeInUse
from liftwerk.server.app import create_app
from liftwerk.server.guard import COOKIE
from liftwerk.server.source import Report
from tests.server import trial

PAGES = [
    "/",
    "/decisions",
    "/releases",
    "/features",
    "/features/spend",
    "/lineage",
    "/inventory",
    "/audit",
    "/status",
    "/docs",
    "/sign-in",
]
TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def guarded() -> Iterator[TestClient]:
    app = create_app(lambda: trial.TrialSource(trial.report()), token=TOKEN, hosts=None)
    with TestClient(app=app, base_url="http://shop.example") as client:
        yield client


def text_of(page: str) -> str:
    """Return a page's words as one line."""
    body = page[page.index("<main") :]
    body = re.sub(r"<script.*?</script>", " ", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def with_report(made: Any) -> TestClient:
    return TestClient(app=create_app(lambda: trial.TrialSource(made)), base_url="http://127.0.0.1")


@pytest.mark.parametrize("path", PAGES)
def test_pages_answer_with_strict_rules_for_browsers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_inline_script_or_style_and_name_no_other_origin(
    client: TestClient, path: str
) -> None:
    page = client.get(path).text
    for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
        assert "src=" in attributes or 'type="application/json"' in attributes
        assert "src=" not in attributes or not body
    assert not re.search(r"\sstyle=|\son\w+=|<style", page)
    assert not re.search(r"(?:src|href|action)=[\"'](?:https?:)?//", page)


def test_report_is_the_document_itself(client: TestClient) -> None:
    made = trial.report()["document"]
    assert client.get("/v1/report").json() == json.loads(json.dumps(made))


def test_made_up_trial_has_the_published_shapes() -> None:
    made = trial.report()
    assert msgspec.convert(made, Report, strict=True) == made


def test_page_says_what_could_be_detected_before_the_answer(client: TestClient) -> None:
    said = text_of(client.get("/").text)
    detect = said.index("this data could detect a difference of USD 0.135 a customer or more")
    answer = said.index("this data cannot tell")
    number = said.index("USD +0.021 a customer")
    assert detect < answer < number
    assert "between −0.074 and +0.116" in said
    assert "For 10,000 customers: USD +210 , between −738 and +1,158" in said


@pytest.mark.parametrize(
    ("difference", "word", "sentence"),
    [
        (0.14, "better", "Choosing per customer earns more than the best simple rule"),
        (-0.2, "worse", "Choosing per customer earns less than the best simple rule"),
        (0.021, "unclear", "this data cannot tell"),
    ],
)
def test_verdict_is_a_word_and_a_sentence(difference: float, word: str, sentence: str) -> None:
    with with_report(trial.report(difference)) as client:
        said = text_of(client.get("/").text)
    assert sentence in said
    panel = said[said.index("Against the best simple rule") : said.index("Against what was done")]
    assert word in panel


def test_unknown_is_said_with_its_reason_and_never_as_a_number() -> None:
    with with_report(trial.unknown_report()) as client:
        page = client.get("/").text
        csv_text = client.get("/v1/figures/policies.csv").text
    said = text_of(page)
    assert "cannot be said from this data" in said
    assert "because the largest 12 orders carry 41% of the variance" in said
    assert "it would take some 90,000 customers, or a cap on spend" in said
    assert not re.search(r"USD [+−]?\d", said.replace("lose at most USD 0.100", ""))
    assert "nan" not in said.lower().split()
    assert "<circle" not in page[page.index("<main") :]
    assert ",,,," in csv_text


def test_without_a_report_the_page_says_how_to_get_one() -> None:
    with with_report(None) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "liftwerk run" in text_of(page.text)
        missing = client.get("/v1/report")
        assert client.get("/decisions").status_code == 200
        assert client.get("/status").status_code == 200
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert missing.json()["hint"] == "run `liftwerk run` first"


def test_every_figure_of_the_page_is_given_as_csv(client: TestClient) -> None:
    page = client.get("/").text
    names = set(re.findall(r'href="(/v1/figures/[^"]+)"', page))
    assert len(names) >= 11
    for name in names:
        answer = client.get(name)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len(rows) > 2
        assert len({len(row) for row in rows}) == 1


def test_csv_holds_the_numbers_unrounded(client: TestClient) -> None:
    rows = csv.DictReader(io.StringIO(client.get("/v1/figures/differences.csv").text))
    made = trial.report()["document"]["differences"]["logged"]
    found = next(row for row in rows if row["against"] == "What was done")
    assert {key: float(found[key]) for key in ("value", "low", "high")} == made


def test_drawings_and_tables_come_from_the_same_rows(client: TestClient) -> None:
    page = client.get("/").text
    found = re.search(r'id="drawings">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    drawings = {each["id"]: each for each in json.loads(found[1])}
    assert len(drawings) == 9
    drawing = drawings["qini-womens_email-visit"]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/v1/figures/{drawing['id']}.csv").text)))
    assert [float(row["gain"]) for row in rows] == drawing["line"]
    assert drawing["range"][0] <= min(drawing["low"])
    assert drawing["range"][1] >= max(drawing["high"])


def test_decision_log_is_walked_by_cursor_forth_and_back(client: TestClient) -> None:
    def ids(page: str) -> list[str]:
        return re.findall(r'href="/decisions/([^"?]+)"', page)

    first = client.get("/decisions").text
    seen = ids(first)
    page = first
    while found := re.search(r'rel="next" href="([^"]+)"', page):
        page = client.get(html.unescape(found[1])).text
        seen += ids(page)
    assert len(seen) == len(set(seen)) == 137
    while found := re.search(r'rel="prev" href="([^"]+)"', page):
        page = client.get(html.unescape(found[1])).text
    assert ids(page) == ids(first)


def test_decision_log_is_filtered(client: TestClient) -> None:
    rows = client.get("/v1/decisions", params={"action": "mens_email", "limit": 500}).json()
    assert rows
    assert {row["action"] for row in rows} == {"mens_email"}
    page = client.get("/decisions", params={"customer": rows[0]["customer"], "action": ""}).text
    assert re.findall(r'href="/decisions/([^"?]+)"', page) == [rows[0]["id"]]
    assert "No decision fits" in client.get("/decisions", params={"kind": "draft"}).text


def test_one_decision_shows_everything_that_is_kept_of_it(client: TestClient) -> None:
    row = client.get("/v1/decisions", params={"limit": 1}).json()[0]
    assert "features" not in row
    whole = client.get(f"/v1/decisions/{row['id']}").json()
    assert whole == json.loads(json.dumps(trial.decision(0)))
    said = text_of(client.get(f"/decisions/{row['id']}").text)
    for feature in whole["features"]:
        assert feature["description"] in said
    assert "What the learned policy would do here" in said
    assert "Women's e-mail, chosen with probability 33.3%" in said
    for words in ("ordered for USD 84.50", "budget", "frequency", "USD −0.276", "not checked"):
        assert words in said
    assert row["customer"] in said


def test_what_customers_wrote_is_escaped() -> None:
    made = trial.report()
    made["charts"]["project"]["name"] = "<script>alert(1)</script>"
    made["charts"]["labels"]["nothing"] = '"><img src=x onerror=alert(1)>'
    made["charts"]["policies"][0]["label"] = "</script><script>alert(1)</script>"
    with with_report(made) as client:
        for path in ("/", "/decisions"):
            page = client.get(path).text
            assert "<script>alert" not in page
            assert "<img" not in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/nothing", 404),
        ("/v1/decisions/0", 404),
        ("/v1/figures/qini.csv", 404),
        ("/v1/decisions?limit=0", 400),
        ("/v1/decisions?limit=many", 400),
    ],
)
def test_programs_get_problem_documents(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["instance"] == path.partition("?")[0]
    assert problem["title"]
    assert problem["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/nothing", "/decisions/0", "/releases/0"])
def test_people_get_a_page_where_nothing_is(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Nothing here" in answer.text


def test_wrong_method_is_said(client: TestClient) -> None:
    assert client.post("/v1/report").status_code == 405


class Broken(trial.TrialSource):
    """A source that fails in two ways."""

    def report(self) -> None:
        raise RuntimeError("the secret is 42")

    def status(self) -> dict[str, Any]:
        raise HomeInUse("the home is in use", "/shop/.liftwerk", "process 17 holds it")


def test_faults_are_told_without_their_insides(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(lambda: Broken(None))
    with TestClient(app=app, base_url="http://127.0.0.1") as client:
        broken = client.get("/v1/report")
        in_use = client.get("/status")
    assert broken.status_code == 500
    assert "42" not in broken.text
    assert "the secret is 42" in caplog.text
    assert in_use.status_code == 503
    assert "process 17 holds it" in html.unescape(in_use.text)


def test_sources_are_closed_when_the_application_ends() -> None:
    opened: list[trial.TrialSource] = []

    def open_source() -> trial.TrialSource:
        opened.append(trial.TrialSource(trial.report()))
        return opened[-1]

    with TestClient(app=create_app(open_source), base_url="http://127.0.0.1") as client:
        assert client.get("/health/ready").json() == {"status": "ready"}
        client.get("/")
    assert [source.closed for source in opened] == [True, True]


def test_schema_describes_every_program_address(client: TestClient) -> None:
    schema = client.get("/schema").json()
    assert set(schema["paths"]) == {
        "/v1/report", "/v1/figures/{name}", "/v1/decisions", "/v1/decisions/{decision_id}",
        "/v1/features/{entity}/{key}", "/health/live", "/health/ready",
    }  # fmt: skip
    assert "Document" in json.dumps(schema["components"]["schemas"])
    said = text_of(client.get("/docs").text)
    for path in schema["paths"]:
        assert path in said


def test_another_host_name_is_refused_on_loopback(client: TestClient) -> None:
    answer = client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert client.get("/", headers={"host": "127.0.0.1:9"}).status_code == 200
    assert client.get("/", headers={"host": "[::1]:9"}).status_code == 200


def test_programs_need_the_token(guarded: TestClient) -> None:
    refused = guarded.get("/v1/report")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/problem+json"
    wrong = guarded.get("/v1/report", headers={"authorization": "Bearer " + TOKEN[:-1]})
    assert wrong.status_code == 401
    right = guarded.get("/v1/report", headers={"authorization": "Bearer " + TOKEN})
    assert right.status_code == 200
    assert guarded.get("/health/live").status_code == 200


def test_people_sign_in_with_the_token(guarded: TestClient) -> None:
    sent = guarded.get("/decisions?kind=live", follow_redirects=False)
    assert sent.status_code == 303
    assert sent.headers["location"] == "/sign-in?next=/decisions%3Fkind%3Dlive"
    assert "kind=live" in html.unescape(guarded.get(sent.headers["location"]).text)
    wrong = guarded.post("/sign-in", data={"token": "wrong", "next": "/decisions"})
    assert wrong.status_code == 403
    assert COOKIE not in guarded.cookies
    right = guarded.post(
        "/sign-in", data={"token": TOKEN, "next": "/decisions"}, follow_redirects=False
    )
    assert right.status_code == 303
    assert right.headers["location"] == "/decisions"
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/decisions").status_code == 200


def test_signing_in_leads_nowhere_else(guarded: TestClient) -> None:
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example"):
        answer = guarded.post(
            "/sign-in", data={"token": TOKEN, "next": elsewhere}, follow_redirects=False
        )
        assert answer.headers["location"] == "/"


def test_forged_cookies_are_refused(guarded: TestClient) -> None:
    for value in ("", "1", TOKEN, "\x00", "a" * 64):
        answer = guarded.get("/v1/report", headers={"cookie": f"{COOKIE}={value}"})
        assert answer.status_code == 401


def test_an_erased_customer_is_said_and_not_linked() -> None:
    class Erased(trial.TrialSource):
        def decisions(self, **asked: Any) -> list[dict[str, Any]]:
            return [{**row, "customer": None} for row in super().decisions(**asked)]

        def decision(self, decision_id: str) -> dict[str, Any] | None:
            return {**trial.decision(0), "customer": None, "learned": None, "why": {}}

    app = create_app(lambda: Erased(trial.report()))
    with TestClient(app=app, base_url="http://127.0.0.1") as client:
        log = client.get("/decisions")
        one = client.get("/decisions/x")
    assert "erased" in text_of(log.text)
    assert "customer=None" not in log.text
    assert "Customer erased" in text_of(one.text)
    assert "Nothing is learned yet" in text_of(one.text)


def test_an_inventory_tells_its_gaps_and_escapes_names(client: TestClient) -> None:
    text = client.get("/inventory?since=7d").text
    for word in ("sending", "silent", "unknown", "Source fell silent", "2 more", "49,382,712"):
        assert word in text
    assert "&lt;b&gt;1,234&lt;/b&gt;" in text
    assert "<b>1,234" not in text


def test_features_are_searched_filtered_and_sorted(client: TestClient) -> None:
    def names(query: str) -> list[str]:
        return re.findall(r'href="/features/(\w+)"', client.get(f"/features?{query}").text)

    assert names("") == ["spend", "local", "visits", "local_share"]
    assert names("search=Graz") == ["local"]
    assert names("privacy=personal&sort=-name") == ["local_share", "local"]
    assert names("view=crm&owner=crm@shop.example") == ["spend"]
    nothing = client.get("/features?search=<b>").text
    assert "Nothing of the 4 declared features fits" in nothing
    assert "&lt;b&gt;" in nothing


def test_a_feature_tells_what_is_unknown_and_why(client: TestClient) -> None:
    text = client.get("/features/spend").text
    for said in (
        "Deprecated from 2027-03-01 on",
        "because no view that keeps it is filled",
        "because no model was trained on this version of it",
        "sum of order.revenue in 90d",
        "declared, and not used yet",
        "SELECT",
    ):
        assert said in text
    assert client.get("/features/spent", headers={"accept": "text/html"}).status_code == 404


def test_a_lineage_is_drawn_and_told_as_a_table(client: TestClient) -> None:
    whole = client.get("/lineage").text
    assert whole.count("<rect") == 13
    some = client.get("/lineage?node=spend").text
    assert "Lineage of spend" in some
    assert "features.spend" in some
    assert some.count("<rect") == 3
    assert client.get("/lineage?node=order").status_code == 200


def test_without_any_definition_the_pages_say_so() -> None:
    with with_report(None) as client:
        assert "No feature is declared" in client.get("/features").text
        assert "Nothing is declared yet" in client.get("/lineage").text


def test_an_inventory_of_nothing_says_so() -> None:
    app = create_app(lambda: trial.TrialSource(None))
    with TestClient(app=app, base_url="http://127.0.0.1") as client:
        text = client.get("/inventory?since=rubbish").text
    assert "Nothing is missing." in text
    assert "The project declares no event." in text
