<?php
/*
 * What Cacti's poller.php does while pollers write: it reads results with the joins that it needs, at most 40,000 rows at
 * a time, deletes what it has read, 10,000 data sources a statement, looks for rows that are older than any cycle, and
 * counts what is left. Nothing is made of the results.
 *
 *     php reader.php SOCKET DATABASE USER PASSWORD
 *
 * "ready" on stdout says that it reads. When stdin closes it reads what is left and ends with one line of JSON: rows read and
 * deleted, turns, seconds of the turns that found rows, of the longest SELECT, DELETE of what was read and DELETE by time,
 * and errors (a deadlock, a time-out), after which it goes on.
 */
[, $socket, $database, $user, $password] = $argv;
$db = new PDO("mysql:unix_socket=$socket;dbname=$database", $user, $password,
	array(PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION));

$found = array('rows' => 0, 'turns' => 0, 'busy_s' => 0.0, 'select_s' => 0.0, 'delete_s' => 0.0, 'by_time_s' => 0.0,
	'errors' => array());

function run($kind, $action) {
	global $found;

	$began = microtime(true);
	try {
		return $action();
	} catch (PDOException $e) {
		$found['errors'][] = "$kind: " . $e->getMessage();
		return false;
	} finally {
		$found[$kind] = max($found[$kind], microtime(true) - $began);
	}
}

function turn($db) {
	global $found;

	$results = run('select_s', function () use ($db) {
		return $db->query('SELECT po.output, po.time,
			UNIX_TIMESTAMP(po.time) as unix_time, po.local_data_id, dl.data_template_id,
			pi.rrd_path, pi.rrd_name, pi.rrd_num
			FROM poller_output AS po
			INNER JOIN poller_item AS pi
			ON po.local_data_id = pi.local_data_id
			AND po.rrd_name = pi.rrd_name
			INNER JOIN data_local AS dl
			ON dl.id = po.local_data_id
			ORDER BY po.local_data_id
			LIMIT 40000')->fetchAll(PDO::FETCH_ASSOC);
	});
	if ($results === false) {
		return -1;
	}
	foreach (array_chunk(array_column($results, 'local_data_id'), 10000) as $ids) {
		$gone = run('delete_s', function () use ($db, $ids) {
			return $db->exec('DELETE FROM poller_output WHERE local_data_id IN (' . implode(',', $ids) . ')');
		});
		$found['rows'] += $gone === false ? 0 : $gone;
	}
	run('by_time_s', function () use ($db) {
		return $db->exec('DELETE FROM poller_output WHERE time < NOW() - INTERVAL 1 HOUR');
	});
	run('select_s', function () use ($db) {
		return $db->query('SELECT COUNT(local_data_id) FROM poller_output')->fetchColumn();
	});
	return count($results);
}

/* Whether stdin has closed; waits that long for it. */
function told_to_end($microseconds) {
	$read = array(STDIN);
	$none = null;
	return stream_select($read, $none, $none, 0, $microseconds) === 1;
}

print "ready\n";
for ($ending = false;;) {
	$began = microtime(true);
	$count = turn($db);
	$found['busy_s'] += $count > 0 ? microtime(true) - $began : 0;
	$found['turns']++;
	if ($ending && $count <= 0) {
		break;
	}
	$ending = $ending || told_to_end($count > 0 ? 0 : 20000);
}
print json_encode($found) . "\n";
