"""What a finished cycle must look like in the database; failures name the first items that are wrong."""

import re

#: Columns of a device that a poll may change when it has checked the device (docs/contract.md 8.6, 6.8).
STATUS_COLUMNS = {"status", "status_event_count", "status_fail_date", "status_rec_date", "status_last_error",
                  "min_time", "max_time", "cur_time", "avg_time", "total_polls", "failed_polls", "availability",
                  "polling_time", "last_updated"}


def assert_stored(site, expected):
    """Exactly the items of `expected` {(local_data_id, rrd_name): text} have one row each, with that text, and all
    rows of a data source have one time (docs/contract.md 17.2)."""
    stored = site.outputs()
    missing = sorted(expected.keys() - stored.keys())
    assert not missing, f"{len(missing)} items without a row, first {missing[:5]}"
    surplus = sorted(stored.keys() - expected.keys())
    assert not surplus, f"{len(surplus)} rows of items that were not due, first {surplus[:5]}"
    twice = sorted(key for key, rows in stored.items() if len(rows) != 1)
    assert not twice, f"{len(twice)} items with more than one row, first {[(k, stored[k]) for k in twice[:5]]}"
    wrong = {key: (rows[0][1], expected[key]) for key, rows in stored.items() if rows[0][1] != expected[key]}
    assert not wrong, f"{len(wrong)} wrong values (stored, right), first {list(wrong.items())[:5]}"
    times = {}
    for (local_data_id, _), rows in stored.items():
        times.setdefault(local_data_id, set()).add(rows[0][0])
    split = {i: t for i, t in times.items() if len(t) != 1}
    assert not split, f"{len(split)} data sources with several times, first {list(split.items())[:3]}"


def assert_closed(site, run, cycles=1):
    """The cycle's poller_time row names the process that ran, and is closed."""
    rows = site.cycles()
    assert len(rows) == cycles, rows
    assert rows[-1]["end_time"] is not None, f"poller_time row left open: {rows[-1]}"
    assert rows[-1]["poller_id"] == 1


def assert_only_a_cycle_changed(before, after, devices, advanced=()):
    """Nothing but what one cycle may write has changed.

    `devices`: ids of the devices that were checked; `advanced`: keys of poller_item rows whose rrd_next_step may
    have moved. Rows of poller_output are checked by assert_stored.
    """
    changes = before.changes(after)
    allowed = {"poller_output", "poller_time", "settings", "host"} | ({"poller_item"} if advanced else set())
    assert changes.keys() <= allowed, f"changed as well: {changes}"

    time = changes["poller_time"]
    assert len(time.added) == 1 and not time.removed and not time.changed, time

    if "settings" in changes:
        settings = changes["settings"]
        names = {key[0] for key in (*settings.added, *settings.changed)}
        assert names <= {"date", "spine_capabilities"} and not settings.removed, settings

    if "host" in changes:
        host = changes["host"]
        assert not host.added and not host.removed, host
        assert {key[0] for key in host.changed} <= set(devices), f"devices touched that should not be: {host}"
        assert host.columns <= STATUS_COLUMNS, f"columns changed as well: {host.columns - STATUS_COLUMNS}"

    if "poller_item" in changes:
        item = changes["poller_item"]
        assert not item.added and not item.removed, item
        assert item.columns <= {"rrd_next_step", "last_updated"}, item
        assert item.changed.keys() <= set(advanced), item

    if "poller_output" in changes:
        assert not changes["poller_output"].removed and not changes["poller_output"].changed


def accounts(run):
    """What the run says has become of its rows: (expected, stored, spooled, lost)."""
    lines = [line for line in run.log_lines(" rows: ") if "Items:" in line]
    assert len(lines) == 1, run
    found = re.search(r" rows: (\d+) expected, (\d+) stored, (\d+) spooled, (\d+) lost", lines[0])
    assert found, lines[0]
    return tuple(int(n) for n in found.groups())


def assert_accounted(run, expected, stored, spooled=0, lost=0):
    """Rows expected = stored + spooled + lost, in the run's own words and in ours. The run logs at -V 3 or more."""
    told = accounts(run)
    assert told[0] == sum(told[1:]), told
    assert told == (expected, stored, spooled, lost), f"{told}\n{run!r}"
