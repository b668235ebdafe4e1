/* Reads a command line by the table of commands. */
#include "services/cli/cli.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/cli/groups.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option *find_option(const struct cli_command *cmd, const char *name, size_t len)
{
    for (const struct cli_option *o = cmd->options; o && o->name; o++)
        if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

/* "goal create", for hints. Static storage: one command line in a process. */
static const char *full_name(const struct cli *c)
{
    static char text[64];

    snprintf(text, sizeof(text), "%s%s%s", c->group->name, c->command->name[0] ? " " : "", c->command->name);
    return text;
}

static bool global_switch(struct cli *c, const char *arg)
{
    if (gs_str_eq(arg, "--json"))
        c->json = true;
    else if (gs_str_eq(arg, "--help") || gs_str_eq(arg, "-h"))
        c->help = true;
    else
        return false;
    return true;
}

static bool takes_any(const struct cli *c)
{
    return c->command && c->command->options == cli_any_option;
}

/* --server and --token-file: before the command, and among the options of one that takes any. GS_GONE: it is neither.
 */
static enum gs_rc global_option(struct cli *c, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **target;
    } options[] = {{"--server", &c->server}, {"--token-file", &c->token_file}};

    for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
        size_t len = strlen(options[k].name);
        const char *rest = argv[*i] + len;
        if (!gs_str_starts(argv[*i], options[k].name) || (*rest && *rest != '='))
            continue;
        *options[k].target = *rest ? rest + 1 : *i + 1 < argc ? argv[++*i] : "";
        if (**options[k].target)
            return GS_OK;
        (void)cli_fail(c, CLI_USAGE, "%s needs a value", options[k].name);
        return GS_REJECT;
    }
    return GS_GONE;
}

/* Whether a value is missing only the option's meaning tells: "--all", "--private" and "--private false" are all right.
 */
static enum cli_exit take_any_option(struct cli *c, int argc, char **argv, int *i)
{
    char *name = argv[*i] + 2, *value = strchr(name, '=');

    if (value)
        *value++ = '\0';
    else if (*i + 1 < argc && !gs_str_starts(argv[*i + 1], "--") && !gs_str_eq(name, "all"))
        value = argv[++*i];
    if (c->n_given == CLI_OPTIONS_MAX)
        return cli_fail(c, CLI_USAGE, "more than %d options are given", CLI_OPTIONS_MAX);
    c->given[c->n_given++] = (struct cli_given){name, value ? value : ""};
    return CLI_OK;
}

static enum cli_exit take_option(struct cli *c, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *o = find_option(c->command, name, len);
    const char *value = equals ? equals + 1 : NULL;

    if (!o && (gs_str_starts(name, "server") || gs_str_starts(name, "token-file")))
        return cli_fail(c, CLI_USAGE, "--%.*s stands before the command: goalsync --server URL --token-file FILE %s",
                        (int)len, name, full_name(c));
    if (!o)
        return cli_fail(c, CLI_USAGE, "%s has no option --%.*s; `goalsync %s --help` lists them", full_name(c),
                        (int)len, name, full_name(c));
    if (!o->value && value)
        return cli_fail(c, CLI_USAGE, "--%s is a switch and takes no value", o->name);
    if (o->value && !value && !(o->flags & CLI_OPTIONAL_VALUE)) {
        if (*i + 1 >= argc)
            return cli_fail(c, CLI_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->value);
        value = argv[++*i];
    }
    if (!(o->flags & CLI_MANY) && cli_has(c, o->name))
        return cli_fail(c, CLI_USAGE, "--%s is given twice", o->name);
    if (c->n_given == CLI_OPTIONS_MAX)
        return cli_fail(c, CLI_USAGE, "more than %d options are given", CLI_OPTIONS_MAX);
    c->given[c->n_given++] = (struct cli_given){o->name, value ? value : ""};
    return CLI_OK;
}

