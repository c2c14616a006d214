<?php
// Lines of a log on stdin, as Cacti's page "Log" shows them, one line of JSON for each: the text in HTML, and by which of
// the page's filters the line is shown.
require('/usr/share/cacti/site/include/cli_check.php');
require_once($config['base_path'] . '/lib/clog_webapi.php');
require_once($config['base_path'] . '/lib/html.php');

$patterns = clog_get_regex_array();
while (($line = fgets(STDIN)) !== false) {
	$line = rtrim($line, "\n");
	$html = preg_replace_callback($patterns['complete'], 'clog_regex_parser', html_escape($line));
	$shown = array();
	foreach (array('stats' => 1, 'warnings' => 2, 'errors' => 4) as $name => $type) {
		if (determine_display_log_entry($type, $line, '')) {
			$shown[] = $name;
		}
	}
	print json_encode(array('line' => $line, 'html' => $html, 'shown' => $shown)) . "\n";
}
