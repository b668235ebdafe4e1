/* GitHub: how many issues match, or which share of them is closed. How a search is written is in query.c. */
#include "services/fetch/connectors/third-party/github/query.h"

#include "common/str.h"

#include <stdio.h>
#include <string.h>

#define WAIT_SECONDARY_US (60 * INT64_C(1000000)) /* GitHub's own advice when it names no time */
#define COUNT_MAX         INT64_C(1000000000000)  /* no repository has more issues; what is larger is no count */
#define TITLE_MAX         1024                    /* bytes of a milestone's title */
#define HOST_REQUESTS     50                      /* GitHub asks for at most 100 at once of one user */
#define EXCHANGES_MAX     4                       /* a milestone's title and three searches */

static const struct fetch_field connection_fields[] = {
    {.name = "base_url",
     .label = "API address",
     .help = "https://api.github.com, or https://HOST/api/v3 of a GitHub Enterprise Server",
     .type = FETCH_URL,
     .def = "https://api.github.com"},
    {0},
};

static const struct fetch_field link_fields[] = {
    {.name = "repository", .label = "Repository", .help = "owner/name", .type = FETCH_TEXT, .required = true},
    {.name = "metric",
     .label = "Number",
     .help = "count: how many match; percent_closed: closed ones among all that match",
     .type = FETCH_CHOICE,
     .def = "count",
     .choices = "count,percent_closed"},
    {.name = "state",
     .label = "State",
     .help = "Counts only; a percentage looks at all",
     .type = FETCH_CHOICE,
     .def = "all",
     .choices = "open,closed,all"},
    {.name = "milestone",
     .label = "Milestone",
     .help = "Its number (7), its title (a title of digits in double quotes: \"7\"), or none. A number without other "
             "filters takes GitHub's own counts of the milestone, pull requests included",
     .type = FETCH_TEXT},
    {.name = "assignee", .label = "Assignee", .help = "A user's login, or none", .type = FETCH_TEXT},
    {.name = "labels",
     .label = "Labels",
     .help = "Separated by commas, all must be there; one with a comma in double quotes",
     .type = FETCH_TEXT},
    {.name = "type", .label = "Type", .type = FETCH_CHOICE, .def = "issue", .choices = "issue,pull_request"},
    {0},
};

/* What one task has learned. Every target of a batch has the same filters; they differ in what they count. */
struct progress {
    bool needed[GITHUB_STATES];
    bool known[GITHUB_STATES];
    int64_t counts[GITHUB_STATES];
    bool searching; /* false: the reply is the milestone's */
    enum github_state asked;
    char title[TITLE_MAX + 1]; /* of the milestone that is given by its number */
};

/* ---- settings ---- */

static enum gs_rc check(const struct fetch_settings *connection, const struct fetch_settings *link, struct gs_err *err)
{
    struct gs_buf q;
    enum gs_rc rc;

    (void)connection;
    if (!link)
        return GS_OK;
    gs_buf_init(&q, GITHUB_QUERY_MAX);
    rc = github_query(link, NULL, GITHUB_ALL, &q, err);
    gs_buf_done(&q);
    return rc;
}

/* Links that differ only in metric and state are answered by the same searches. */
static void batch_key(const struct fetch_settings *link, struct gs_buf *ret_key)
{
    static const char *const names[] = {"repository", "type", "milestone", "assignee", "labels"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = fetch_setting(link, names[i]);

        /* A length in front keeps different settings different whatever they hold. */
        if (i > 0 && value[0])
            gs_buf_printf(ret_key, ",%c%zu=", names[i][0], strlen(value));
        gs_buf_puts(ret_key, value);
    }
}

static bool wants_percent(const struct fetch_settings *link)
{
    return gs_str_eq(fetch_setting(link, "metric"), "percent_closed");
}

static enum github_state state_of(const struct fetch_settings *link)
{
    const char *state = fetch_setting(link, "state");

    if (gs_str_eq(state, "open"))
        return GITHUB_OPEN;
    return gs_str_eq(state, "closed") ? GITHUB_CLOSED : GITHUB_ALL;
}

/* ---- asking ---- */

/* GitHub recommends the first type, and its description promises the second. */
static void put_headers(struct fetch_task *t)
{
    fetch_header(t, "Accept", "application/vnd.github+json, application/json");
    fetch_header(t, "X-GitHub-Api-Version", "2022-11-28");
}

static enum gs_rc ask_search(struct fetch_task *t, enum github_state state)
{
    struct progress *p = fetch_scratch(t);
    struct gs_buf q;
    enum gs_rc rc;

