"""The trace of a cycle is what viewers of Chrome's format read, and the timeline is a page that works in a browser."""

import collections
import json
import re

import pytest

from support.browser import Browser
from support.lab import SilentDevice, TOP, file_text, leave_out
from support.snmpd import PLAYPEN

from test_figures import ITEMS, SECRETS, assert_no_secret, items_line, seed

#: What a person may have typed into Cacti, and what must not become part of a page.
ODD_HOST = "</script><b id=x>\"ü'&amp; --"


def page_data(path):
    text = path.read_text(encoding="utf-8")
    found, = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


def check_trace(path, most=2000):
    """The events of a trace by kind; it must be what the viewers read (docs/trace.md). The first `most` are held against the
    schema one by one."""
    try:
        import jsonschema
    except ImportError:
        leave_out("python3-jsonschema is not installed")
    trace = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads(file_text(TOP / "docs/trace.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({**trace, "traceEvents": trace["traceEvents"][:most]}, schema)
    spans = collections.defaultdict(list)
    for e in trace["traceEvents"]:
        assert e["ph"] in "XMCi" and isinstance(e["pid"], int) and isinstance(e["tid"], int) and e["name"], e
        assert e["ph"] == "M" or (isinstance(e["ts"], int) and e["ts"] >= 0), e
        if e["ph"] == "X":
            assert isinstance(e["dur"], int) and e["dur"] >= 0 and e["cat"], e
            spans[e["pid"], e["tid"]].append(e)
        if e["ph"] == "C":
            assert all(isinstance(v, int) and v >= 0 for v in e["args"].values()), e
        if e["ph"] == "i":
            assert e["s"] in "gpt", e
    for lane in spans.values():
        open_until = []
        for e in sorted(lane, key=lambda e: (e["ts"], -e["dur"])):
            while open_until and open_until[-1] <= e["ts"]:
                open_until.pop()
            assert not open_until or e["ts"] + e["dur"] <= open_until[-1], f"overlaps without nesting: {e}"
            open_until.append(e["ts"] + e["dur"])
    named = {e["pid"] for e in trace["traceEvents"] if e["ph"] == "M" and e["name"] == "process_name"}
    assert {pid for pid, _ in spans} <= named
    kinds = collections.defaultdict(list)
    for e in trace["traceEvents"]:
        kinds[e.get("cat", e["ph"])].append(e)
    return trace["otherData"], kinds


def test_a_trace_has_every_device_and_ask_in_its_place(site, snmpd, poller, work):
    path = work / "trace.json"
    seed(site, snmpd, work)
    run = poller.run(f"--trace={path}", "-V", "MEDIUM")
    assert run.status == 0, run
    about, kinds = check_trace(path)
    assert about["missing_events"] == 0 and about["status"] == 0 and about["truncated"] is False
    devices = {e["args"]["device"]: e for e in kinds["device"]}
    assert sorted(devices) == [1, 2, 3, 4, 5, 7]
    assert sum(e["args"]["values"] for e in devices.values()) == items_line(run)["values"]
    assert devices[7]["args"]["down"] is True and "snmp" in devices[7]["args"]["why"]
    for e in kinds["snmp"] + kinds["ping"]:
        device = devices[e["args"]["device"]]
        assert e["tid"] == device["tid"] and device["ts"] <= e["ts"] <= e["ts"] + e["dur"] <= device["ts"] + device["dur"]
    assert {e["args"]["purpose"] for e in kinds["snmp"]} == {"check", "values"}
    assert [e["args"]["device"] for e in kinds["script"]] == [5, 5, 5]
    assert sum(e["args"]["rows"] for e in kinds["database"]) == items_line(run)["stored"]
    cycle, = kinds["cycle"]
    assert all(e["ts"] + e["dur"] <= cycle["dur"] for e in devices.values())
    assert kinds["C"][-1]["args"]["value"] == items_line(run)["stored"]
    assert_no_secret(path)


def test_a_trace_of_a_cycle_that_is_stopped_is_complete(site, snmpd, poller, work):
    """The device that hangs ends where the cycle does."""
    path = work / "trace.json"
    seed(site, snmpd, work)
    with SilentDevice() as silent:
        device = site.add_device(9, port=silent.port, snmp_timeout=20000)
        site.add_snmp_item(device, f"{PLAYPEN}.9.1")
        with poller.start(f"--trace={path}", f"--timeline={work}/t.html") as running:
            silent.wait_for_request()
            running.signal(15)
            run = running.wait()
    assert run.status == -15, run
    about, kinds = check_trace(path)
    assert about["status"] == 128 + 15
    assert 9 in {e["args"]["device"] for e in kinds["device"]}
    assert "signal.received" in {e["name"] for e in kinds["i"]}
    data = page_data(work / "t.html")
    assert data["cycle"]["status"] == 128 + 15
    assert 9 in [d[0] for d in data["devices"] if d[2] == 2]


def test_files_that_cannot_be_written_cost_a_warning_each(site, snmpd, poller, work):
    seed(site, snmpd, work)
    run = poller.run(f"--trace={work}/none/t.json", f"--timeline={work}/none/t.html")
    assert run.status == 0, run
    assert len(run.log_lines("WARNING: Trace_File is not written: ")) == 1
    assert len(run.log_lines("WARNING: Timeline_File is not written: ")) == 1


def test_the_data_of_the_timeline_agree_with_the_log(site, snmpd, poller, work):
    path = work / "timeline.html"
    seed(site, snmpd, work)
    run = poller.run(f"--timeline={path}", "-V", "MEDIUM")
    assert run.status == 0, run
    data, said = page_data(path), items_line(run)
    assert data["cycle"]["values"] == said["values"] and data["cycle"]["unknown"] == said["U"] == 2
    devices = {d[0]: d for d in data["devices"]}
    assert sorted(devices) == [1, 2, 3, 4, 5, 7] and devices[7][3] == 1
    for d in devices.values():
        assert sum(d[14]) == d[5], d  # the phases are the duration
        ends = d[15][1::2]
        assert ends == sorted(ends) and ends[-1] == d[5], d
    assert devices[1][6:9] == [ITEMS, ITEMS, 0]
    assert sum(b[2] for b in data["batches"]) == said["stored"]
    assert_no_secret(path)


@pytest.mark.first_build
def test_the_timeline_works_in_a_browser(site, snmpd, poller, work):
    path = work / "timeline.html"
    seed(site, snmpd, work)
    odd = site.add_device(8, hostname=ODD_HOST, snmp_timeout=50)
    site.add_snmp_item(odd, f"{PLAYPEN}.8.1")
    run = poller.run(f"--timeline={path}")
    assert run.status == 0, run
    slowest = max(page_data(path)["devices"], key=lambda d: d[5])[0]
    for dark in (False, True):
        with Browser(dark=dark) as page:
            page.open(path)
            page.wait("document.documentElement.dataset.ready === 'yes'")
            assert page.value("document.documentElement.dataset.theme") == ("dark" if dark else "light")
            assert page.value("document.title").startswith("Poller 1, cycle of 20")
            assert page.value("spineTimeline.shown().sort()") == [1, 2, 3, 4, 5, 7, 8]
            click_a_device(page, 7)
            click_a_device(page, 8, ODD_HOST)
            search_and_filter(page, slowest)
            zoom(page)
            page.click_on('[data-theme-is="light"]' if dark else '[data-theme-is="dark"]')
            assert page.value("document.documentElement.dataset.theme") == ("light" if dark else "dark")
            assert page.value("document.getElementById('x')") is None
            assert page.messages == []
            assert page.requests == [path.as_uri()]


def click_a_device(page, id, host=None):
    at = page.value(f"spineTimeline.locate({id})")
    page.settle()
    page.click(at["x"], at["y"])
    assert page.value("spineTimeline.selected()") == id
    assert page.value("getComputedStyle(document.getElementById('details')).display") == "block"
    text = page.value("document.getElementById('details').innerText")
    assert f"Device {id}" in text and "Availability" in text and "down" in text
    if host:
        assert host in text
    page.key("Escape")
    assert page.value("spineTimeline.selected()") is None
    assert page.value("getComputedStyle(document.getElementById('details')).display") == "none"


def search_and_filter(page, slowest):
    page.key("/")
    page.type("127.0.0.9")
    assert page.value("spineTimeline.shown()") == [7]
    assert page.value("document.getElementById('count').textContent") == "1 of 7 devices"
    page.key("Escape")
    page.click_on('[data-filter="unknown"]')
    assert page.value("spineTimeline.shown()") == [5]
    page.click_on('[data-filter="all"]')
    page.click_on('[data-sort="id"]')
    assert page.value("spineTimeline.shown()") == [1, 2, 3, 4, 5, 7, 8]
    page.click_on('[data-sort="duration"]')
    assert page.value("spineTimeline.shown()[0]") == slowest


def zoom(page):
    page.click_on("#in")
    start, end, all = page.value("spineTimeline.range()")
    assert abs((end - start) - all / 2) < 1
    page.click_on("#fit")
    assert page.value("spineTimeline.range()") == [0, all, all]


@pytest.mark.first_build
@pytest.mark.libevent(True)
def test_the_timeline_of_5000_devices_works_in_a_browser(site, snmpd, plain_poller, work):
    """The last device of all is found, brought into sight and clicked."""
    path, many = work / "timeline.html", 5000
    devices = site.add_devices([{"id": n, "hostname": "127.0.0.1", "snmp_port": snmpd.port} for n in range(1, many + 1)])
    site.add_items([{"device": d, "arg1": f"{PLAYPEN}.1.1"} for d in devices])
    plain_poller.write_conf(plain_poller.conf_text(Address_Limit=200))
    run = plain_poller.run("--event-loop=on", "--async-snmp=on", f"--timeline={path}", f"--trace={work}/t.json",
                           f"--metrics-file={work}/m.prom")
    assert run.status == 0, run
    assert len(page_data(path)["devices"]) == many
    about, kinds = check_trace(work / "t.json")
    assert len(kinds["device"]) == many and about["missing_events"] == 0
    with Browser() as page:
        page.open(path)
        page.wait("document.documentElement.dataset.ready === 'yes'")
        assert page.value("spineTimeline.shown().length") == many
        for size in ("24", "15", "4"):
            page.click_on(f'[data-size="{size}"]')
            at = page.value(f"spineTimeline.locate({many})")
            page.settle()
            page.click(at["x"], at["y"])
            assert page.value("spineTimeline.selected()") == many
            assert f"Device {many}" in page.value("document.getElementById('details').innerText")
            page.key("Escape")
        page.key("/")
        page.type("4999")
        assert page.value("spineTimeline.shown()") == [4999]
        assert page.messages == []
