/* The connector contract. A connector is a folder connectors/<category>/<name>/ with <name>.c, which defines
 *
 *     const struct fetch_connector fetch_connector_<name> = {...};
 *
 * ('-' in the folder's name is '_' in the symbol), cases in cases/ and a README. Its id is the folder's name. It is
 * data and pure functions: it says what to ask and reads what came back. The worker owns HTTP, SQL wires, secrets,
 * retries, limits, time and Kafka. No globals that change, no threads, no environment, no logging, no I/O. */
#ifndef FETCH_CONNECTOR_H
#define FETCH_CONNECTOR_H

#include "common/buf.h"
#include "common/decimal.h"
#include "common/json.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what a connector is ---- */

enum fetch_field_type {
    FETCH_TEXT,
    FETCH_LONG_TEXT, /* a query */
    FETCH_INTEGER,   /* within [min, max] */
    FETCH_CHOICE,    /* one of choices */
    FETCH_URL,       /* https, or http where the operator allows it */
    FETCH_HOST,
};

/* A field of the connection form or of the link form. Settings are JSON objects of strings, keyed by name. */
struct fetch_field {
    const char *name, *label, *help;
    enum fetch_field_type type;
    bool required;
    const char *def;     /* taken when the field is absent or empty; may be null */
    const char *choices; /* "verify-full,require" */
    int64_t min, max;
    bool keeps_secret; /* of a connection: changing it cannot send the secret elsewhere, so that it need not be given
                          again */
};

enum fetch_wire { FETCH_HTTP, FETCH_POSTGRES };

/* ---- how a connection signs in ---- */

enum fetch_auth_kind {
    FETCH_NO_SECRET,
    FETCH_BEARER,        /* secret field "token"; sent as Authorization: Bearer */
    FETCH_KEY,           /* secret field "token"; sent in the header of the auth's own */
    FETCH_BASIC,         /* secret fields "user" and "password"; sent as Authorization: Basic */
    FETCH_USER_PASSWORD, /* secret fields "user" and "password"; used by the SQL wires */
    FETCH_OAUTH, /* a person consents in a browser: authorization code with PKCE, then refreshing (RFC 6749, 7636) */
    FETCH_OAUTH_CLIENT, /* secret fields "client_id" and "client_secret": client credentials (RFC 6749 4.4) */
    FETCH_OAUTH_JWT,    /* secret field "key", a service account's JSON: the JWT bearer grant (RFC 7523) */
    FETCH_KEY_PAIR,     /* secret field "private_key", PEM: a JWT that the worker signs is the bearer token */
    FETCH_AWS,          /* secret fields "access_key_id" and "secret_access_key": every request is signed (SigV4) */
};

/* One way to sign in. In addresses "{name}" stands for one of the connector's hosts, or a setting of the connection. */
struct fetch_auth {
    const char *name;  /* "api_token": how it is stored and chosen */
    const char *label; /* "E-mail and API token" */
    const char *help;  /* what to make at the source, and with which rights; may be null */
    enum fetch_auth_kind kind;
    const char *user_label, *secret_label; /* of what a person enters; null: the kind's own */
    const char *header, *prefix;           /* FETCH_KEY: "Authorization", "Token "; 32 bytes at most */
    /* FETCH_OAUTH..: */
    const char *authorize_url, *token_url,
        *revoke_url;      /* authorize_url: of FETCH_OAUTH only; revoke_url: may be null */
    const char *scope;    /* the least there is, blanks between; shown before consent */
    const char *extra;    /* more of the consent's query, "prompt=consent"; may be null */
    const char *audience; /* of a JWT; null: token_url */
};

/* An address of the source that is the same for all its customers. Operators replace it (GOALSYNC_HOSTS_FILE). */
struct fetch_host {
    const char *name; /* "api" */
    const char *url;  /* "https://sheets.googleapis.com" */
};

/* ---- what the source allows ---- */

enum fetch_budget_of {
    FETCH_OF_CONNECTION, /* each connection has its own */
    FETCH_OF_ACCOUNT,    /* connections with the same account() share it */
    FETCH_OF_CLIENT,     /* all share it: the source counts the operator's application */
};

#define FETCH_BUDGETS_MAX 8 /* rows of one connector */
#define FETCH_RULES_MAX   4 /* of them for one exchange */

/* A limit as the source documents it: no `seconds` in a row ever have more than `requests`, and `burst` of them (0: a
 * tenth) may come at once. A row without a name counts every exchange; one with a name those that fetch_spend() calls
 * so. An exchange that nobody called anything spends the first name. */
struct fetch_budget {
    const char *name; /* "search" */
    enum fetch_budget_of of;
    int requests, seconds, burst;
};

#define FETCH_NUMBER  1u /* may feed goals with a metric */
#define FETCH_PERCENT 2u /* may feed plain percent goals */

#define FETCH_TARGETS_MAX 1000 /* of one task */

struct fetch_task;
struct fetch_reply;
struct fetch_settings;

struct fetch_connector {
    const char *label; /* shown to people */
    const char *terms_url;
    const char *terms_version; /* grows when the terms change in substance; null: the first */
    enum fetch_wire wire;
    const struct fetch_auth *auths;     /* ended by {0}; the first is the usual one; null: it needs no secret */
    const struct fetch_host *hosts;     /* ended by {0}; may be null */
    const struct fetch_budget *budgets; /* ended by {0}; null: the source documents none */
    int host_requests;                  /* the most that one worker has under way with one host; 0: 64 */
    unsigned outcomes;
    const struct fetch_field *connection_fields; /* ended by {0}; not secret */
    const struct fetch_field *link_fields;       /* ended by {0} */
    size_t scratch;                              /* zeroed bytes of state per task: fetch_scratch(t) */
    int max_exchanges;                           /* with the source for one task; 0: 1 */
    bool pushed; /* the source sends its numbers by itself: no worker, no topic and no schedule; start() refuses */
    const char *trial; /* a link's settings as JSON that every working connection can answer; null: there are none */

