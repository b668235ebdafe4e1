/* What an operation sees of one request, and how it answers.
 *
 * An operation is a function named by an operationId of the OpenAPI document. By the time it runs, the document has
 * been kept: path, query and body are as it says, the caller has the access it asks for, and a transaction is open
 * that sees the caller's organisation only (gateway_enter() of the schema). It runs on a worker thread, may wait for
 * PostgreSQL and for nothing else, and returns the status of its answer:
 *
 *     below 400   the transaction is committed, then the answer is sent
 *     400 and up  the transaction is rolled back; the answer is a problem (RFC 9457)
 *     0           committed; somebody answers later, see gw_later()
 *
 * A deadlock or a lost connection runs it again from the start: it must have no effect but on the database, on what
 * it answers, and on what gw_later() is to start. */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include "common/buf.h"
#include "common/db.h"
#include "common/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_BODY_MAX     (1 << 20)  /* bytes of a request's body, but for imports */
#define GW_IMPORT_MAX   (8 << 20)  /* of operations whose body is a file or a goal graph (x-goalsync-large) */
#define GW_ANSWER_MAX   (64 << 20) /* bytes of an answer */
#define GW_DEPTH_MAX    32         /* of a JSON body */
#define GW_PAGE_DEFAULT 50
#define GW_PAGE_MAX     200
#define GW_ID_TEXT      24 /* an int8 as text */

enum gw_role { GW_NO_ROLE, GW_MEMBER, GW_ADMIN, GW_OWNER }; /* in the call's organisation */

/* What a token may be used for: bits. A browser's session has all but the last two. */
enum gw_scope {
    GW_SCOPE_READ = 1,
    GW_SCOPE_WRITE = 2,
    GW_SCOPE_ADMIN = 4,
    GW_SCOPE_TENANT = 8,
    GW_SCOPE_VALUES = 16,    /* pushing to the token's link */
    GW_SCOPE_BOOTSTRAP = 32, /* the first start's token: changed for a lasting one, once */
};
#define GW_SCOPES_SESSION (GW_SCOPE_READ | GW_SCOPE_WRITE | GW_SCOPE_ADMIN | GW_SCOPE_TENANT)

/* Who calls. Ids are the database's, as text for parameters; "" is none. */
struct gw_caller {
    char account[GW_ID_TEXT], person[GW_ID_TEXT], org[GW_ID_TEXT], token[GW_ID_TEXT], token_link[GW_ID_TEXT];
    char account_public[37], person_public[37], org_public[37];
    char email[256];
    bool tenant_admin;
    enum gw_role role;
    unsigned scopes; /* enum gw_scope */
};

struct gw_call; /* its memory, and everything borrowed from it, lives until the answer is sent */

struct gs_db *gw_db(struct gw_call *c);
const struct gw_caller *gw_who(const struct gw_call *c);
/* The thing that the path's first parameter names, as an internal id: it exists and is in the caller's reach. */
const char *gw_item(const struct gw_call *c);
/* A parameter of the path, query or header as the document names it; its default, or null, when it was not given. */
const char *gw_param(const struct gw_call *c, const char *name);
/* "true" of a boolean query parameter. */
bool gw_flag(const struct gw_call *c, const char *name);
/* The body: already judged by its schema. Null when the operation takes none or a body of another media type. */
struct gs_json *gw_body(struct gw_call *c);
/* Its bytes; as a parameter $n::jsonb they save reading it member by member. "" when there is none. */
const char *gw_body_text(const struct gw_call *c, size_t *ret_len);
const char *gw_cookie(const struct gw_call *c, const char *name); /* null: none of that name */
const char *gw_content_type(const struct gw_call *c);             /* without its parameters */
const char *gw_request_id(const struct gw_call *c);               /* for the audit and messages */
const char *gw_traceparent(const struct gw_call *c);

/* A string member of the body ("/title"); null when it is missing or null. */
const char *gw_text(struct gw_call *c, const char *pointer);
bool gw_has(struct gw_call *c, const char *pointer); /* present, null included */

/* ---- the database ---- */

