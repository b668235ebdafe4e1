/* goalsync api: every operation of the gateway, by its own description. */
#include "services/cli/api.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <string.h>

/* ---- the list of operations ---- */

struct listing {
    struct gs_buf *out;
    const char *tag; /* only of this one; null: all, as JSON */
    int n;
};

static bool put_operation_json(void *arg, const struct api_operation *o)
{
    struct listing *l = arg;
    const char *const members[][2] = {
        {"id", o->id}, {"tag", o->tag}, {"method", o->method}, {"path", o->path}, {"summary", o->summary}};

    gs_buf_puts(l->out, l->n++ ? ",\n " : "");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        gs_buf_printf(l->out, "%s\"%s\":", i ? "," : "{", members[i][0]);
        gs_buf_put_json(l->out, members[i][1], strlen(members[i][1]));
    }
    gs_buf_putc(l->out, '}');
    return true;
}

static bool put_operation(void *arg, const struct api_operation *o)
{
    struct listing *l = arg;
    char line[256];

    if (!gs_str_eq(o->tag, l->tag))
        return true;
    snprintf(line, sizeof(line), "%-6s %s", o->method, o->path);
    gs_buf_printf(l->out, "  %-26s %-62s %s\n", o->id, line, o->summary);
    return true;
}

enum { TAGS_MAX = 64 };

struct tags {
    const char *names[TAGS_MAX];
    int n;
};

static bool collect_tag(void *arg, const struct api_operation *o)
{
    struct tags *t = arg;

    for (int i = 0; i < t->n; i++)
        if (gs_str_eq(t->names[i], o->tag))
            return true;
    if (t->n == TAGS_MAX)
        return false;
    t->names[t->n++] = o->tag;
    return true;
}

static enum cli_exit list_operations(struct api *a)
{
    struct tags tags = {0};
    struct gs_buf out;

    gs_buf_init(&out, CLI_OUT_MAX);
    if (a->c->json) {
        gs_buf_puts(&out, "{\"operations\":[");
        api_each_operation(a, put_operation_json, &(struct listing){.out = &out});
        gs_buf_puts(&out, "]}\n");
    } else {
        api_each_operation(a, collect_tag, &tags);
        for (int i = 0; i < tags.n; i++) {
            gs_buf_printf(&out, "%s%s\n", i ? "\n" : "", *tags.names[i] ? tags.names[i] : "other");
            api_each_operation(a, put_operation, &(struct listing){&out, tags.names[i], 0});
        }
        gs_buf_puts(&out, "\n`goalsync api OPERATION --help` shows what one takes.\n");
    }
    cli_print_buf(&out);
    return CLI_OK;
}

/* ---- the organisation, where it need not be said ---- */

static bool is_organisation(const struct gs_json *j, uint32_t at, const char *text)
{
    return !text || gs_str_eq(api_text(j, at, "organisation_id"), text) ||
           gs_str_eq(api_text(j, at, "organisation_name"), text);
}

/* By id or name, or the only one the caller is in; id has room for any. */
static enum cli_exit choose_organisation(struct api *a, const char *text, char *id, size_t size)
{
    struct gs_json *j = NULL;
    enum cli_exit rc = api_get(a, "/api/v1/me", API_ANSWER_MAX, &j);
    uint32_t list = rc == CLI_OK ? gs_json_at(j, "/memberships") : GS_JSON_NONE;
    int n = 0;

    if (gs_json_at_type(j, list) == GS_JSON_ARRAY)
        for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at))
            if (is_organisation(j, at, text) && n++ == 0)
                snprintf(id, size, "%s", api_text(j, at, "organisation_id"));
    if (rc == CLI_OK && n == 0)
        rc =
            cli_fail(a->c, CLI_NOT_FOUND, "you are in no organisation%s%s%s; `goalsync api me_get` shows where you are",
                     text ? " \"" : "", text ? text : "", text ? "\"" : "");
    if (rc == CLI_OK && n > 1)
        rc = cli_fail(a->c, CLI_USAGE,
                      "%d organisations are meant; say which with --organisation ID "
                      "(`goalsync api me_get` shows them)",
                      n);
    gs_json_free(j);
    return rc;
}

