"""The page as a person has it: ten samples by keyboard, undo, a kill, another person, both widths, and nobody else."""

import http.client
import json
from urllib.parse import urlsplit

from pipeline.decisions.book import change_book, read_book
from pipeline.decisions.decision import Decision, Kind


def said(project):
    return {
        (int(one.sample_id[10:12]), one.by): (one.kind, one.value) for one in read_book(project / "decisions/toy.csv")
    }


def status(shown, text):
    shown.page.locator("#status", has_text=text).wait_for()


def at(shown, number):
    shown.page.wait_for_selector(f"body[data-shown='{number}']")


def test_ten_samples_by_keyboard_then_undo_and_a_kill(project, serve, tab):
    first = serve("--as", "ann")
    shown = tab(first.address)
    at(shown, 0)
    assert shown.axe() == []
    for number, key in enumerate(["r", "1", "4", "x", "b", "u", "8", "r"]):
        at(shown, number)
        shown.page.keyboard.press(key)
    at(shown, 8)
    shown.page.keyboard.press("p")  # the same person as the first neighbour; the sample itself waits
    shown.page.keyboard.press("w")
    for key in ["ArrowRight"] * 10 + ["ArrowUp", "Enter"]:
        shown.page.keyboard.press(key)
    at(shown, 9)
    shown.page.keyboard.press("w")
    shown.page.keyboard.press("0")
    at(shown, 10)
    shown.page.keyboard.press("x")
    at(shown, 11)
    shown.page.keyboard.press("z")
    at(shown, 10)
    status(shown, "taken back")
    given = said(project)
    assert [given[number, "ann"] for number in range(8)] == [
        ("right", ""), ("other_label", "anger"), ("other_label", "fear"), ("not_a_face", ""), ("bad_picture", ""),
        ("unsure", ""), ("other_label", "surprise"), ("right", ""),
    ]  # fmt: skip
    kinds = {(one.kind, one.value) for one in read_book(project / "decisions/toy.csv") if "/08.jpg" in one.sample_id}
    # A step is a fiftieth of the picture, which is 1024 x 512 px: ten from its middle, and one up.
    assert kinds == {("same_person", "toy/happy/00.jpg#0"), ("wrong_face", "716.8 245.8")}
    assert given[9, "ann"] == ("wrong_face", "")
    assert (10, "ann") not in given
    assert shown.complaints == []
    assert shown.asked_beyond(first.address) == []
    first.kill()
    assert said(project) == given
    shown.page.keyboard.press("r")
    status(shown, "Not saved")
    shown.page.close()
    again = tab(serve("--as", "ann").address)
    at(again, 10)
    assert again.page.text_content("#progress") == "10 of 12 decided as ann"
    again.page.close()


def test_another_person_on_a_telephone_sees_nothing_of_the_first(project, serve, tab):
    lines = [("right", ""), ("other_label", "anger"), ("other_label", "fear")]
    names = [f"toy/happy/{number:02d}.jpg#0" for number in range(3)]
    given = [Decision(name, Kind(kind), value, "ann") for name, (kind, value) in zip(names, lines, strict=True)]
    change_book(project / "decisions/toy.csv", lambda _: given)
    other = tab(serve("--as", "ben").address, width_px=390)
    at(other, 0)
    assert other.page.text_content("#progress") == "0 of 12 decided as ben"
    assert other.page.locator("[aria-pressed=true]").count() == 1  # the first neighbour; of ann it shows nothing
    assert other.overflow() == []
    assert other.axe() == []
    for number, name in enumerate(["right", "anger", "sad"]):
        at(other, number)
        other.page.get_by_role("button", name=name, exact=False).first.click()
    at(other, 3)
    status(other, "saved")
    other.page.reload()
    at(other, 3)
    # Two of three alike: observed 2/3, by chance 2/9 (ann: right, anger, fear; ben: right, anger, sad).
    other.page.locator("#agreement", has_text="2 of 3").wait_for(timeout=60_000)  # scikit-learn is loaded first
    assert other.page.text_content("#agreement").strip() == "ann and ben: 2 of 3 alike, kappa 0.57."
    other.page.click("#close")
    status(other, "Closed")


def ask(address, method, path, body=None, **headers):
    to = urlsplit(address)
    connection = http.client.HTTPConnection(to.hostname, to.port, timeout=20)
    connection.request(method, path, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), content


def test_nobody_else_is_answered_and_no_path_reaches_the_disk(project, serve):
    server = serve("--as", "ann", "--idle-minutes", "0.05")
    root = urlsplit(server.address).path
    right = json.dumps({"number": 0, "kind": "right"})
    status, headers, _ = ask(server.address, "GET", root)
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    for path in ("/", "/x/", f"{root}../params.yaml", f"{root}%2e%2e/params.yaml", f"{root}crop/../../params.yaml",
                 f"{root}crop/toy", f"{root}crop/-1", f"{root}crop/0/99", f"{root}page/review.html"):  # fmt: skip
        assert ask(server.address, "GET", path)[0] == 404, path
    assert ask(server.address, "GET", f"{root}crop/99")[0] == 400
    assert ask(server.address, "GET", root, Host="evil.example")[0] == 404
    assert ask(server.address, "GET", root, Host="evil.example:80")[0] == 404
    assert ask(server.address, "POST", f"{root}decide", right, Origin="http://evil.example")[0] == 403
    assert ask(server.address, "POST", f"{root}decide", right, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert ask(server.address, "POST", f"{root}decide", right, **{"Content-Type": "text/plain"})[0] == 403
    for body in ("{", "[]", '{"number": 0}', '{"number": true, "kind": "right"}', '{"number": 99, "kind": "right"}',
                 '{"number": 0, "kind": "withdrawn"}', '{"number": 0, "kind": "other_label", "value": "hapy"}',
                 '{"number": 0, "kind": "same_person", "value": "../x"}',
                 '{"number": 0, "kind": "right", "value": "\\n"}',
                 json.dumps({"number": 0, "kind": "right", "value": "x" * 9000})):  # fmt: skip
        status, _, content = ask(server.address, "POST", f"{root}decide", body)
        assert (status, list(json.loads(content))) == (400, ["error"]), body
    assert not (project / "decisions/toy.csv").exists()
    assert ask(server.address, "POST", f"{root}decide", right)[0] == 200
    assert said(project) == {(0, "ann"): ("right", "")}
    assert server.process.wait(30) == 0  # by itself, after three seconds of silence