/* As gs_db_query(); null: failed, and gw_status() is what the operation returns: a violated constraint of the schema
 * becomes 409 or 422 with a sentence, a lost connection runs the operation again. */
PGresult *gw_query(struct gw_call *c, const char *sql, int n, const char *const *params);
bool gw_exec(struct gw_call *c, const char *sql, int n, const char *const *params) GS_MUST_CHECK;
int gw_status(const struct gw_call *c); /* of the failure */
/* For what works on gw_db() by itself: the status of its newest failure, likewise. */
int gw_db_failed(struct gw_call *c);

/* ---- answers: each returns the status, for `return gw_…` ---- */

/* The first column of the first row, which is JSON; no row: 404. Clears r; null r: gw_status(). */
int gw_answer(struct gw_call *c, int status, PGresult *r);
int gw_answer_text(struct gw_call *c, int status, const char *content_type, const char *text, size_t len);
int gw_no_content(struct gw_call *c); /* 204 */
/* For an answer that is put together: its buffer (GW_ANSWER_MAX), then its status. */
struct gs_buf *gw_out(struct gw_call *c);
int gw_answer_out(struct gw_call *c, int status);
/* A page: rows of (JSON, cursor), one more than the limit when there is more. {"items":[…],"next_cursor":…}. Clears r.
 */
int gw_answer_page(struct gw_call *c, PGresult *r);
/* The page's parameters: how many rows to ask for (limit + 1, as text), and the cursor that was given; null: the start.
 * A cursor is what the second column held, unreadable for clients, and refused when it was not made by us. */
const char *gw_page_rows(struct gw_call *c);
const char *gw_page_cursor(struct gw_call *c);
void gw_header_set(struct gw_call *c, const char *name, const char *value); /* Location, Content-Disposition */
/* The thing's ETag; also answers If-None-Match on GET with 304. */
void gw_etag(struct gw_call *c, const char *revision);
/* On an edit, with the row locked: 0, or 412 when If-Match names another revision. */
int gw_match(struct gw_call *c, const char *revision) GS_MUST_CHECK;

/* A problem: type is "https://goalsync.invalid/problems/<code>" in short form "<code>"; the sentence says what was
 * wrong, where, and what to do. */
int gw_fail(struct gw_call *c, int status, const char *code, const char *fmt, ...) GS_PRINTF(4, 5);
/* 422 with the member it is about: "/target". */
int gw_invalid(struct gw_call *c, const char *pointer, const char *fmt, ...) GS_PRINTF(3, 4);
int gw_not_found(struct gw_call *c, const char *what); /* "goal" */
int gw_forbidden(struct gw_call *c, const char *fmt, ...) GS_PRINTF(2, 3);
/* The newest refusal's sentence, which is not the answer any more: the operation goes on without what was refused. */
const char *gw_take_back(struct gw_call *c);

/* ---- the audit ----
 * action: "connection.created"; kind and public id of the target: "connection", its public id; detail: a JSON object or
 * null, never with a secret. The actor and the request's id are added. False: failed, see gw_status(). */
bool gw_audit(struct gw_call *c, const char *action, const char *kind, const char *public_id,
              const char *detail) GS_MUST_CHECK;

/* ---- answers that need somebody else ----
 * After the commit, start(arg, c) runs on the loop thread; gw_finish() must be called exactly once afterwards, from any
 * thread, within GW_LATER_SECONDS; the buffer gw_out() is start's by then. free_arg runs when arg is not needed any
 * more, also when the operation is run again. Returns 0. */
#define GW_LATER_SECONDS 60
int gw_later(struct gw_call *c, void (*start)(void *arg, struct gw_call *c), void *arg, void (*free_arg)(void *arg));
void gw_finish(struct gw_call *c, int status);

/* ---- operations ---- */

struct gw_op {
    const char *id; /* operationId */
    int (*run)(struct gw_call *c);
};
/* Each file of ops/ defines one, ended by {0}, and is named in the list of ops.c. */
extern const struct gw_op *const gw_ops[]; /* ended by null */

#endif
