/* model/indextext.h - is a value the one that Cacti's own re-index has stored?
 *
 * Why:     "verify all fields" compares what an agent or a script says now with
 *          poller_reindex.assert_value.  That text went through Cacti's PHP, perhaps through net-snmp's
 *          tools, and through the database, and each of them changes texts.  A comparison that does not
 *          know these changes never finds the two equal, and the data query is re-indexed in every cycle.
 * Rule:    Equal is a value that can have become the stored text: the same bytes; trimmed and without
 *          quotes, backslashes, angle brackets, control characters and type labels ("STRING:"), as
 *          format_snmp_string() of Cacti's lib/snmp.php leaves it; octets that are not text as hex
 *          pairs with any separator or none, as an address, or without the octets that Cacti or the
 *          database could not keep; object identifiers in numbers; as many characters as the column
 *          takes.
 * Threads: any; pure.
 * Source:  Cacti 1.2.24: lib/snmp.php, lib/data_query.php (data_query_format_record), lib/poller.php.
 */
#ifndef SPINE_MODEL_INDEXTEXT_H
#define SPINE_MODEL_INDEXTEXT_H

#include "base/buf.h"
#include "model/varbind.h"

#include <stdbool.h>
#include <stddef.h>

/* Characters of poller_reindex.assert_value in Cacti's schema. */
#define INDEXTEXT_COLUMN_CHARS 100

bool indextext_equal(const char *stored, const struct varbind *vb);

/* The same for the output of a script, which Cacti only trims. */
bool indextext_equal_output(const char *stored, const char *output, size_t len);

/* Appends the value as text, the way Cacti would store it: for the log, and for the column. */
void indextext_put(const struct varbind *vb, struct buf *out);

#endif