static enum cli_exit take_argument(struct cli *c, const char *arg)
{
    int allowed = takes_any(c) ? CLI_ARGUMENTS_MAX : c->command->arguments[0] ? 1 : 0;

    for (const char *p = c->command->arguments; *p; p++)
        allowed += !takes_any(c) && *p == ' ';
    if (c->n_arguments >= allowed)
        return cli_fail(c, CLI_USAGE, "\"%s\" is one argument too many; usage: goalsync %s %s", arg, full_name(c),
                        c->command->arguments);
    c->arguments[c->n_arguments++] = arg;
    return CLI_OK;
}

static enum cli_exit check_complete(struct cli *c)
{
    const char *p = c->command->arguments;

    for (int i = 0; *p; i++) {
        size_t len = strcspn(p, " ");
        if (i >= c->n_arguments && *p != '[')
            return cli_fail(c, CLI_USAGE, "%.*s is missing; usage: goalsync %s %s", (int)len, p, full_name(c),
                            c->command->arguments);
        p += len + (p[len] == ' ');
    }
    for (const struct cli_option *o = c->command->options; o && o->name; o++) {
        if ((o->flags & CLI_REQUIRED) && !cli_has(c, o->name))
            return cli_fail(c, CLI_USAGE, "--%s %s is missing: %s", o->name, o->value ? o->value : "", o->help);
        if ((o->flags & CLI_REQUIRED) && !*cli_opt(c, o->name))
            return cli_fail(c, CLI_USAGE, "--%s is empty: %s", o->name, o->help);
    }
    return CLI_OK;
}

/* With a server the words name its operation: that of a command of ours, or any other of the same form. */
static int choose_remote(struct cli *c, int argc, char **argv)
{
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
    bool alone;

    if (cli_api_name(c, c->group ? c->group->name : argv[0], command, c->operation, sizeof(c->operation), &alone) !=
        CLI_OK)
        return -1;
    for (const struct cli_group *g = cli_groups; g->name; g++)
        if (g->commands == cli_api_commands)
            c->group = g;
    c->command = cli_api_commands;
    c->arguments[c->n_arguments++] = c->operation;
    return alone ? 1 : 2;
}

/* "goal", and "goals" before a command: that is as easily typed. */
static bool is_group(const struct cli_group *g, const char *word, const char *next)
{
    size_t len = strlen(g->name);

    if (strncmp(g->name, word, len) != 0)
        return false;
    return !word[len] || (gs_str_eq(word + len, "s") && g->commands[0].name[0] && next && next[0] != '-');
}

/* The group, then the command unless the group is one itself. Returns how many words that took, or -1. */
static int choose(struct cli *c, int argc, char **argv)
{
    for (const struct cli_group *g = cli_groups; g->name; g++)
        if (is_group(g, argv[0], argc > 1 ? argv[1] : NULL))
            c->group = g;
    if (c->server && (!c->group || c->group->commands != cli_api_commands))
        return choose_remote(c, argc, argv);
    if (!c->group) {
        (void)cli_fail(c, CLI_USAGE, "there is no command \"%s\"; `goalsync help` lists them", argv[0]);
        return -1;
    }
    if (!c->group->commands[0].name[0]) {
        c->command = &c->group->commands[0];
        return 1;
    }
    if (argc < 2 || global_switch(c, argv[1])) {
        c->help = true;
        return 2;
    }
    for (const struct cli_command *cmd = c->group->commands; cmd->name; cmd++)
        if (gs_str_eq(cmd->name, argv[1]))
            c->command = cmd;
    if (!c->command) {
        (void)cli_fail(c, CLI_USAGE, "%s has no command \"%s\"; `goalsync %s --help` lists them", c->group->name,
                       argv[1], c->group->name);
        return -1;
    }
    return 2;
}

static enum cli_exit take_all(struct cli *c, int argc, char **argv)
{
    bool only_arguments = false;
    enum cli_exit rc = CLI_OK;

