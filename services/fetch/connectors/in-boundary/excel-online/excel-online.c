/* Excel Online: the number in one cell of a workbook on OneDrive for Business or SharePoint, by Microsoft Graph.
 *
 * All links of a file are one task: its cells are asked one after the other, which Graph wants of a workbook, and
 * within a session when there are several ("Manage sessions in Excel", Best practices). */
#include "services/fetch/connectors/in-boundary/excel-online/cell.h"

#include "common/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EXCHANGES_MAX 100
#define SESSION_MAX   1000 /* bytes of a session's id */
#define SESSION_FROM  2    /* cells; one is not worth one more request */
#define SESSIONS_MAX  2    /* begun for one task: one that was lost is begun anew */

static const struct fetch_field connection_fields[] = {
    {.name = "tenant",
     .label = "Microsoft Entra tenant",
     .help = "Its id or domain; organizations: whichever the account is of",
     .type = FETCH_TEXT,
     .def = "organizations"},
    {0},
};

static const struct fetch_field link_fields[] = {
    {.name = "file",
     .label = "Workbook",
     .help = "Its address in the browser, or DRIVE-ID/ITEM-ID",
     .type = FETCH_TEXT,
     .required = true},
    {.name = "name",
     .label = "Named range",
     .help = "Of one cell. Better than a cell's address: it moves along when rows and columns are inserted",
     .type = FETCH_TEXT},
    {.name = "sheet", .label = "Sheet", .help = "Its title, for a cell", .type = FETCH_TEXT},
    {.name = "cell", .label = "Cell", .help = "Column and row: B7", .type = FETCH_TEXT},
    {0},
};

enum step { FILE_ID, SESSION, CELLS };

struct progress {
    struct excel_file file;
    enum step step;
    size_t target; /* whose cell is asked */
    int sessions;
    char session[SESSION_MAX + 1]; /* "": none */
};

/* ---- settings ---- */

