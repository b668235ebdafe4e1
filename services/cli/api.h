/* The gateway's API from the command line. The server's own OpenAPI document says which operations there are and what
 * they take: no operation is named here, so none can be missing, and a command line of another version works too. */
#ifndef CLI_API_H
#define CLI_API_H

#include "services/cli/cli.h"

#include "common/json.h"

#include <curl/curl.h>

enum {
    API_DOCUMENT_MAX = 16 << 20, /* bytes of the description */
    API_ANSWER_MAX = 64 << 20,   /* bytes of one answer, or of all pages of a list */
    API_BODY_MAX = 64 << 20,     /* bytes of a body from a file */
    API_URL_MAX = 32 << 10,
    API_DEPTH_MAX = 64,    /* of JSON, and of references in the description */
    API_OPTIONS_MAX = 128, /* parameters and members of one operation */
    API_PAGES_MAX = 10000, /* that --all follows */
};

/* ---- api_http.c ---- */

struct api {
    struct cli *c;
    CURL *easy;
    const char *server, *token, *ca_file; /* the server without a final '/'; "" for no token */
    struct gs_json *doc;
};

struct api_request {
    const char *method, *url;
    struct curl_slist *headers;
    const char *body, *type; /* null: no body */
    size_t body_len;
    bool safe; /* may be sent twice: it changes nothing, or carries a key, or puts and deletes */
};

struct api_answer {
    long status;
    struct gs_buf body;
    char type[128], etag[1024], location[2048];
};

extern const struct gs_env cli_api_env[]; /* GOALSYNC_SERVER, GOALSYNC_TOKEN, GOALSYNC_CA_FILE */

/* Reads the settings; ends with api_close() in any case. */
enum cli_exit api_open(struct api *a, struct cli *c) GS_MUST_CHECK;
void api_close(struct api *a);
void api_answer_init(struct api_answer *n);
void api_answer_done(struct api_answer *n);

/* Sends, again when that is safe and the server is not there or says when to come back. CLI_OK: an answer below 400;
 * everything else is a failure in the problem's own words. */
enum cli_exit api_send(struct api *a, const struct api_request *q, struct api_answer *ret) GS_MUST_CHECK;
/* GET of a path, parsed. The caller frees with gs_json_free(). */
enum cli_exit api_get(struct api *a, const char *path, size_t max, struct gs_json **ret) GS_MUST_CHECK;
enum cli_exit api_fail_problem(struct cli *c, const struct api_answer *n);

/* ---- api_operation.c ---- */

enum api_place { API_PATH, API_QUERY, API_HEADER, API_MEMBER };

struct api_option {
    const char *name, *help; /* the name as the description writes it */
    enum api_place place;
    bool required;
    uint32_t schema; /* in the description */
};

struct api_operation {
    const char *id, *method, *path, *summary, *text, *tag;
    uint32_t at;
    bool takes_body, body_required, takes_key;
    const char *body_type; /* the first media type */
    uint32_t body_types;   /* in the description */
    struct api_option options[API_OPTIONS_MAX];
    int n_options;
};

/* Calls fn for each operation, in the description's order; ends when fn returns false. */
void api_each_operation(struct api *a, bool (*fn)(void *arg, const struct api_operation *o), void *arg);
/* With its options; id may have dashes. */
enum cli_exit api_find_operation(struct api *a, const char *id, struct api_operation *ret) GS_MUST_CHECK;
/* The option of that name, with dashes or underscores in any case; null: none. */
const struct api_option *api_find_option(const struct api_operation *o, const char *name);
bool api_names_equal(const char *given, const char *name);

enum {
    API_STRING = 1u,
    API_INTEGER = 2u,
    API_NUMBER = 4u,
    API_BOOLEAN = 8u,
    API_ARRAY = 16u,
    API_OBJECT = 32u,
    API_NULL = 64u,
};
/* What a schema lets pass, references and alternatives followed; 0: it does not say. */
unsigned api_types(struct api *a, uint32_t schema);
/* A member of the schema or of its alternatives: "enum", "items", "format". */
uint32_t api_keyword(struct api *a, uint32_t schema, const char *keyword);
/* Is it, or is one of its members, a password? Then its value comes from a file. */
bool api_is_secret(struct api *a, uint32_t schema);
const char *api_text(const struct gs_json *j, uint32_t object, const char *key); /* "" when it has none */

/* What the values of an object are that has members of any name; GS_JSON_NONE: its members have their names. */
uint32_t api_map_values(struct api *a, uint32_t schema);

void api_usage(struct api *a, const struct api_option *o, char *dst, size_t size); /* "--value NUMBER" */
void api_help(struct api *a, const struct api_operation *o);
enum cli_exit api_fail_unknown(struct api *a, const struct api_operation *o, const char *name);

/* ---- api_fill.c ---- */

struct api_filled {
    struct gs_buf url, body;
    bool has_body;
    const char *type;
    struct curl_slist *headers;
};

/* The request that the command line asks for. cursor: of the next page; null: the first, or what is given. */
enum cli_exit api_fill(struct api *a, const struct api_operation *o, const char *cursor,
                       struct api_filled *ret) GS_MUST_CHECK;
void api_filled_done(struct api_filled *f);

/* ---- api_print.c ---- */

void api_put_json(struct gs_buf *b, const struct gs_json *j, uint32_t at);     /* as it was, without spaces */
void api_print_people(const struct gs_json *j, uint32_t at, const char *etag); /* tables and records */

#endif
