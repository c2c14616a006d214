"""What the simulated agents do wrong when told to: requests that are lost, and answers that lie."""

from support.plainsnmp import (A, Answer, GET, GETBULK, GETNEXT, HC_OCTETS, IF_INDEX, OBJECTS, OWN, RESPONSE, SYS,
                               ask, request)


# ---- what is lost ----


def test_lost_requests(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1 silent
agent 127.2.0.2 drop-first=2
agent 127.2.0.3 drop-pattern=2/3
agent 127.2.0.4 die-after=2
agent 127.2.0.5 die-after=2 recover=3
agent 127.2.0.6 silent during=2-3
agent 127.2.0.7 silent share=1/2
agent 127.2.0.8 silent during=3- share=1/2
agent 127.2.0.9 version=2c
agent 127.2.0.10 loss=1
""")
    expected = ["------", "--++++", "--+--+", "++----", "++---+", "+--+++", "-+-+-+", "++-+-+"]
    for i, fates in enumerate([*expected, "++++++", "------"], 1):
        assert c.fates(6, f"127.2.0.{i}") == fates, i
    assert c.fates(2, "127.2.0.9", version=0) == "--"
    assert c.fates(2, "127.2.0.2", community=b"other") == "--"
    counters = c.farm.counters()
    assert counters["bad_community"] == 2
    assert counters["requests"] == counters["answers"] + counters["dropped"] + 2 == 64
    assert c.farm.counters("127.2.0.3") == {"requests": 6, "answers": 2}


def test_loss_is_the_same_every_time_and_in_proportion(client):
    spec = f"{OBJECTS}\nagent 127.2.0.1-127.2.0.2 loss=0.3\nagent 127.2.0.3 loss=0.3 seed=2"
    first, second = client(spec), client(spec)
    fates = [first.fates(200, f"127.2.0.{i}") for i in (1, 2, 3)]
    assert fates == [second.fates(200, f"127.2.0.{i}") for i in (1, 2, 3)]
    assert len(set(fates)) == 3
    assert all(30 < f.count("-") < 90 for f in fates)


def test_delayed_and_late_answers(client):
    hour = 3600000
    c = client(f"""{OBJECTS}
agent 127.2.0.1 delay=20
agent 127.2.0.2
agent 127.2.0.3 delay={hour}
agent 127.2.0.4 late={hour} during=1
agent 127.2.0.5 delay=1-40
""")
    one = [f"{SYS}.1.0"]
    c.send(request(one, rid=1), "127.2.0.1")
    c.send(request(one, rid=2), "127.2.0.2")
    assert [Answer(c.recv()).id for _ in range(2)] == [2, 1]
    c.send(request(one, rid=3), "127.2.0.3")
    c.send(request(one, rid=4), "127.2.0.4")
    c.send(request(one, rid=5), "127.2.0.4")
    assert Answer(c.recv()).id == 5 and c.unanswered()
    assert c.farm.counters()["pending"] == 2
    for i in range(50):
        c.send(request(one, rid=100 + i), "127.2.0.5")
    ids = [Answer(c.recv()).id for _ in range(50)]
    assert sorted(ids) == list(range(100, 150)) != ids


# ---- what is a lie ----


def test_lies_in_the_header(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1 wrong-id
agent 127.2.0.2 wrong-version
agent 127.2.0.3 wrong-community
agent 127.2.0.4 wrong-pdu
agent 127.2.0.5 error=genErr:3
agent 127.2.0.6 error=tooBig:0 during=1
agent 127.2.0.7 error=99:7
agent 127.2.0.8 toobig-above=2
""")
    three = [f"{IF_INDEX}.{i}" for i in (1, 2, 3)]

    def head(i, oids=three, **kwargs):
        a = c.get(*oids, addr=f"127.2.0.{i}", rid=41, **kwargs)
        return a.version, a.community, a.pdu, a.id, a.status, a.index, len(a.rows)

    assert head(1) == (1, b"public", RESPONSE, 42, 0, 0, 3)
    assert head(2) == (0, b"public", RESPONSE, 41, 0, 0, 3)
    assert head(2, version=0) == (1, b"public", RESPONSE, 41, 0, 0, 3)
    assert head(3) == (1, b"not-yours", RESPONSE, 41, 0, 0, 3)
    assert head(4) == (1, b"public", GET, 41, 0, 0, 3)
    assert head(5) == (1, b"public", RESPONSE, 41, 5, 3, 3)
    assert head(6) == (1, b"public", RESPONSE, 41, 1, 0, 0)
    assert head(6) == (1, b"public", RESPONSE, 41, 0, 0, 3)
    assert head(7) == (1, b"public", RESPONSE, 41, 99, 7, 3)
    assert head(8) == (1, b"public", RESPONSE, 41, 1, 0, 0)
    assert head(8, version=0) == (0, b"public", RESPONSE, 41, 1, 0, 3)
    assert head(8, three[:2]) == (1, b"public", RESPONSE, 41, 0, 0, 2)


