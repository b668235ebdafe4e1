/* Owns how repository, milestone, assignee and labels are read from the form and written as a GitHub search. */
#include "services/fetch/connectors/third-party/github/query.h"

#include "common/str.h"

#include <stdio.h>
#include <string.h>

#define LOGIN_MAX 100

static const char login_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
static const char digits[] = "0123456789";

/* ---- parts of the form ---- */

/* Strict, because a space would let a repository bring qualifiers of its own. */
enum gs_rc github_repository(const struct fetch_settings *link, struct github_repository *ret, struct gs_err *err)
{
    const char *text = fetch_setting(link, "repository");
    size_t owner = strspn(text, login_chars);
    size_t name = text[owner] == '/' ? strspn(text + owner + 1, name_chars) : 0;

    if (owner == 0 || owner > GITHUB_OWNER_MAX || name == 0 || name > GITHUB_NAME_MAX || text[owner + 1 + name] != '\0')
        return gs_fail(err, GS_REJECT, "repository must be owner/name, as in octocat/hello-world");
    snprintf(ret->owner, sizeof(ret->owner), "%.*s", (int)owner, text);
    snprintf(ret->name, sizeof(ret->name), "%s", text + owner + 1);
    if (gs_str_eq(ret->name, ".") || gs_str_eq(ret->name, ".."))
        return gs_fail(err, GS_REJECT, "repository must be owner/name, as in octocat/hello-world");
    return GS_OK;
}

bool github_milestone_number(const struct fetch_settings *link, char ret_number[GITHUB_NUMBER_TEXT])
{
    const char *text = fetch_setting(link, "milestone");
    size_t n = strspn(text, digits);

    if (n == 0 || text[n] != '\0' || n >= GITHUB_NUMBER_TEXT)
        return false;
    snprintf(ret_number, GITHUB_NUMBER_TEXT, "%s", text);
    return true;
}

bool github_only_milestone(const struct fetch_settings *link)
{
    char number[GITHUB_NUMBER_TEXT];

    return github_milestone_number(link, number) && !fetch_setting(link, "assignee")[0] &&
           !fetch_setting(link, "labels")[0] && gs_str_eq(fetch_setting(link, "type"), "issue");
}

/* ---- search syntax ---- */

static void put_quoted(struct gs_buf *b, const char *s, size_t len)
{
    gs_buf_putc(b, '"');
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"' || s[i] == '\\')
            gs_buf_putc(b, '\\');
        gs_buf_putc(b, s[i]);
    }
    gs_buf_putc(b, '"');
}

static void put_milestone(struct gs_buf *b, const struct fetch_settings *link, const char *title)
{
    const char *text = title ? title : fetch_setting(link, "milestone");
    size_t len = strlen(text);
    char number[GITHUB_NUMBER_TEXT];

    if (len == 0 || (!title && github_milestone_number(link, number)))
        return;
    if (!title && gs_str_eq(text, "none")) {
        gs_buf_puts(b, " no:milestone");
        return;
    }
    /* Quotes in the form make a title of what would be a number or "none". */
    if (!title && len > 2 && text[0] == '"' && text[len - 1] == '"') {
        text++;
        len -= 2;
    }
    gs_buf_puts(b, " milestone:");
    put_quoted(b, text, len);
}

static enum gs_rc put_assignee(struct gs_buf *b, const struct fetch_settings *link, struct gs_err *err)
{
    const char *text = fetch_setting(link, "assignee");
    size_t len = strlen(text);

    if (len == 0)
        return GS_OK;
    if (gs_str_eq(text, "none")) {
        gs_buf_puts(b, " no:assignee");
        return GS_OK;
    }
    if (strspn(text, login_chars) != len || len > LOGIN_MAX)
        return gs_fail(err, GS_REJECT, "assignee must be one login on GitHub (letters, digits, - and _), or none");
    gs_buf_printf(b, " assignee:%s", text);
    return GS_OK;
}

/* Copies one label of a list to ret: up to the next comma, or in double quotes with "" for one of them. Returns what
 * follows; null when the quotes do not end. */
static const char *take_label(const char *s, struct gs_buf *ret)
{
    s += strspn(s, " ");
    if (*s != '"') {
        size_t len = strcspn(s, ",");
        const char *rest = s + len;

        while (len > 0 && s[len - 1] == ' ')
            len--;
        gs_buf_append(ret, s, len);
        return rest;
    }
    for (s++; *s; s++) {
        if (*s == '"' && *++s != '"')
            return s + strspn(s, " ");
        gs_buf_putc(ret, *s);
    }
    return NULL;
}

static enum gs_rc put_labels(struct gs_buf *b, const struct fetch_settings *link, struct gs_err *err)
{
    const char *s = fetch_setting(link, "labels");
    enum gs_rc rc = GS_OK;
    struct gs_buf label;

    gs_buf_init(&label, GITHUB_QUERY_MAX);
    for (int n = 1; *s && rc == GS_OK; n++) {
        gs_buf_clear(&label);
        s = take_label(s, &label);
        if (!s || (*s && *s != ',') || (*s == ',' && !s[1]))
            rc = gs_fail(err, GS_REJECT, "labels must be separated by single commas; quotes go around a whole label");
        else if (label.len == 0)
            rc = gs_fail(err, GS_REJECT, "label %d is empty; separate labels by single commas", n);
        else if (n > GITHUB_LABELS_MAX)
            rc = gs_fail(err, GS_REJECT, "there are more than %d labels", GITHUB_LABELS_MAX);
        if (rc != GS_OK)
            break;
        gs_buf_puts(b, " label:");
        put_quoted(b, gs_buf_str(&label), label.len);
        s += *s == ',';
    }
    gs_buf_done(&label);
    return rc;
}

enum gs_rc github_query(const struct fetch_settings *link, const char *title, enum github_state state,
                        struct gs_buf *ret, struct gs_err *err)
{
    static const char *const states[GITHUB_STATES] = {"", " is:closed", " is:open"};
    bool issues = gs_str_eq(fetch_setting(link, "type"), "issue");
    struct github_repository repo;

    if (github_repository(link, &repo, err) != GS_OK)
        return GS_REJECT;
    /* Apps' user tokens may not search for both types at once, so the type is always named. */
    gs_buf_printf(ret, "repo:%s/%s is:%s%s", repo.owner, repo.name, issues ? "issue" : "pull-request", states[state]);
    put_milestone(ret, link, title);
    if (put_assignee(ret, link, err) != GS_OK || put_labels(ret, link, err) != GS_OK)
        return GS_REJECT;
    if (ret->overflow)
        return gs_fail(err, GS_REJECT, "the filters make a search of more than %d bytes; use fewer or shorter ones",
                       GITHUB_QUERY_MAX);
    return GS_OK;
}
