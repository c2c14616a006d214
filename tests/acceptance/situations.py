"""What happens to a site now and then: each situation begins from the same site and is judged alone."""

import time

import cycles
import rrd
import world as worlds
from support.lab import file_text, wait_until

FORCE = ("--force",)


class Scene:
    """A site as it was built, a poller, and single cycles of poller.php."""

    def __init__(self, cacti, world, poller):
        self.cacti, self.world, self.poller = cacti, world, poller
        self.runner = cycles.Runner(cacti, world)
        self.wrong = []

    def cycle(self, what, sources=None, check=True, down=("dead",)):
        """One cycle, of which everything must be right unless `check` is False."""
        time.sleep(max(0, int(self.runner.cycles[-1].ended) + 1 - time.time()) if self.runner.cycles else 0)
        found = self.runner.run(self.poller, options=FORCE)
        if not found:
            self.wrong.append(f"{what}: {self.runner.failures[self.poller.name]}")
            return None
        if check:
            self._check(what, found[0], self.world.sources() if sources is None else sources, down)
        return found[0]

    def _check(self, what, cycle, sources, down):
        found = cycles.updated(cycle, sources) + cycles.right(cycle, sources)
        found += cycles.closed(cycle, self.runner.processes())
        found += cycles.statuses(cycle, {self.world.devices[name] for name in down})
        if cycle.left:
            found.append(f"{cycle.left} rows left in poller_output")
        self.wrong += [f"{what}: {text}" for text in found]

    def expect(self, condition, text):
        if not condition:
            self.wrong.append(text)

    def lines(self, word, since=0):
        return [line for line in self.cacti.log()[since:].splitlines() if word in line]


def several_processes(scene):
    """1, 2 and 4 processes: a row for each, everything once."""
    for count in (1, 2, 4):
        scene.cacti.sql("UPDATE poller SET processes = %s WHERE id = 1", count)
        scene.cycle(f"{count} processes")


def restarted_agent(scene):
    """The real agent restarts, and the simulated switch gets an interface: each is re-indexed, once."""
    scene.cycle("before")
    mark = len(scene.cacti.log())
    scene.world.snmpd.restart()
    scene.world.grow()
    cycle = scene.cycle("restarted", check=False)
    dead = {scene.world.devices["dead"]}
    scene.wrong += cycles.statuses(cycle, dead) if cycle else []
    for name in ("real v2c", "switch"):
        seen = len(scene.lines(f"Device[{scene.world.devices[name]}] NOTE: Recache Event Detected", mark))
        scene.expect(seen == 1, f"{name} was re-indexed {seen} times")
    indexes = scene.cacti.value("SELECT COUNT(DISTINCT snmp_index) FROM host_snmp_cache WHERE host_id = %s AND snmp_query_id = %s",
                                scene.world.devices["switch"], scene.cacti.id_of("snmp_query", "SNMP - Interface Statistics"))
    scene.expect(indexes == worlds.INTERFACES + 1, f"Cacti knows {indexes} interfaces")
    scene.world.wait_for_averages()
    mark = len(scene.cacti.log())
    scene.cycle("after", check=False)  # the real agent's counters begin at 0
    cycle = scene.cycle("2 after")
    scene.expect(cycle and cycle.commands == 0 and not scene.lines("Recache Event Detected", mark), "re-indexed again")


