/* goalsync goal list: once, or staying and redrawing. */
#include "services/cli/goal.h"

#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/out.h"
#include "services/cli/tree.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REDRAW_MS = 500, SCREEN_MAX = 4 << 20 };

#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* a screen of our own, without a cursor */
#define SCREEN_END   "\033[?25h\033[?1049l"

static void put_title(const struct cli_tree *t, const char *note, int columns, struct gs_buf *b)
{
    int goals = PQntuples(t->goals), failing = PQntuples(t->troubles), room = columns;
    char text[300];
    struct gs_buf name;

    snprintf(text, sizeof(text), "   %s%d goal%s", goals == CLI_GOALS_MAX ? "the first " : "", goals,
             goals == 1 ? "" : "s");
    room -= cli_width(text) + 11 + (failing ? 12 : 0);
    gs_buf_init(&name, 1024);
    cli_put_cell(&name, cli_get(t->org, 0, "name"),
                 cli_width(cli_get(t->org, 0, "name")) < room ? cli_width(cli_get(t->org, 0, "name")) : room, false);
    room -= cli_width(gs_buf_str(&name));
    cli_put_colour(b, CLI_BOLD, gs_buf_str(&name));
    gs_buf_done(&name);
    cli_put_colour(b, CLI_DIM, text);
    snprintf(text, sizeof(text), ", %d failing", failing);
    cli_put_colour(b, CLI_RED, failing ? text : "");
    snprintf(text, sizeof(text), "   %s%s\n\n", cli_get(t->org, 0, "clock"), cli_width(note) <= room ? note : "");
    cli_put_colour(b, CLI_DIM, text);
}

static void print_once(const struct cli_tree *t, const char *note)
{
    struct gs_buf b;
    int columns, rows;

    cli_terminal_size(&columns, &rows);
    gs_buf_init(&b, CLI_OUT_MAX);
    put_title(t, note, columns, &b);
    cli_tree_put(t, columns, 0, &b);
    cli_print_buf(&b);
}

/* As much of it as a line holds. */
static void put_cut(struct gs_buf *b, const char *text, int columns)
{
    struct gs_buf line;

    gs_buf_init(&line, SCREEN_MAX);
    cli_put_cell(&line, text, cli_width(text) < columns ? cli_width(text) : columns - 1, false);
    cli_put_colour(b, CLI_DIM, gs_buf_str(&line));
    gs_buf_putc(b, '\n');
    gs_buf_done(&line);
}

/* Every line is cleared behind its text, and the rest of the screen below: no flicker, nothing left of what was there.
 */
static void redraw(const struct cli_tree *t, const char *note)
{
    struct gs_buf view, screen;
    int columns, rows, kept = note ? 2 : 0;

    cli_terminal_size(&columns, &rows);
    gs_buf_init(&view, SCREEN_MAX);
    gs_buf_init(&screen, SCREEN_MAX);
    put_title(t, "   Ctrl-C ends", columns, &view);
    cli_tree_put(t, columns, rows > 4 + kept ? rows - 3 - kept : 1, &view);
    if (note && rows > 4 + kept) {
        gs_buf_putc(&view, '\n');
        put_cut(&view, note, columns);
    }
    gs_buf_puts(&screen, "\033[H");
    for (const char *p = gs_buf_str(&view); *p;) {
        size_t len = strcspn(p, "\n");
        gs_buf_append(&screen, p, len);
        gs_buf_puts(&screen, "\033[K\n");
        p += len + (p[len] == '\n');
    }
    gs_buf_puts(&screen, "\033[J");
    cli_print_buf(&screen);
    fflush(stdout);
    gs_buf_done(&view);
}

/* Signals are waited for, so that between two looks the terminal is always put right. */
static void watch_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGWINCH);
    sigprocmask(SIG_BLOCK, ret, NULL);
}

/* False: a signal asks us to end. */
static bool wait_a_moment(const sigset_t *signals)
{
    struct timespec pause = {0, REDRAW_MS * 1000000L};
    int got = sigtimedwait(signals, NULL, &pause);

    return got < 0 || got == SIGWINCH;
}

static void look(const struct cli_tree *t, const char *note, uint64_t *last)
{
    uint64_t now = cli_tree_fingerprint(t);

    if (cli_terminal())
        redraw(t, note);
    else if (now != *last)
        print_once(t, "");
    fflush(stdout);
    *last = now;
}

/* The server went away: the last view stays, and we try again until told to end. */
static bool come_back(struct cli *c, bool first)
{
    if (first)
        printf("%sPostgreSQL cannot be reached; trying again%s", cli_terminal() ? "\033[1;1H" : "",
               cli_terminal() ? "\033[K" : "\n");
    fflush(stdout);
    return cli_db_reopen(c) == CLI_OK;
}

static enum cli_exit watch(struct cli *c)
{
    struct cli_tree t = {0}, next;
    sigset_t signals;
    uint64_t last = 0;
    bool up = true;

    watch_signals(&signals);
    if (cli_terminal())
        printf(SCREEN_BEGIN);
    do {
        if (!up) {
            up = come_back(c, false);
        } else if (cli_tree_load(c, &next) == CLI_OK) {
            cli_tree_done(&t);
            t = next;
            look(&t, cli_opt(c, "note"), &last);
        } else {
            cli_tree_done(&next);
            up = come_back(c, true);
        }
    } while (wait_a_moment(&signals));
    if (cli_terminal())
        printf(SCREEN_END);
    if (cli_terminal() && t.goals)
        print_once(&t, "");
    cli_tree_done(&t);
    c->code = CLI_OK;
    c->error[0] = '\0';
    return CLI_OK;
}

enum cli_exit cli_goal_list(struct cli *c)
{
    struct cli_tree t;
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc != CLI_OK)
        return rc;
    cli_terminal_init();
    if (cli_has(c, "watch"))
        return c->json ? cli_fail(c, CLI_USAGE,
                                  "--watch is for people; with --json, call `goalsync goal list --json` again")
                       : watch(c);
    rc = cli_tree_load(c, &t);
    if (rc == CLI_OK && c->json)
        rc = cli_print_rows(c, "goals", t.goals, "");
    else if (rc == CLI_OK && PQntuples(t.goals) == 0)
        printf("There is no goal yet; make one with `goalsync goal create`.\n");
    else if (rc == CLI_OK)
        print_once(&t, "");
    cli_tree_done(&t);
    return rc;
}
