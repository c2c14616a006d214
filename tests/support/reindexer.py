"""Cacti's own re-index of a data query with odd texts: lib/data_query.php and lib/poller.php, as poller_commands.php runs
them, with net-snmp's tools (Debian's PHP for the command line has no SNMP of its own).

    Reindexer(site, work / "cacti").run(table, method="get", output_format="hex")

fills host_snmp_cache and poller_reindex for the method "verify all fields".
"""

import json
import subprocess

from . import phpsite
from .lab import HANG_S, LabError, tail, tool

_SCRIPT = """<?php
require(__DIR__ . '/include/cli_check.php');
require_once($config['library_path'] . '/snmp.php');
require_once($config['library_path'] . '/data_query.php');
require_once($config['library_path'] . '/poller.php');
if (!function_exists('mb_detect_encoding')) { // what PHP's mbstring, which Cacti requires, says by default
    function mb_detect_encoding($text) { return preg_match('//u', $text) ? 'UTF-8' : false; }
}
// what lib/xml.php makes of the data query's file, where PHP has its XML extension
$data_query_xml_arrays[1] = json_decode(file_get_contents(__DIR__ . '/query.json'), true);
query_snmp_host(1, 1);
update_reindex_cache(1, 1);
print "re-indexed\\n";
"""


def _query(table, method, output_format):
    field = {"direction": "input", "source": "value"}
    odd = {**field, "name": "Odd", "method": method, "oid": f"{table}.2"}
    if output_format:
        odd["output_format"] = output_format
    return {"name": "Odd", "oid_index": f"{table}.1", "index_order": "odd:number", "index_order_type": "alphabetic",
            "index_title_format": "|chosen_order_field|",
            "fields": {"number": {**field, "name": "Number", "method": "walk", "oid": f"{table}.1"}, "odd": odd}}


_TOOLS = {f"path_{name}": name for name in ("snmpget", "snmpgetnext", "snmpwalk", "snmpbulkwalk")}


class Reindexer:
    def __init__(self, site, directory):
        self.site = site
        self.root = phpsite.real(site, directory)
        (self.root / "reindex.php").write_text(_SCRIPT, encoding="ascii")
        site.settings(path_php_binary=tool("php", "php-cli"),
                      **{key: tool(name, "snmp") for key, name in _TOOLS.items()})

    def run(self, table, method="walk", output_format=None):
        """Re-indexes device 1; returns {arg1: assert_value}."""
        (self.root / "query.json").write_text(json.dumps(_query(table, method, output_format)), encoding="ascii")
        for name in ("snmp_query", "host_snmp_query", "host_snmp_cache", "poller_reindex"):
            self.site.sql(f"DELETE FROM {name}")
        self.site.sql("INSERT INTO snmp_query (id, name, data_input_id) VALUES (1, 'Odd', 2)")
        self.site.sql("INSERT INTO host_snmp_query (host_id, snmp_query_id, sort_field, reindex_method) "
                      "VALUES (1, 1, 'odd', 3)")
        done = subprocess.run([tool("php", "php-cli"), "-q", str(self.root / "reindex.php")], cwd=self.root,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=HANG_S)
        if "re-indexed" not in done.stdout:
            raise LabError(f"Cacti's re-index failed: {tail(done.stdout + done.stderr)}")
        return {row["arg1"]: row["assert_value"] for row in
                self.site.sql("SELECT arg1, assert_value FROM poller_reindex ORDER BY arg1")}
