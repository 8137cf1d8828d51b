"""The browser of the tests notices what it is there for: requests, complaints, what is too wide, what axe finds."""

import pytest

GOOD = "<!doctype html><html lang=en><title>a</title><meta name=viewport content='width=device-width'><h1>A</h1>"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


def test_a_page_without_a_fault_has_none(tab, pages):
    (pages / "good.html").write_text(f"{GOOD}<img src=a.png alt=a><div style='overflow: auto'><p style='width: 999px'>")
    (pages / "a.png").write_bytes(b"")
    shown = tab((pages / "good.html").as_uri(), width_px=390)
    assert shown.asked == [(pages / name).as_uri() for name in ("good.html", "a.png")]
    assert shown.asked_beyond(pages.as_uri()) == []
    assert shown.complaints == shown.overflow() == shown.axe() == []


def test_each_fault_is_noticed(tab, pages):
    faults = "<p style='color: #ccc'>pale</p><input><div id=wide style='width: 600px'>wide</div>"
    scripts = "<img src='http://127.0.0.1:9/x.png' alt=x><script>console.error('said'); throw Error('thrown')</script>"
    (pages / "bad.html").write_text(f"{GOOD}{faults}{scripts}")
    shown = tab((pages / "bad.html").as_uri(), width_px=390)
    assert shown.asked_beyond("file:") == ["http://127.0.0.1:9/x.png"]
    assert {"said", "thrown"} <= set(shown.complaints)
    assert "DIV.#wide" in shown.overflow()
    assert {fault.partition(":")[0] for fault in shown.axe()} == {"color-contrast", "label"}
