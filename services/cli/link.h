/* What the link, goal, sync and status commands share about links. */
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include "services/cli/cli.h"
#include "services/fetch/catalogue.h"

#include <stddef.h>

/* Links with their goal, connection and schedule; condition is SQL with $1 over k (link), g (goal), c (connection). */
PGresult *cli_link_load(struct cli *c, const char *condition, const char *param);
/* Evidence, schedule and troubles of a row of the above, for people. */
void cli_link_put(struct gs_buf *b, const PGresult *r, int row);
/* What a person can do about a link that gives no number; "" when it is well. */
const char *cli_link_advice(const PGresult *r, int row, char *dst, size_t size);
/* "ok", "new", "failing", "waiting", "paused". */
const char *cli_link_word(const PGresult *r, int row);

/* What create, edit and preview ask a source: a connection, and settings that its connector accepts. */
struct cli_ask {
    const struct fetch_entry *entry;
    char connection[CLI_ID_TEXT];
    int64_t org_id, connection_id;
    int32_t connection_version;
    char *settings;     /* canonical JSON; owned */
    char batch_key[65]; /* of fetch_link_batch_key() */
    char paused[300];   /* why the connection may not be used; "" */
};
/* old_settings: JSON that --set is laid over. goal: that is to be linked; "" for a preview. */
enum cli_exit cli_ask_prepare(struct cli *c, const char *connection, const char *old_settings, const char *goal,
                              struct cli_ask *ret) GS_MUST_CHECK;
void cli_ask_done(struct cli_ask *a);

enum cli_exit cli_preview(struct cli *c, const struct cli_ask *a) GS_MUST_CHECK;

/* Asks for the links' numbers at once; ids: an array as SQL text, "{1,2}". */
enum cli_exit cli_sync_request(struct cli *c, const char *ids) GS_MUST_CHECK;

#endif