static enum cli_exit give(struct cli *c, const char *name, const char *value)
{
    if (c->n_given == CLI_OPTIONS_MAX)
        return cli_fail(c, CLI_USAGE, "more than %d options are given", CLI_OPTIONS_MAX);
    c->given[c->n_given++] = (struct cli_given){name, value};
    return CLI_OK;
}

static bool is_given(const struct cli *c, const char *name)
{
    for (int i = 0; i < c->n_given; i++)
        if (api_names_equal(c->given[i].name, name))
            return true;
    return false;
}

/* --org NAME, or nothing at all, where the path wants an organisation. */
static enum cli_exit complete_organisation(struct api *a, const struct api_operation *o)
{
    static char id[64];
    const struct api_option *option = api_find_option(o, "organisation");
    struct cli *c = a->c;
    int i = 0;

    if (!option || option->place != API_PATH || is_given(c, "organisation") || !*a->token)
        return CLI_OK;
    while (i < c->n_given && !gs_str_eq(c->given[i].name, "org"))
        i++;
    if (choose_organisation(a, i < c->n_given ? c->given[i].value : NULL, id, sizeof(id)) != CLI_OK)
        return c->code;
    if (i == c->n_given)
        return give(c, "organisation", id);
    c->given[i] = (struct cli_given){"organisation", id};
    return CLI_OK;
}

/* ---- one operation ---- */

/* Where the path begins to name {name}; -1: it does not. */
static int place_in_path(const struct api_operation *o, const char *name)
{
    char part[160];
    const char *found;

    snprintf(part, sizeof(part), "{%s}", name);
    found = strstr(o->path, part);
    return found ? (int)(found - o->path) : -1;
}

static int missing_in_path(const struct cli *c, const struct api_operation *o)
{
    int n = 0;

    for (int i = 0; i < o->n_options; i++)
        n += o->options[i].place == API_PATH && !is_given(c, o->options[i].name);
    return n;
}

/* Arguments without a name fill what the path names, from left to right. */
static enum cli_exit take_arguments(struct api *a, const struct api_operation *o)
{
    for (int i = 1; i < a->c->n_arguments; i++) {
        const struct api_option *next = NULL;
        for (int k = 0; k < o->n_options; k++)
            if (o->options[k].place == API_PATH && !is_given(a->c, o->options[k].name) &&
                (!next || place_in_path(o, o->options[k].name) < place_in_path(o, next->name)))
                next = &o->options[k];
        if (!next)
            return cli_fail(a->c, CLI_USAGE,
                            "\"%s\" is one argument too many; `goalsync api %s --help` shows what it "
                            "takes",
                            a->c->arguments[i], o->id);
        if (give(a->c, next->name, a->c->arguments[i]) != CLI_OK)
            return a->c->code;
    }
    return CLI_OK;
}

static bool is_json(const struct api_answer *n)
{
    return gs_str_starts(n->type, "application/json") || gs_str_starts(n->type, "application/problem+json");
}

static enum cli_exit fail_answer(struct api *a, const struct gs_err *err)
{
    return cli_fail(a->c, CLI_FAILED, "%s answered what is no JSON: %s", a->server, err->text);
}

static enum cli_exit print_empty(struct api *a, const struct api_answer *n)
{
    struct gs_buf b;

    gs_buf_init(&b, CLI_OUT_MAX);
    if (a->c->json) {
        gs_buf_printf(&b, "{\"status\":%ld,\"location\":", n->status);
        if (*n->location)
            gs_buf_put_json(&b, n->location, strlen(n->location));
        else
            gs_buf_puts(&b, "null");
        gs_buf_puts(&b, "}\n");
    } else if (*n->location)
        gs_buf_printf(&b, "%s\n", n->location);
    else
        gs_buf_puts(&b, n->status == 304 ? "It is the same still.\n" : "Done.\n");
    cli_print_buf(&b);
    return CLI_OK;
}

static enum cli_exit print_answer(struct api *a, const struct api_answer *n)
{
    struct gs_json *j;
    struct gs_err err;
    enum cli_exit rc = CLI_OK;