def test_lies_about_varbinds(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1 reorder
agent 127.2.0.2 omit-first
agent 127.2.0.3 omit-last
agent 127.2.0.4 extra
agent 127.2.0.5 other-oid
agent 127.2.0.6 other-oid=3
agent 127.2.0.7 stuck
agent 127.2.0.8 omit-after=2
""")
    x, y, z = three = [f"{IF_INDEX}.{i}" for i in (1, 2, 3)]
    extra, other = ".1.3.6.1.4.1.32473.1", f"{IF_INDEX}.1000001"
    expected = [[z, y, x], [y, z], [x, y], [x, y, z, extra], [other, y, z]]
    expected += [[x, y, f"{IF_INDEX}.1000003"], three, [x, y]]
    for i, oids in enumerate(expected, 1):
        a = c.get(*three, addr=f"127.2.0.{i}")
        assert a.oids == oids and a.status == 0
    for pdu in GETNEXT, GETBULK:
        a = c.get(*three, addr="127.2.0.7", pdu=pdu, a=1, b=2)
        assert a.oids == three + ([y, z] if pdu == GETBULK else [])
        assert a.rows[0][2] == b"\2"
    assert "OID not increasing" in ask("snmpwalk", c.farm, SYS, addr="127.2.0.7", status=1)


def test_a_mute_object_is_never_answered_nor_what_is_asked_for_with_it(client):
    c = client(f"{OBJECTS}\nobject {OWN}.1 int 7\nobject {OWN}.2 mute\nobject {OWN}.3 int 9\nagent {A}")
    first, mute, last = (f"{OWN}.{i}" for i in (1, 2, 3))
    for pdu, *oids in (GET, mute), (GET, first, mute, last), (GETNEXT, first), (GETBULK, first):
        c.send(request(oids, pdu=pdu, a=0, b=2))
        assert c.unanswered(), (pdu, oids)
    assert c.get(first, last).oids == [first, last]
    assert c.get(mute, pdu=GETNEXT).oids == [last]
    assert c.farm.counters(A) == {"requests": 6, "answers": 2}


def test_broken_datagrams(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1
agent 127.2.0.2 truncate=10
agent 127.2.0.3 truncate=sweep
agent 127.2.0.4 oversized
agent 127.2.0.5 zero-length
agent 127.2.0.6 garbage
agent 127.2.0.7 garbage=5
agent 127.2.0.8 corrupt=2
agent 127.2.0.9 duplicate
agent 127.2.0.10 duplicate=5 delay=1
agent 127.2.0.11 long-lengths
agent 127.2.0.12 truncate=4 share=1/2
""")
    ask_for = request([f"{IF_INDEX}.1", f"{IF_INDEX}.2"])
    right = c.raw(ask_for)
    assert c.raw(ask_for, "127.2.0.2") == right[:10]
    for n in [*range(len(right) + 1), len(right)]:
        assert c.raw(ask_for, "127.2.0.3") == right[:n]
    data = c.raw(ask_for, "127.2.0.4")
    assert len(data) == 65507 and data.startswith(right) and not any(Answer(data).trailing)
    assert c.raw(ask_for, "127.2.0.5") == b""
    data = c.raw(ask_for, "127.2.0.6")
    assert len(data) == 64 and data != c.raw(ask_for, "127.2.0.6")
    assert len(c.raw(ask_for, "127.2.0.7")) == 5
    data = c.raw(ask_for, "127.2.0.8")
    assert len(data) == len(right) and 1 <= sum(x != y for x, y in zip(data, right)) <= 2
    for addr, n in ("127.2.0.9", 2), ("127.2.0.10", 5):
        c.send(ask_for, addr)
        assert [c.recv() for _ in range(n)] == [right] * n and c.unanswered()
    data = c.raw(ask_for, "127.2.0.11")
    assert Answer(data).rows == Answer(right).rows and data[1] == 0x82
    rows = ask("snmpget", c.farm, f"{SYS}.1.0", f"{HC_OCTETS}.1", addr="127.2.0.11")
    assert rows[0][1] == 'STRING: "fake 127.2.0.11"'
    assert [len(c.raw(ask_for, "127.2.0.12")) for _ in range(3)] == [4, len(right), 4]


def test_answers_from_elsewhere(client):
    c = client(f"{OBJECTS}\nagent {A} other-source\nagent 127.2.0.2 other-source=addr\n"
               "agent 127.2.0.5 other-source=port delay=1")
    one = [f"{SYS}.1.0"]
    assert c.get(*one).status == 0
    assert c.source[0] == A and c.source[1] != c.farm.port
    assert c.get(*one, addr="127.2.0.2").rows[0][2] == b"fake 127.2.0.2"
    assert c.source == ("127.2.0.3", c.farm.port)
    assert c.get(*one, addr="127.2.0.5").status == 0
    assert c.source[0] == "127.2.0.5" and c.source[1] != c.farm.port