def boosted(scene):
    """With boost the results wait in poller_output_boost, and poller_boost.php writes all of them. (The RRD files are there
    before: Cacti 1.2.24 writes no value when boost has to create the file.)"""
    scene.cycle("before")
    scene.cacti.settings(boost_rrd_update_enable="on", boost_redirect="on", boost_rrd_update_system_enable="on",
                         boost_rrd_update_interval=60, boost_rrd_update_max_records=1000000,
                         boost_next_run_time=int(time.time()) + 3600, boost_last_run_time=int(time.time()))
    copied = len(file_text(scene.cacti.updates))
    taken = [scene.cycle(f"cycle {n}", check=False) for n in (1, 2)]
    items = scene.cacti.value("SELECT COUNT(*) FROM poller_item WHERE host_id != %s", scene.world.devices["dead"])
    stored = scene.cacti.value("SELECT COUNT(*) FROM poller_output_boost")
    scene.expect(stored == 2 * items, f"{stored} rows in poller_output_boost, {items} items")
    scene.expect(all(c and c.left == 0 for c in taken), "rows left in poller_output")
    scene.cacti.php("poller_boost.php", "--force")
    scene.cacti.wait_until_quiet()
    left = scene.cacti.value("SELECT COUNT(*) FROM poller_output_boost")
    scene.expect(left == 0, f"{left} rows left in poller_output_boost")
    found = rrd.updates(file_text(scene.cacti.updates)[copied:])
    for n, cycle in enumerate(c for c in taken if c):
        cycle.updates = [u for u in found if cycle.begun <= u.time <= cycle.ended]
        scene._check(f"boost, cycle {n + 1}", cycle, scene.world.sources(), ("dead",))


def terminated(scene):
    """TERM to poller.php while the poller is at work: no process and no open row remains, and the next cycle is right."""
    scene.cycle("before")
    scene.world.delay(400)
    mark = len(scene.cacti.log())
    try:
        process = scene.cacti.start_poller(*FORCE)
        wait_until(lambda: scene.cacti.value("SELECT COUNT(*) FROM poller_time WHERE end_time = 0"), "an open row in poller_time")
        process.terminate()
        process.wait(60)
        scene.cacti.wait_until_quiet()
    finally:
        scene.world.recover()
    scene.expect(scene.lines("terminated by user", mark), "poller.php has not taken the signal")
    open_rows = scene.cacti.value("SELECT COUNT(*) FROM poller_time WHERE end_time = 0")
    scene.expect(open_rows == 0, f"{open_rows} open rows in poller_time")
    scene.cycle("the next")


def changed_devices(scene):
    """Devices are added, disabled, enabled and deleted between cycles. (change_device.php 1.2.24 changes nothing without
    --ip, and takes 1 for "enabled", 0 for "disabled"; remove_device.php finds a device without a template by --ip alone.)"""
    scene.cycle("before")
    scene.world.add_spare()
    scene.cycle("added")
    scene.cacti.cli("change_device.php", f"--id={scene.world.devices['switch']}", f"--ip={worlds.SWITCH}", "--disable=on")
    disabled = scene.world.sources()
    scene.expect(not any(s.device == scene.world.devices["switch"] for s in disabled.values()), "the switch is not disabled")
    scene.cycle("disabled")
    scene.cacti.cli("change_device.php", f"--id={scene.world.devices['switch']}", f"--ip={worlds.SWITCH}", "--disable=off")
    scene.cacti.cli("remove_device.php", f"--ip=^{worlds.SENSORS}$", "--confirm")
    mark = len(scene.cacti.log())
    scene.cycle("enabled, and another deleted")
    scene.expect(not scene.lines("not Empty", mark), "the poller's output table was not empty")


def with_icmp(scene):
    """A device that only answers ICMP is up."""
    scene.cacti.cli("change_device.php", f"--id={scene.world.devices['pinged']}", f"--ip={worlds.PINGED}",
                    f"--ping_port={scene.world.mute.port}")
    for n in (1, 2):
        scene.cycle(f"cycle {n}")


def without_icmp(scene):
    """Without the capability the device is asked by UDP, and stays up."""
    for n in (1, 2):
        scene.cycle(f"cycle {n}")


#: (title, situation, whether the poller may send ICMP)
ALL = (("1, 2 and 4 processes", several_processes, True),
       ("restarted agent re-indexed once", restarted_agent, True),
       ("boost", boosted, True),
       ("TERM to poller.php in a cycle", terminated, True),
       ("devices added, disabled, deleted", changed_devices, True),
       ("www-data with the ICMP capability", with_icmp, True),
       ("www-data without it", without_icmp, False))


def judge(cacti, world, situation, poller):
    """What is wrong when this poller meets the situation."""
    cacti.restore()
    devices = dict(world.devices)
    scene = Scene(cacti, world, poller)
    try:
        situation(scene)
    finally:
        world.devices = devices
        world.recover()
        cacti.end_processes()
    return scene.wrong + scene.runner.failures[poller.name]