    if (n->body.len == 0)
        return print_empty(a, n);
    if (!is_json(n)) {
        fwrite(n->body.data, 1, n->body.len, stdout);
        return CLI_OK;
    }
    j = gs_json_new(API_ANSWER_MAX, API_DEPTH_MAX);
    if (gs_json_parse(j, gs_buf_str(&n->body), n->body.len, &err) != GS_OK)
        rc = fail_answer(a, &err);
    else if (a->c->json)
        printf("%s\n", gs_buf_str(&n->body));
    else
        api_print_people(j, gs_json_root(j), n->etag);
    gs_json_free(j);
    return rc;
}

static enum cli_exit ask(struct api *a, const struct api_operation *o, const char *cursor, struct api_answer *ret)
{
    struct api_filled f;
    enum cli_exit rc = api_fill(a, o, cursor, &f);
    bool idempotent = gs_str_eq(o->method, "GET") || gs_str_eq(o->method, "HEAD") || gs_str_eq(o->method, "PUT") ||
                      gs_str_eq(o->method, "DELETE");

    if (rc == CLI_OK)
        rc = api_send(a,
                      &(struct api_request){.method = o->method,
                                            .url = gs_buf_str(&f.url),
                                            .headers = f.headers,
                                            .body = f.has_body ? gs_buf_str(&f.body) : NULL,
                                            .body_len = f.has_body ? f.body.len : 0,
                                            .safe = idempotent || o->takes_key},
                      ret);
    api_filled_done(&f);
    return rc;
}

/* Adds a page's items. *cursor: of the next page, owned by the caller; null after the last. */
static enum cli_exit add_page(struct api *a, const struct api_answer *n, struct gs_json *j, struct gs_buf *items,
                              char **cursor)
{
    uint32_t list, next;
    struct gs_err err;
    size_t len;

    if (gs_json_parse(j, gs_buf_str(&n->body), n->body.len, &err) != GS_OK)
        return fail_answer(a, &err);
    list = gs_json_at(j, "/items");
    if (gs_json_at_type(j, list) != GS_JSON_ARRAY)
        return cli_fail(a->c, CLI_FAILED, "%s answered a page without items", a->server);
    for (uint32_t at = gs_json_first(j, list); at != GS_JSON_NONE; at = gs_json_next(j, list, at)) {
        gs_buf_puts(items, items->len ? ",\n " : "");
        api_put_json(items, j, at);
    }
    next = gs_json_at(j, "/next_cursor");
    gs_freep(cursor);
    *cursor = gs_json_at_type(j, next) == GS_JSON_STRING ? gs_strdup(gs_json_at_text(j, next, &len)) : NULL;
    return items->overflow ? cli_fail(a->c, CLI_FAILED,
                                      "the pages have more than %d bytes together; ask for them one "
                                      "by one with --limit and --cursor",
                                      API_ANSWER_MAX)
                           : CLI_OK;
}

static enum cli_exit ask_all(struct api *a, const struct api_operation *o, struct api_answer *ret)
{
    GS_AUTO(gs_freep) char *cursor = NULL;
    struct gs_json *j = gs_json_new(API_ANSWER_MAX, API_DEPTH_MAX);
    enum cli_exit rc = CLI_OK;
    struct gs_buf items;
    int pages = 0;

    gs_buf_init(&items, API_ANSWER_MAX - 64);
    do {
        rc = ask(a, o, cursor, ret);
        if (rc == CLI_OK)
            rc = add_page(a, ret, j, &items, &cursor);
    } while (rc == CLI_OK && cursor && ++pages < API_PAGES_MAX);
    if (rc == CLI_OK && cursor)
        rc = cli_fail(a->c, CLI_FAILED, "there are more than %d pages", API_PAGES_MAX);
    gs_buf_clear(&ret->body);
    gs_buf_printf(&ret->body, "{\"items\":[");
    gs_buf_append(&ret->body, gs_buf_str(&items), items.len);
    gs_buf_puts(&ret->body, "],\"next_cursor\":null}");
    ret->etag[0] = '\0';
    gs_buf_done(&items);
    gs_json_free(j);
    return rc;
}