    for (int i = 0; i < argc && rc == CLI_OK; i++) {
        if (only_arguments || argv[i][0] != '-' || !argv[i][1])
            rc = take_argument(c, argv[i]);
        else if (gs_str_eq(argv[i], "--"))
            only_arguments = true;
        else if (global_switch(c, argv[i]))
            continue;
        else if (takes_any(c) && global_option(c, argc, argv, &i) != GS_GONE)
            rc = c->code;
        else if (gs_str_starts(argv[i], "--"))
            rc = takes_any(c) ? take_any_option(c, argc, argv, &i) : take_option(c, argc, argv, &i);
        else
            rc = cli_fail(c, CLI_USAGE, "\"%s\" is no option; options begin with two dashes", argv[i]);
    }
    return rc;
}

enum cli_exit cli_parse(struct cli *c, int argc, char **argv)
{
    int used;
    enum cli_exit rc;

    for (int i = 0; argc > 0 && (global_switch(c, argv[0]) || global_option(c, argc, argv, &i) != GS_GONE); i = 0) {
        if (c->code != CLI_OK)
            return c->code;
        argc -= i + 1;
        argv += i + 1;
    }
    if (argc > 0 && gs_str_eq(argv[0], "help")) {
        c->help = true;
        argc--;
        argv++;
    }
    if (argc == 0) {
        c->help = true;
        return CLI_OK;
    }
    used = choose(c, argc, argv);
    if (used < 0)
        return c->code;
    if (!c->command)
        return CLI_OK;
    rc = take_all(c, argc - used, argv + used);
    return rc == CLI_OK && !c->help ? check_complete(c) : rc;
}

const char *cli_arg(const struct cli *c, int i)
{
    return i < c->n_arguments ? c->arguments[i] : NULL;
}

const char *cli_opt_at(const struct cli *c, const char *name, int i)
{
    for (int k = 0; k < c->n_given; k++)
        if (gs_str_eq(c->given[k].name, name) && i-- == 0)
            return c->given[k].value;
    return NULL;
}

const char *cli_opt(const struct cli *c, const char *name)
{
    return cli_opt_at(c, name, 0);
}

bool cli_has(const struct cli *c, const char *name)
{
    return cli_opt(c, name) != NULL;
}

enum cli_exit cli_opt_int(struct cli *c, const char *name, struct cli_range range, int64_t *ret)
{
    const char *text = cli_opt(c, name);

    if (!text || !*text)
        *ret = range.def;
    else if (!gs_parse_int(text, range.min, range.max, ret))
        return cli_fail(c, CLI_USAGE, "--%s is \"%s\"; it must be a whole number from %lld to %lld", name, text,
                        (long long)range.min, (long long)range.max);
    return CLI_OK;
}

/* Names the words as people write them: with dashes, and commas between. */
static enum cli_exit fail_word(struct cli *c, const char *name, const char *text, const char *words)
{
    char list[400];
    size_t len = 0;

    for (const char *p = words; *p && len + 3 < sizeof(list); p++) {
        if (*p == ' ')
            list[len++] = ',';
        list[len++] = *p == '_' ? '-' : *p;
    }
    list[len] = '\0';
    return cli_fail(c, CLI_USAGE, "--%s is \"%s\"; it must be one of: %s", name, text, list);
}

enum cli_exit cli_opt_word(struct cli *c, const char *name, const char *words, const char **ret)
{
    static char kept[8][32]; /* a command has fewer such options */
    static int used;
    const char *text = cli_opt(c, name);
    char *word = kept[used % 8];
    size_t len;

    *ret = NULL;
    if (!text)
        return CLI_OK;
    snprintf(word, sizeof(kept[0]), "%s", text);
    for (char *p = word; *p; p++)
        *p = *p == '-' ? '_' : *p;
    for (const char *p = words; *p; p += len + (p[len] == ' ')) {
        len = strcspn(p, " ");
        if (strlen(word) == len && strncmp(p, word, len) == 0) {
            used++;
            *ret = word;
            return CLI_OK;
        }
    }
    return fail_word(c, name, text, words);
}