    p->searching = true;
    p->asked = state;
    gs_buf_init(&q, GITHUB_QUERY_MAX);
    rc = github_query(fetch_target(t, 0), p->title[0] ? p->title : NULL, state, &q, fetch_err(t));
    if (rc == GS_OK)
        rc = fetch_get(t, "/search/issues");
    if (rc == GS_AGAIN) {
        fetch_query(t, "q", gs_buf_str(&q));
        fetch_query(t, "per_page", "1");
        fetch_spend(t, "search");
        put_headers(t);
    }
    gs_buf_done(&q);
    return rc;
}

static enum gs_rc ask_milestone(struct fetch_task *t, const char *number)
{
    struct github_repository repo;
    enum gs_rc rc = github_repository(fetch_target(t, 0), &repo, fetch_err(t));

    if (rc == GS_OK)
        rc = fetch_get(t, "/repos/%s/%s/milestones/%s", repo.owner, repo.name, number);
    if (rc == GS_AGAIN)
        put_headers(t);
    return rc;
}

static void emit(struct fetch_task *t)
{
    const struct progress *p = fetch_scratch(t);

    for (size_t i = 0; i < fetch_targets(t); i++) {
        enum github_state state = state_of(fetch_target(t, i));

        if (wants_percent(fetch_target(t, i))) {
            fetch_emit_ratio(t, i, p->counts[GITHUB_CLOSED], p->counts[GITHUB_ALL]);
            fetch_rows_seen(t, i, p->counts[GITHUB_ALL]);
        } else {
            fetch_emit(t, i, gs_dec_int(p->counts[state]));
            fetch_rows_seen(t, i, p->counts[state]);
        }
    }
}

/* The next search that a target needs, or the results. */
static enum gs_rc go_on(struct fetch_task *t)
{
    const struct progress *p = fetch_scratch(t);

    for (int s = 0; s < GITHUB_STATES; s++) {
        if (p->needed[s] && !p->known[s])
            return ask_search(t, (enum github_state)s);
    }
    /* Counted by two requests; something was closed or opened between them. */
    if (p->known[GITHUB_ALL] && p->known[GITHUB_CLOSED] && p->counts[GITHUB_CLOSED] > p->counts[GITHUB_ALL])
        return gs_fail(fetch_err(t), GS_RETRY, "the issues changed while they were counted");
    emit(t);
    return GS_OK;
}

static enum gs_rc start(struct fetch_task *t)
{
    struct progress *p = fetch_scratch(t);
    char number[GITHUB_NUMBER_TEXT];

    for (size_t i = 0; i < fetch_targets(t); i++) {
        bool percent = wants_percent(fetch_target(t, i));

        p->needed[percent ? GITHUB_ALL : state_of(fetch_target(t, i))] = true;
        p->needed[GITHUB_CLOSED] |= percent;
    }
    fetch_base(t, fetch_setting(fetch_connection(t), "base_url"));
    if (github_milestone_number(fetch_target(t, 0), number))
        return ask_milestone(t, number);
    return go_on(t);
}

/* ---- reading ---- */

static enum gs_rc read_count(struct fetch_task *t, struct gs_json *json, const char *pointer, int64_t *ret)
{
    int64_t n;

    if (!gs_json_int(json, pointer, &n) || n < 0 || n > COUNT_MAX)
        return gs_fail(fetch_err(t), GS_REJECT,
                       "GitHub's answer has no usable %s; check that the API address is one of GitHub", pointer + 1);
    *ret = n;
    return GS_OK;
}

static void learn(struct progress *p, enum github_state state, int64_t count)
{
    p->counts[state] = count;
    p->known[state] = true;
}

static enum gs_rc read_milestone(struct fetch_task *t, struct gs_json *json)
{
    struct progress *p = fetch_scratch(t);
    int64_t open, closed;
    const char *title;
    size_t len;

    if (!github_only_milestone(fetch_target(t, 0))) {
        if (!gs_json_string(json, "/title", &title, &len) || len == 0 || len > TITLE_MAX || strlen(title) != len)
            return gs_fail(fetch_err(t), GS_REJECT, "GitHub's answer has no usable title of the milestone");
        memcpy(p->title, title, len + 1);
        return go_on(t);
    }
    if (read_count(t, json, "/open_issues", &open) != GS_OK || read_count(t, json, "/closed_issues", &closed) != GS_OK)
        return GS_REJECT;
    learn(p, GITHUB_OPEN, open);
    learn(p, GITHUB_CLOSED, closed);
    learn(p, GITHUB_ALL, open + closed);
    return go_on(t);
}

static enum gs_rc read_search(struct fetch_task *t, struct gs_json *json)
{
    struct progress *p = fetch_scratch(t);
    bool incomplete;
    int64_t total;