static enum cli_exit run_operation(struct api *a, const char *id)
{
    struct api_operation o;
    struct api_answer n;
    enum cli_exit rc = api_find_operation(a, id, &o);

    if (rc != CLI_OK)
        return rc;
    if (a->c->help) {
        api_help(a, &o);
        return CLI_OK;
    }
    /* With too few arguments for all of the path, it is the organisation that was left out. */
    if (missing_in_path(a->c, &o) > a->c->n_arguments - 1)
        rc = complete_organisation(a, &o);
    if (rc == CLI_OK)
        rc = take_arguments(a, &o);
    api_answer_init(&n);
    if (rc == CLI_OK)
        rc = cli_has(a->c, "all") && api_find_option(&o, "cursor") ? ask_all(a, &o, &n) : ask(a, &o, NULL, &n);
    if (rc == CLI_OK)
        rc = print_answer(a, &n);
    api_answer_done(&n);
    return rc;
}

static enum cli_exit run(struct cli *c)
{
    const char *id = cli_arg(c, 0);
    struct api a;
    enum cli_exit rc = api_open(&a, c);

    if (rc == CLI_OK)
        rc = api_get(&a, "/openapi.json", API_DOCUMENT_MAX, &a.doc);
    if (rc == CLI_OK && !id && c->n_given)
        rc = cli_fail(c, CLI_USAGE, "--%s belongs to an operation, and none is named; `goalsync api` lists them",
                      c->given[0].name);
    else if (rc == CLI_OK)
        rc = id ? run_operation(&a, id) : list_operations(&a);
    api_close(&a);
    return rc;
}

/* ---- the local commands' names for operations ---- */

/* Where GROUP_COMMAND is not the operation's name already. */
static const struct {
    const char *group, *command, *operation; /* null: none does it */
} aliases[] = {
    {"org", "create", "organisation_create"},
    {"org", "list", "organisation_list"},
    {"org", "show", "organisation_get"},
    {"person", "show", "person_get"},
    {"goal", "show", "goal_get"},
    {"goal", "align", "alignment_create"},
    {"goal", "unalign", "alignment_delete"},
    {"goal", "task", "task_list"},
    {"goal", "check-in", "check_in_create"},
    {"connection", "show", "connection_get"},
    {"link", "show", "link_get"},
    {"link", "preview", "preview_create"},
    {"sync", "", "link_sync"},
    {"audit", "verify", NULL},
    {"migrate", "", NULL},
    {"status", "", NULL},
    {"topics", "create", NULL},
    {"topics", "list", NULL},
};

enum cli_exit cli_api_name(struct cli *c, const char *group, const char *command, char *dst, size_t size,
                           bool *ret_alone)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        bool alone = !*aliases[i].command;
        if (!gs_str_eq(aliases[i].group, group) || (!alone && !gs_str_eq(aliases[i].command, command)))
            continue;
        if (!aliases[i].operation)
            return cli_fail(c, CLI_USAGE,
                            "%s%s%s works on the servers themselves, not through the API; run it without "
                            "--server where they can be reached",
                            group, alone ? "" : " ", alone ? "" : command);
        snprintf(dst, size, "%s", aliases[i].operation);
        *ret_alone = alone;
        return CLI_OK;
    }
    if (!*command)
        return cli_fail(c, CLI_USAGE, "%s needs a command; `goalsync api` lists the operations", group);
    *ret_alone = false;
    snprintf(dst, size, "%s_%s", group, command);
    return CLI_OK;
}

const struct cli_option cli_any_option[] = {{0}};

const struct cli_command cli_api_commands[] = {
    {"", "[OPERATION]", "Lists the gateway's operations, or carries one out", cli_any_option,
     "  goalsync api\n"
     "  goalsync api goal_close --help\n"
     "  goalsync api goal_close --goal ID --note done\n"
     "  goalsync api goal_list --all --json\n"
     "  goalsync --server https://goalsync.example --token-file token goal list\n",
     run},
    {0},
};
