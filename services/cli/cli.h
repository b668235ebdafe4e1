/* The operator's command line: one process runs one command, synchronously, and leaves. A failure ends the process, so
 * an open transaction needs no undoing: the server rolls it back when the connection closes. */
#ifndef CLI_H
#define CLI_H

#include "common/auto.h"
#include "common/buf.h"
#include "common/env.h"
#include "common/rc.h"

#include <librdkafka/rdkafka.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_USAGE = 1,       /* bad usage or configuration */
    CLI_UNREACHABLE = 2, /* a server cannot be reached */
    CLI_NOT_FOUND = 3,
    CLI_REFUSED = 4,   /* by a rule, a permission or a source */
    CLI_TIMEOUT = 5,   /* no answer in time; what was begun may still happen */
    CLI_ATTENTION = 6, /* `status`: something needs a person */
    CLI_FAILED = 7,    /* anything else */
};

enum {
    CLI_OPTIONS_MAX = 128,  /* options on one command line */
    CLI_ARGUMENTS_MAX = 8,  /* arguments that are no options */
    CLI_ERROR_MAX = 4096,   /* bytes of a failure's text */
    CLI_ID_TEXT = 24,       /* an int8 as text */
    CLI_OUT_MAX = 64 << 20, /* bytes one command prints */
};

enum {
    CLI_REQUIRED = 1u,
    CLI_MANY = 2u,           /* may be given several times */
    CLI_OPTIONAL_VALUE = 4u, /* --name or --name=VALUE */
};

struct cli_option {
    const char *name;
    const char *value; /* what stands for the value in the usage; null: a switch */
    const char *help;
    unsigned flags;
};

struct cli;

struct cli_command {
    const char *name;      /* "create"; "" when the group is the command */
    const char *arguments; /* "GOAL [TITLE]": those in brackets may be left out; "" for none */
    const char *help;
    const struct cli_option *options; /* ended by {0}; null: none */
    const char *examples;             /* lines; may be null */
    enum cli_exit (*run)(struct cli *c);
};

struct cli_group {
    const char *name, *help;
    const struct cli_command *commands; /* ended by {0} */
};

struct cli_given {
    const char *name, *value;
};

struct cli {
    const struct cli_group *group;
    const struct cli_command *command;
    struct cli_given given[CLI_OPTIONS_MAX];
    int n_given;
    const char *arguments[CLI_ARGUMENTS_MAX];
    int n_arguments;
    bool json, help;
    const char *server, *token_file; /* --server, --token-file; null when not given */
    char operation[128];             /* the command's name at the server, when one is given */
    PGconn *db;
    rd_kafka_t *kafka;
    char org[CLI_ID_TEXT]; /* chosen by cli_org() */
    enum cli_exit code;
    char error[CLI_ERROR_MAX];
};

/* Keeps the sentence for the one line on stderr and returns code. The first failure counts. */
enum cli_exit cli_fail(struct cli *c, enum cli_exit code, const char *fmt, ...) GS_PRINTF(3, 4);
/* The same from a module's result: RETRY is unreachable, GONE not found, the rest refused. */
enum cli_exit cli_fail_err(struct cli *c, const struct gs_err *err);

/* ---- args.c ---- */

/* Finds the command and reads its options; nothing is carried out. */
enum cli_exit cli_parse(struct cli *c, int argc, char **argv) GS_MUST_CHECK;
const char *cli_arg(const struct cli *c, int i);            /* null when not given */
const char *cli_opt(const struct cli *c, const char *name); /* null when not given; "" for a switch */
bool cli_has(const struct cli *c, const char *name);
/* The i-th value of an option that may be given several times; null after the last. */
const char *cli_opt_at(const struct cli *c, const char *name, int i);

struct cli_range {
    int64_t def, min, max;
};
enum cli_exit cli_opt_int(struct cli *c, const char *name, struct cli_range range, int64_t *ret) GS_MUST_CHECK;
/* One of a space-separated list of words; null when not given. Dashes become underscores. */
enum cli_exit cli_opt_word(struct cli *c, const char *name, const char *words, const char **ret) GS_MUST_CHECK;

/* The options of a command that takes any: what they mean is found out when it runs. A value may be null. */
extern const struct cli_option cli_any_option[];
/* The API's operation of the same meaning as a command; command is "" for a group alone. Sets *ret_alone when the group
 * alone is the command. */
enum cli_exit cli_api_name(struct cli *c, const char *group, const char *command, char *dst, size_t size,
                           bool *ret_alone) GS_MUST_CHECK;

/* ---- command.c ---- */

extern const struct cli_group cli_groups[]; /* ended by {0} */
extern const struct gs_env *const cli_env[];
void cli_help(const struct cli *c); /* of what was chosen: everything, a group or a command */
int cli_main(int argc, char **argv);

/* Reads settings tables (ended by null); every mistake ends up in the failure's text. */
enum cli_exit cli_settings(struct cli *c, const struct gs_env *const *tables) GS_MUST_CHECK;

#endif