    if (!gs_json_bool(json, "/incomplete_results", &incomplete))
        return gs_fail(fetch_err(t), GS_REJECT, "GitHub's answer does not say whether it is complete");
    if (incomplete)
        return gs_fail(fetch_err(t), GS_RETRY, "GitHub's search ran out of time and counted only a part");
    if (read_count(t, json, "/total_count", &total) != GS_OK)
        return GS_REJECT;
    learn(p, p->asked, total);
    return go_on(t);
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    const struct progress *p = fetch_scratch(t);
    struct gs_json *json = fetch_json(t, r);

    if (!json)
        return GS_REJECT;
    return p->searching ? read_search(t, json) : read_milestone(t, json);
}

/* ---- refusals ---- */

static bool has_header(const struct fetch_reply *r, const char *name)
{
    return r->header && r->header(r, name);
}

/* GitHub's own words, cleaned; "" when the answer is none of its own. */
static const char *message_of(struct fetch_task *t, const struct fetch_reply *r, char *dst, size_t size)
{
    struct gs_json *json = fetch_json(t, r);
    const char *text;
    size_t len;

    dst[0] = '\0';
    if (json && gs_json_string(json, "/message", &text, &len))
        gs_str_clean(dst, size, text, len);
    return dst;
}

/* A limit comes as 403 or 429; the common table knows all of its headers, but not a limit without any. */
static enum gs_rc judge_forbidden(struct fetch_task *t, const struct fetch_reply *r)
{
    char message[160];

    if (has_header(r, "retry-after"))
        return fetch_judge(t, r);
    message_of(t, r, message, sizeof(message));
    if (strstr(message, "secondary rate limit") || strstr(message, "abuse detection"))
        return fetch_wait_until(t, fetch_now_us(t) + WAIT_SECONDARY_US, "its secondary rate limit is reached");
    if (r->status == 403 && has_header(r, "x-github-sso"))
        return gs_fail(fetch_err(t), GS_DENIED,
                       "the organisation on GitHub asks for single sign-on; authorize the token for it there");
    if (r->status == 403 && strstr(message, "not accessible by"))
        return gs_fail(fetch_err(t), GS_DENIED,
                       "the token lacks a permission; it needs to read issues and pull requests of the repository");
    return fetch_judge(t, r);
}

/* The search names a repository, a user or a label that does not exist; which one GitHub does not say. */
static enum gs_rc judge_unprocessable(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_json *json = fetch_json(t, r);
    const char *text;
    size_t len;
    char clean[160];

    if (!json || !gs_json_string(json, "/errors/0/message", &text, &len))
        return fetch_judge(t, r);
    if (strstr(text, "do not exist or you do not have permission"))
        return gs_fail(fetch_err(t), GS_GONE,
                       "GitHub cannot search this: repository or assignee do not exist, or the token may not see them");
    gs_str_clean(clean, sizeof(clean), text, len);
    return gs_fail(fetch_err(t), GS_REJECT, "GitHub refuses the search: %s", clean);
}

static enum gs_rc judge(struct fetch_task *t, const struct fetch_reply *r)
{
    const struct progress *p = fetch_scratch(t);
    char message[160];

    switch (r->status) {
    case 301:
    case 302:
    case 307:
    case 308:
        return gs_fail(fetch_err(t), GS_GONE, "the repository has another name now; enter it in the link");
    case 401:
        return gs_fail(fetch_err(t), GS_DENIED,
                       "GitHub refuses the token; it is wrong, expired or revoked: enter a new one");
    case 403:
    case 429:
        return judge_forbidden(t, r);
    case 404:
        if (!message_of(t, r, message, sizeof(message))[0])
            return gs_fail(fetch_err(t), GS_GONE, "there is no GitHub API at the connection's API address");
        return gs_fail(
            fetch_err(t), GS_GONE,
            "GitHub shows no such %s; it does not exist, or the token may not see it (GitHub does not say which)",
            p->searching ? "thing" : "repository or milestone");
    case 422:
        return judge_unprocessable(t, r);
    default:
        return fetch_judge(t, r);
    }
}

static const struct fetch_auth auths[] = {
    {.name = "token",
     .label = "Access token",
     .help =
         "A fine-grained personal access token with read access to issues and pull requests, or a classic one; public "
         "repositories need no rights",
     .kind = FETCH_BEARER},
    {0},
};

/* docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: of a user, whatever the token; which user
 * that is only the token knows. The last row is of the secondary limits: 900 points in a minute, one for each GET. */
static const struct fetch_budget budgets[] = {
    {.name = "core", .requests = 5000, .seconds = 3600},
    {.name = "search", .requests = 30, .seconds = 60},
    {.requests = 900, .seconds = 60},
    {0},
};

const struct fetch_connector fetch_connector_github = {
    .label = "GitHub",
    .terms_url = "https://docs.github.com/en/site-policy",
    .wire = FETCH_HTTP,
    .auths = auths,
    .budgets = budgets,
    .host_requests = HOST_REQUESTS,
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