static bool tenant_ok(const char *tenant)
{
    return *tenant &&
           strspn(tenant, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(tenant);
}

static enum gs_rc check(const struct fetch_settings *connection, const struct fetch_settings *link, struct gs_err *err)
{
    struct excel_file file;

    if (!tenant_ok(fetch_setting(connection, "tenant")))
        return gs_fail(err, GS_REJECT,
                       "tenant must be the id or a domain of a Microsoft Entra tenant, or organizations");
    if (!link)
        return GS_OK;
    return excel_file_read(link, &file, err) == GS_OK ? excel_cell_check(link, err) : err->rc;
}

static void batch_key(const struct fetch_settings *link, struct gs_buf *ret_key)
{
    gs_buf_puts(ret_key, fetch_setting(link, "file"));
}

/* ---- asking ---- */

static enum gs_rc ask_file(struct fetch_task *t)
{
    const struct progress *p = fetch_scratch(t);
    enum gs_rc rc = fetch_get(t, "/v1.0/shares/%s/driveItem", p->file.share);

    fetch_query(t, "$select", "id,parentReference");
    return rc;
}

static enum gs_rc ask_session(struct fetch_task *t)
{
    static const char body[] = "{\"persistChanges\":false}";
    struct progress *p = fetch_scratch(t);

    p->sessions++;
    return fetch_post(t, "application/json", body, strlen(body), "/v1.0/drives/%s/items/%s/workbook/createSession",
                      p->file.drive, p->file.item);
}

static void put_session(struct fetch_task *t)
{
    const struct progress *p = fetch_scratch(t);

    if (p->session[0])
        fetch_header(t, "workbook-session-id", p->session);
}

static enum gs_rc ask_cell(struct fetch_task *t)
{
    const struct progress *p = fetch_scratch(t);
    const struct fetch_settings *link = fetch_target(t, p->target);
    const char *name = fetch_setting(link, "name");
    enum gs_rc rc =
        name[0] ? fetch_get(t, "/v1.0/drives/%s/items/%s/workbook/names/%s/range()", p->file.drive, p->file.item, name)
                : fetch_get(t, "/v1.0/drives/%s/items/%s/workbook/worksheets/%s/range(address='%s')", p->file.drive,
                            p->file.item, fetch_setting(link, "sheet"), fetch_setting(link, "cell"));

    put_session(t);
    return rc;
}

static enum gs_rc go_to(struct fetch_task *t, enum step step)
{
    struct progress *p = fetch_scratch(t);

    p->step = step;
    return step == FILE_ID ? ask_file(t) : step == SESSION ? ask_session(t) : ask_cell(t);
}

static enum gs_rc begin_cells(struct fetch_task *t)
{
    return go_to(t, fetch_targets(t) >= SESSION_FROM ? SESSION : CELLS);
}

static enum gs_rc start(struct fetch_task *t)
{
    struct progress *p = fetch_scratch(t);

    if (excel_file_read(fetch_target(t, 0), &p->file, fetch_err(t)) != GS_OK)
        return fetch_err(t)->rc;
    fetch_base(t, fetch_host(t, "graph"));
    return p->file.drive[0] ? begin_cells(t) : go_to(t, FILE_ID);
}

/* ---- what came ---- */

static bool copy_id(struct gs_json *json, const char *pointer, char ret[EXCEL_ID_MAX + 1])
{
    const char *text;
    size_t len;

    if (!gs_json_string(json, pointer, &text, &len) || len > EXCEL_ID_MAX || strlen(text) != len || !excel_id_ok(text))
        return false;
    memcpy(ret, text, len + 1);
    return true;
}

static enum gs_rc read_file(struct fetch_task *t, struct gs_json *json)
{
    struct progress *p = fetch_scratch(t);

    if (!copy_id(json, "/id", p->file.item) || !copy_id(json, "/parentReference/driveId", p->file.drive))
        return gs_fail(fetch_err(t), GS_REJECT, "Graph's answer does not name the file's drive and item");
    return begin_cells(t);
}

/* Failures of the service's own come as 200, too. */
static enum gs_rc read_session(struct fetch_task *t, struct gs_json *json)
{
    struct progress *p = fetch_scratch(t);
    const char *text;
    size_t len;

    if (!gs_json_string(json, "/id", &text, &len) || len == 0 || len > SESSION_MAX || strlen(text) != len)
        return gs_fail(fetch_err(t), GS_RETRY, "Excel Online began no session for the workbook");
    memcpy(p->session, text, len + 1);
    return go_to(t, CELLS);
}

static enum gs_rc next_cell(struct fetch_task *t)
{
    struct progress *p = fetch_scratch(t);

    return ++p->target < fetch_targets(t) ? go_to(t, CELLS) : GS_OK; /* a session ends by itself */
}

static enum gs_rc read_cell(struct fetch_task *t, struct gs_json *json)
{
    const struct progress *p = fetch_scratch(t);
    struct gs_dec value;
    struct gs_err err;

    if (excel_range_check(json, fetch_err(t)) != GS_OK)
        return GS_REJECT;
    if (excel_cell_value(json, fetch_setting(fetch_target(t, p->target), "cell"), &value, &err) == GS_OK) {
        fetch_emit(t, p->target, value);
        fetch_rows_seen(t, p->target, 1);
    } else {
        fetch_emit_failure(t, p->target, err.rc, "%s", err.text);
    }
    return next_cell(t);
}

/* The second level first, then the first (Graph: "Error codes for workbooks and charts"); case does not matter. */
static bool code_is(struct gs_json *json, const char *code)
{
    static const char *const places[] = {"/error/innerError/code", "/error/innererror/code", "/error/code"};
    const char *text;
    size_t len;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (gs_json_string(json, places[i], &text, &len))
            return strcasecmp(text, code) == 0;
    return false;
}

/* One cell's own refusal ends that link, not those beside it. */
static enum gs_rc cell_refused(struct fetch_task *t, const struct fetch_reply *r)
{
    struct progress *p = fetch_scratch(t);
    struct gs_json *json = fetch_json(t, r);
    const char *name = fetch_setting(fetch_target(t, p->target), "name");

    if (!json || gs_json_type(json, "/error/code") != GS_JSON_STRING)
        return fetch_judge(t, r); /* not of Excel Online */
    if (code_is(json, "invalidSessionReCreatable") && p->sessions < SESSIONS_MAX) {
        p->session[0] = '\0';
        return go_to(t, SESSION);
    }
    if (code_is(json, "accessConflict"))
        return gs_fail(fetch_err(t), GS_RETRY, "the workbook is locked; it is asked again later");
    if (r->status != 400 && r->status != 404)
        return fetch_judge(t, r);
    fetch_emit_failure(t, p->target, r->status == 404 ? GS_GONE : GS_REJECT,
                       "the workbook has no such %s, or the account may not see it",
                       name[0] ? "named range" : "sheet or cell");
    return next_cell(t);
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct progress *p = fetch_scratch(t);
    struct gs_json *json;

    if (r->status >= 400)
        return cell_refused(t, r);
    json = fetch_json(t, r);
    if (!json)
        return fetch_err(t)->rc;
    if (gs_json_type(json, "/error") != GS_JSON_MISSING)
        return gs_fail(fetch_err(t), GS_RETRY, "Excel Online has a problem with the workbook");
    return p->step == FILE_ID ? read_file(t, json) : p->step == SESSION ? read_session(t, json) : read_cell(t, json);
}

static enum gs_rc judge(struct fetch_task *t, const struct fetch_reply *r)
{
    const struct progress *p = fetch_scratch(t);

    if (p->step == CELLS && (r->status == 400 || r->status == 404 || r->status == 409))
        return GS_OK;
    if (r->status == 404)
        return gs_fail(fetch_err(t), GS_GONE,
                       "Microsoft 365 has no such file, or hides it from the connection's account");
    if (r->status == 504 && p->step == SESSION && p->sessions < SESSIONS_MAX)
        return go_to(t, SESSION);
    return fetch_judge(t, r);
}

static const struct fetch_auth auths[] = {
    {.name = "oauth",
     .label = "Sign in with Microsoft",
     .help = "The account that may open the workbooks; nothing is ever written",
     .kind = FETCH_OAUTH,
     .authorize_url = "{login}/{tenant}/oauth2/v2.0/authorize",
     .token_url = "{login}/{tenant}/oauth2/v2.0/token",
     .scope = "https://graph.microsoft.com/Files.Read.All offline_access"},
    {0},
};

static const struct fetch_host hosts[] = {
    {"graph", "https://graph.microsoft.com"},
    {"login", "https://login.microsoftonline.com"},
    {0},
};

/* 5,000 in ten seconds for the operator's application, 1,500 of them for one tenant; which tenant a connection is of
 * only its sign-in knows, so each keeps to that by itself. */
static const struct fetch_budget budgets[] = {
    {.of = FETCH_OF_CLIENT, .requests = 5000, .seconds = 10}, {.requests = 1500, .seconds = 10}, {0}};

const struct fetch_connector fetch_connector_excel_online = {
    .label = "Excel Online",
    .terms_url = "https://www.microsoft.com/licensing/terms",
    .wire = FETCH_HTTP,
    .auths = auths,
    .hosts = hosts,
    .budgets = budgets,
    .outcomes = FETCH_NUMBER | FETCH_PERCENT,
    .connection_fields = connection_fields,
    .link_fields = link_fields,
    .scratch = sizeof(struct progress),
    .max_exchanges = EXCHANGES_MAX,
    .check = check,
    .batch_key = batch_key,
    .start = start,
    .reply = reply,
    .judge = judge,
};
