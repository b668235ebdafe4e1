/* How links are stored: the statements that the command line and the gateway share, so that a link is the same whoever
 * made it. Run inside a transaction, with the goal's row locked. Parameters are text; a person may be null or "". */
#ifndef FETCH_LINK_SQL_H
#define FETCH_LINK_SQL_H

#include "services/fetch/catalogue.h"
#include "services/fetch/task.h"

#include <stdint.h>

/* Of settings in one request of at most FETCH_TARGETS_MAX links; a worker takes 1 MiB, and more is around them. */
#define FETCH_TOGETHER_BYTES (768 * 1024)

/* $1 connection, $2 slot hash, $3 batch key, $4 pushed; gives the id of the batch, which is locked. */
extern const char fetch_link_batch_sql[];
/* $1 batch: n links that are asked, bytes of their settings. A worker puts aside a request of more than it takes, and
 * none of its links would ever be asked. Not for pushed ones. */
extern const char fetch_link_room_sql[];
/* $1 goal, $2 connection, $3 batch, $4 settings, $5 person; gives id. */
extern const char fetch_link_insert_sql[];
/* $1 link, $2 connection, $3 batch, $4 settings: a new revision. What the old settings led to says nothing about the
 * new ones. */
extern const char fetch_link_edit_sql[];
/* $1 link, $2 person: the evidence for later, what the link asks from this revision on. */
extern const char fetch_link_revision_sql[];
/* $1 link, $2 kind, $3 person: "linked", "link_edited", "unlinked" in the goal's feed. */
extern const char fetch_link_feed_sql[];
/* $1 batch: one without links asks nothing; what was still requested of it goes with it. */
extern const char fetch_link_drop_batch_sql[];
/* $1 links as an array: their numbers are wanted now. Then NOTIFY goalsync_sync. Pushed ones are left out. */
extern const char fetch_link_sync_sql[];

/* What $2 and $3 of the batch are. A pushed link has a batch of its own, by its goal; the others share one by what they
 * ask. */
void fetch_link_batch_key(const struct fetch_connector *c, const struct fetch_settings *link, const char *goal,
                          char ret_key[65]);

#endif