    /* Beyond what the fields say themselves; may be null. Called when a connection or link is saved, and before a
     * fetch. */
    enum gs_rc (*check)(const struct fetch_settings *connection, const struct fetch_settings *link, struct gs_err *err);
    /* Links of one connection with equal keys are asked together, as one task with several targets. Null: links with
     * equal settings are. */
    void (*batch_key)(const struct fetch_settings *link, struct gs_buf *ret_key);
    /* Whose limits these are, "acme.example.net": connections of equal accounts wait together. Null: the connection's
     * own. */
    void (*account)(const struct fetch_settings *connection, struct gs_buf *ret_account);
    /* Ask for the first exchange and return GS_AGAIN; or emit and return GS_OK; or gs_fail(fetch_err(t), ...). */
    enum gs_rc (*start)(struct fetch_task *t);
    /* As start. HTTP: called for 2xx only, unless judge is set. */
    enum gs_rc (*reply)(struct fetch_task *t, const struct fetch_reply *r);
    /* HTTP: what an answer that is not 2xx means; GS_OK: reply() shall see it. Null: the common table (http_rc.c). */
    enum gs_rc (*judge)(struct fetch_task *t, const struct fetch_reply *r);
};

/* ---- what a task offers ---- */

/* Values of a form; absent or empty fields give their default, or "". */
const char *fetch_setting(const struct fetch_settings *s, const char *name);
const struct fetch_settings *fetch_connection(const struct fetch_task *t);
size_t fetch_targets(const struct fetch_task *t);
const struct fetch_settings *fetch_target(const struct fetch_task *t, size_t i); /* form of the i-th link */
/* fetch_setting() of the first target; all targets of a batch agree on what the batch key is made of. */
const char *fetch_arg(const struct fetch_task *t, const char *name);
/* The address of one of the connector's hosts, as the operator has it; without a slash at its end. */
const char *fetch_host(const struct fetch_task *t, const char *name);
void *fetch_scratch(struct fetch_task *t);
struct gs_err *fetch_err(struct fetch_task *t);
int64_t fetch_now_us(const struct fetch_task *t); /* the task's time; fixed in cases */

/* HTTP: the next exchange. path is a format of "%s" only; each argument is percent-encoded as one path segment. The
 * base URL comes from the connection. Each returns GS_AGAIN (or GS_REJECT when a ceiling is passed). */
enum gs_rc fetch_get(struct fetch_task *t, const char *path, ...) GS_PRINTF(2, 3);
enum gs_rc fetch_post(struct fetch_task *t, const char *content_type, const char *body, size_t len, const char *path,
                      ...) GS_PRINTF(5, 6);
/* The next page where the source's answer names it; only on the host that was asked first. */
enum gs_rc fetch_follow(struct fetch_task *t, const char *url);
void fetch_base(struct fetch_task *t, const char *base_url);                  /* before fetch_get */
void fetch_query(struct fetch_task *t, const char *name, const char *value);  /* after it; percent-encoded */
void fetch_header(struct fetch_task *t, const char *name, const char *value); /* after it */
/* Of which budget the exchange is: after fetch_get and the like. */
void fetch_spend(struct fetch_task *t, const char *budget);
/* SQL: one read-only statement. */
enum gs_rc fetch_sql(struct fetch_task *t, const char *statement);

/* Results. Every target needs exactly one; fetch_emit_* of a target that has one is GS_REJECT. */
void fetch_emit(struct fetch_task *t, size_t target, struct gs_dec value);
/* 100 * done / total; total 0 is no value: the target is rejected, saying that nothing matched. */
void fetch_emit_ratio(struct fetch_task *t, size_t target, int64_t done, int64_t total);
void fetch_emit_failure(struct fetch_task *t, size_t target, enum gs_rc rc, const char *fmt, ...) GS_PRINTF(4, 5);
/* What is known about the number beside its value; before or after emitting. */
void fetch_source_time(struct fetch_task *t, size_t target, int64_t us);
void fetch_rows_seen(struct fetch_task *t, size_t target, int64_t rows);
/* The source asks to wait: the task ends as WAITING until then. Returns GS_RETRY. */
enum gs_rc fetch_wait_until(struct fetch_task *t, int64_t us, const char *why);

/* ---- what came back ---- */

struct fetch_reply {
    /* HTTP */
    long status;
    const char *body;
    size_t len;
    const char *(*header)(const struct fetch_reply *r, const char *name); /* null when absent */
    const void *data;                                                     /* of header() */
    /* SQL: everything as text */
    int rows, cols;            /* rows: as far as read; at most 2 */
    const char *const *types;  /* cols type names, e.g. "int4" */
    const char *const *values; /* rows * cols; null: NULL */
};

/* The body as JSON; null with fetch_err(t) filled (GS_REJECT names HTML, empty, broken). Good until the callback
 * returns. */
struct gs_json *fetch_json(struct fetch_task *t, const struct fetch_reply *r);
/* The common table, for a judge() that has nothing particular to say: GS_OK for 2xx, else the decision. */
enum gs_rc fetch_judge(struct fetch_task *t, const struct fetch_reply *r);

#endif
