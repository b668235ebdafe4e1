/* The table of commands, help, and the run of one command. */
#include "services/cli/cli.h"

#include "common/kafka.h"
#include "common/log.h"
#include "common/pg.h"
#include "common/str.h"
#include "common/vault.h"
#include "services/cli/api.h"
#include "services/cli/groups.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct cli_group cli_groups[] = {
    {"migrate", "bring the database's schema to this program's version", cli_migrate_commands},
    {"topics", "create and list the Kafka topics", cli_topics_commands},
    {"org", "organisations", cli_org_commands},
    {"person", "people of an organisation", cli_person_commands},
    {"integration", "what may be connected: tenant policy, terms, switches", cli_integration_commands},
    {"goal", "objectives, key results and projects", cli_goal_commands},
    {"connection", "how a source is reached, with its sealed credential", cli_connection_commands},
    {"link", "which number of a source feeds a goal", cli_link_commands},
    {"sync", "ask sources now instead of at their next slot", cli_sync_commands},
    {"status", "is the fleet healthy: lag, late slots, failing links", cli_status_commands},
    {"audit", "who did what, and the proof that nothing of it was changed", cli_audit_commands},
    {"token", "tokens for the API, where nobody can sign in yet", cli_token_commands},
    {"api", "every operation of the gateway, by its own description", cli_api_commands},
    {0},
};

const struct gs_env *const cli_env[] = {gs_pg_env, gs_kafka_env, NULL};

static const char exit_codes[] = "Exit codes:\n"
                                 "  0  done\n"
                                 "  1  bad usage or configuration\n"
                                 "  2  a server cannot be reached\n"
                                 "  3  not found\n"
                                 "  4  refused by a rule, a permission or a source\n"
                                 "  5  timed out; what was begun may still happen\n"
                                 "  6  status, audit verify: something needs attention\n"
                                 "  7  anything else\n";

enum cli_exit cli_fail(struct cli *c, enum cli_exit code, const char *fmt, ...)
{
    va_list args;

    if (c->code != CLI_OK)
        return c->code;
    c->code = code;
    va_start(args, fmt);
    vsnprintf(c->error, sizeof(c->error), fmt, args);
    va_end(args);
    return code;
}

enum cli_exit cli_fail_err(struct cli *c, const struct gs_err *err)
{
    enum cli_exit code = err->rc == GS_RETRY ? CLI_UNREACHABLE : err->rc == GS_GONE ? CLI_NOT_FOUND : CLI_REFUSED;

    return cli_fail(c, code, "%s", err->text);
}

enum cli_exit cli_settings(struct cli *c, const struct gs_env *const *tables)
{
    struct gs_buf mistakes;
    enum cli_exit rc = CLI_OK;

    gs_buf_init(&mistakes, CLI_ERROR_MAX);
    if (gs_env_read(tables, &mistakes) != GS_OK) {
        while (mistakes.len && mistakes.data[mistakes.len - 1] == '\n')
            mistakes.data[--mistakes.len] = '\0';
        rc = cli_fail(c, CLI_USAGE, "%s; `goalsync --env` lists the settings", gs_buf_str(&mistakes));
    }
    gs_buf_done(&mistakes);
    return rc;
}

static void print_env(void)
{
    const struct gs_env *all[] = {gs_pg_env,
                                  gs_kafka_env,
                                  gs_vault_env[GS_IN_BOUNDARY],
                                  gs_vault_env[GS_CROSS_BOUNDARY],
                                  gs_vault_env[GS_THIRD_PARTY],
                                  cli_api_env,
                                  NULL};

    gs_env_print(all, stdout);
}

/* ---- help ---- */

static void help_all(void)
{
    printf(
        "goalsync keeps goals true: it asks the tools where work happens, and moves progress, status and roll-ups.\n\n"
        "Usage: goalsync COMMAND ...\n\nCommands:\n");
    for (const struct cli_group *g = cli_groups; g->name; g++)
        printf("  %-12s %s\n", g->name, g->help);
    printf("\nEverywhere: --json for machines, --help for details and examples. Also: goalsync help, --version, --env\n"
           "(the settings, which come from the environment).\n\n"
           "goalsync --server URL --token-file FILE COMMAND ... does it through the gateway's API instead, as "
           "`goalsync api`\n"
           "does: the operation of the same name there (goal list: goal_list), with that operation's options.\n\n%s",
           exit_codes);
}

static void help_group(const struct cli_group *g)
{
    printf("goalsync %s: %s\n\nCommands:\n", g->name, g->help);
    for (const struct cli_command *cmd = g->commands; cmd->name; cmd++) {
        char usage[96];
        snprintf(usage, sizeof(usage), "%s %s", cmd->name, cmd->arguments);
        printf("  %-34s %s\n", usage, cmd->help);
    }
    printf("\n`goalsync %s COMMAND --help` shows options and examples.\n", g->name);
}

static void help_option(const struct cli_option *o)
{
    char usage[64];
    const char *open = o->flags & CLI_OPTIONAL_VALUE ? "[=" : " ", *close = o->flags & CLI_OPTIONAL_VALUE ? "]" : "";

    snprintf(usage, sizeof(usage), "--%s%s%s%s", o->name, o->value ? open : "", o->value ? o->value : "",
             o->value ? close : "");
    printf("  %-26s %s%s%s\n", usage, o->help, o->flags & CLI_REQUIRED ? " (required)" : "",
           o->flags & CLI_MANY ? " (may be repeated)" : "");
}

static void help_command(const struct cli *c)
{
    const struct cli_command *cmd = c->command;

    printf("%s.\n\nUsage: goalsync %s%s%s%s%s [options]\n\nOptions:\n", cmd->help, c->group->name,
           cmd->name[0] ? " " : "", cmd->name, cmd->arguments[0] ? " " : "", cmd->arguments);
    for (const struct cli_option *o = cmd->options; o && o->name; o++)
        help_option(o);
    printf("  %-26s %s\n", "--json", "print JSON");
    if (cmd->examples)
        printf("\nExamples:\n%s", cmd->examples);
}

void cli_help(const struct cli *c)
{
    if (c->command)
        help_command(c);
    else if (c->group)
        help_group(c->group);
    else
        help_all();
}

/* ---- the run ---- */

/* An operation of the API: the server knows what it takes. */
static bool explains_itself(const struct cli *c)
{
    return c->command && c->command->options == cli_any_option && c->n_arguments > 0;
}

static enum cli_exit run(struct cli *c, int argc, char **argv)
{
    enum cli_exit rc;

    if (argc == 2 && gs_str_eq(argv[1], "--version")) {
        printf("goalsync %s\n", GOALSYNC_VERSION);
        return CLI_OK;
    }
    if (argc == 2 && gs_str_eq(argv[1], "--env")) {
        print_env();
        return CLI_OK;
    }
    rc = cli_parse(c, argc - 1, argv + 1);
    if (rc == CLI_OK && c->help && !explains_itself(c))
        cli_help(c);
    else if (rc == CLI_OK)
        rc = c->command->run(c);
    return rc;
}

int cli_main(int argc, char **argv)
{
    static struct cli c; /* large */
    enum cli_exit rc;

    gs_log_init("cli", "error");
    rc = run(&c, argc, argv);
    PQfinish(c.db);
    if (c.kafka)
        rd_kafka_destroy(c.kafka);
    if (c.error[0])
        fprintf(stderr, "goalsync: %s\n", c.error);
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) != 0 && rc == CLI_OK) {
        fprintf(stderr, "goalsync: the output could not be written\n");
        rc = CLI_FAILED;
    }
    return (int)rc;
}
