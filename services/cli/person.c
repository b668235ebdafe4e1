/* goalsync person: people of an organisation. */
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <string.h>

static enum cli_exit run_add(struct cli *c)
{
    const char *email = cli_opt(c, "email"), *name = cli_opt(c, "name"), *role;
    char id[CLI_ID_TEXT];
    enum cli_exit rc = cli_opt_word(c, "role", "owner admin member", &role);

    if (rc == CLI_OK && (!strchr(email, '@') || strpbrk(email, " \t\n")))
        rc = cli_fail(c, CLI_USAGE, "--email is \"%s\"; it must be an address like ada@acme.example", email);
    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT same =
        cli_query(c, "SELECT id FROM person WHERE org_id = $1 AND lower(email) = lower($2)", CLI_WITH(c->org, email));
    if (!same)
        return c->code;
    if (PQntuples(same) > 0)
        return cli_fail(c, CLI_REFUSED, "%s is a person of this organisation already, with id %s", email,
                        PQgetvalue(same, 0, 0));
    CLI_AUTO_RESULT r = cli_query(c,
                                  "INSERT INTO person (org_id, email, name, role) VALUES ($1, $2, coalesce($3, $2), "
                                  "coalesce($4::org_role, 'member')) RETURNING id",
                                  CLI_WITH(c->org, email, name, role));
    if (!r)
        return c->code;
    snprintf(id, sizeof(id), "%s", PQgetvalue(r, 0, 0));
    rc = cli_audit(c, c->org, "person.added", "person", id);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? cli_show(c, "person",
                                   "SELECT id, org_id, email, name, role::text AS role FROM person WHERE id = $1", id)
                        : rc;
}

static enum cli_exit run_list(struct cli *c)
{
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc != CLI_OK)
        return rc;
    CLI_AUTO_RESULT r =
        cli_query(c,
                  "SELECT p.id, p.email, p.name, p.role::text AS role, (SELECT count(*) FROM goal WHERE owner_id "
                  "= p.id) AS goals FROM person p WHERE p.org_id = $1 ORDER BY p.id",
                  CLI_WITH(c->org));
    return r ? cli_print_rows(c, "people", r,
                              "There is nobody yet; add someone with `goalsync person add --email EMAIL`.")
             : c->code;
}

static const struct cli_option add_options[] = {
    {"org", "ORG", "id or name; may be left out when there is only one", 0},
    {"email", "EMAIL", "the address they sign in with", CLI_REQUIRED},
    {"name", "NAME", "as shown to others; default the address", 0},
    {"role", "ROLE", "owner, admin or member (default)", 0},
    {0},
};
static const struct cli_option list_options[] = {
    {"org", "ORG", "id or name; may be left out when there is only one", 0},
    {0},
};

const struct cli_command cli_person_commands[] = {
    {"add", "", "Adds a person", add_options,
     "  goalsync person add --email ada@acme.example --name \"Ada Byron\" --role admin\n", run_add},
    {"list", "", "Lists the people of an organisation", list_options, NULL, run_list},
    {0},
};
