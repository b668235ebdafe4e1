/* goalsync integration: the tenant's policy (allow, deny) and each organisation's switch (enable, disable). */
#include "services/cli/db.h"
#include "services/cli/forms.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include <stdio.h>

/* Integrations are the same for all organisations; which are on is shown of one, where it is clear of which. */
static enum cli_exit find_organisation(struct cli *c)
{
    if (cli_has(c, "org"))
        return cli_org(c);
    CLI_AUTO_RESULT r = cli_query(c, "SELECT id FROM organisation LIMIT 2", CLI_NO_PARAMS);

    if (r && PQntuples(r) == 1)
        snprintf(c->org, sizeof(c->org), "%s", PQgetvalue(r, 0, 0));
    return c->code;
}

/* Machines get the identifier as id and people's word as name, as of everything else. */
static const char list_for_people[] =
    "SELECT k.name AS integration, k.label, replace(k.category, '_', '-') AS category, k.available, ";
static const char list_for_machines[] =
    "SELECT k.name AS id, k.label AS name, k.name AS integration, k.label, replace(k.category, '_', '-') AS category, "
    "k.type, k.available, ";
static const char list_rest[] =
    "tenant_allows(k.name) AS allowed, CASE WHEN x.org IS NOT NULL THEN coalesce(o.enabled, false) END AS enabled, "
    "o.terms_accepted_at, k.terms_url, CASE WHEN x.org IS NOT NULL THEN (SELECT count(*) FROM connection WHERE org_id "
    "= x.org AND connector = k.name) END AS connections "
    "FROM jsonb_to_recordset($1::jsonb) AS k(name text, label text, category text, type text, available boolean, "
    "terms_url text) CROSS JOIN (SELECT nullif($2, '')::bigint) AS x(org) "
    "LEFT JOIN org_integration o ON o.connector = k.name AND o.org_id = x.org ORDER BY lower(k.label)";

static enum cli_exit run_list(struct cli *c)
{
    struct gs_buf catalogue, sql;
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = find_organisation(c);
    if (rc != CLI_OK)
        return rc;
    gs_buf_init(&catalogue, CLI_OUT_MAX);
    gs_buf_init(&sql, CLI_OUT_MAX);
    fetch_catalogue_print_all(&catalogue);
    gs_buf_puts(&sql, c->json ? list_for_machines : list_for_people);
    gs_buf_puts(&sql, list_rest);
    CLI_AUTO_RESULT r = cli_query(c, gs_buf_str(&sql), CLI_WITH(gs_buf_str(&catalogue), c->org));
    gs_buf_done(&catalogue);
    gs_buf_done(&sql);
    return r ? cli_print_rows(c, "integrations", r, "This goalsync was built without any integration.") : c->code;
}

/* One row of `list`'s shape, after a change. */
static enum cli_exit show(struct cli *c, const struct fetch_entry *e, const char *org)
{
    CLI_AUTO_RESULT r = cli_query(c,
                                  "SELECT $1::text AS integration, tenant_allows($1) AS allowed, o.org_id, o.enabled, "
                                  "o.terms_url, o.terms_accepted_at FROM (SELECT) AS one "
                                  "LEFT JOIN org_integration o ON o.connector = $1 AND o.org_id = $2",
                                  CLI_WITH(e->name, org));

    return r ? cli_print_row(c, r) : c->code;
}

static enum cli_exit set_policy(struct cli *c, const char *allowed)
{
    const struct fetch_entry *e = cli_form_connector(c, cli_arg(c, 0));
    enum cli_exit rc;

    if (!e)
        return c->code;
    rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    if (rc == CLI_OK)
        rc = cli_exec(
            c,
            "INSERT INTO integration_policy (connector, allowed) VALUES ($1, $2) ON CONFLICT (connector) DO UPDATE SET "
            "allowed = EXCLUDED.allowed, changed_at = now()",
            CLI_WITH(e->name, allowed));
    if (rc == CLI_OK)
        rc = cli_audit(c, NULL, allowed[0] == 't' ? "integration.allowed" : "integration.denied", "integration",
                       e->name);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? show(c, e, NULL) : rc;
}

static enum cli_exit run_allow(struct cli *c)
{
    return set_policy(c, "true");
}

static enum cli_exit run_deny(struct cli *c)
{
    return set_policy(c, "false");
}

static enum cli_exit set_switch(struct cli *c, const struct fetch_entry *e, bool on)
{
    const char *terms = e->connector->terms_url;
    char person[CLI_ID_TEXT] = "";
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_org(c);
    if (rc == CLI_OK && cli_has(c, "by"))
        rc = cli_find(c, CLI_PERSON, cli_opt(c, "by"), person);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    /* Switching off forgets no acceptance; switching on records a new one. */
    if (rc == CLI_OK)
        rc = cli_exec(
            c,
            "INSERT INTO org_integration AS o (org_id, connector, enabled, terms_url, terms_version, "
            "terms_accepted_at, enabled_by) VALUES ($1, $2, $3::boolean, CASE WHEN $3::boolean THEN $4 END, CASE WHEN "
            "$3::boolean THEN $6 END, CASE WHEN $3::boolean THEN now() END, nullif($5, '')::bigint) "
            "ON CONFLICT (org_id, connector) DO UPDATE SET enabled = EXCLUDED.enabled, "
            "enabled_by = coalesce(EXCLUDED.enabled_by, o.enabled_by), "
            "terms_url = coalesce(EXCLUDED.terms_url, o.terms_url), "
            "terms_version = coalesce(EXCLUDED.terms_version, o.terms_version), "
            "terms_accepted_at = coalesce(EXCLUDED.terms_accepted_at, o.terms_accepted_at)",
            CLI_WITH(c->org, e->name, on ? "true" : "false", terms ? terms : "", person,
                     fetch_terms_version(e->connector)));
    if (rc == CLI_OK && on)
        rc = cli_exec(c,
                      "INSERT INTO terms_acceptance (org_id, connector, person_id, terms_url, terms_version) VALUES "
                      "($1, $2, nullif($3, '')::bigint, $4, $5)",
                      CLI_WITH(c->org, e->name, person, terms ? terms : "", fetch_terms_version(e->connector)));
    if (rc == CLI_OK)
        rc = cli_audit(c, c->org, on ? "integration.enabled" : "integration.disabled", "integration", e->name);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    return rc == CLI_OK ? show(c, e, c->org) : rc;
}

static enum cli_exit run_enable(struct cli *c)
{
    const struct fetch_entry *e = cli_form_connector(c, cli_arg(c, 0));

    if (!e)
        return c->code;
    if (!cli_has(c, "accept-terms"))
        return cli_fail(
            c, CLI_REFUSED,
            "%s is used under its owner's terms, %s; read them, then add --accept-terms, which records that the "
            "organisation accepts them",
            e->connector->label, e->connector->terms_url ? e->connector->terms_url : "(no address known)");
    return set_switch(c, e, true);
}

static enum cli_exit run_disable(struct cli *c)
{
    const struct fetch_entry *e = cli_form_connector(c, cli_arg(c, 0));

    return e ? set_switch(c, e, false) : c->code;
}

static const struct cli_option org_options[] = {
    {"org", "ORG", "id or name; may be left out when there is only one", 0},
    {0},
};
static const struct cli_option enable_options[] = {
    {"org", "ORG", "id or name; may be left out when there is only one", 0},
    {"by", "EMAIL", "the person who accepts", 0},
    {"accept-terms", NULL, "the organisation accepts the owner's terms", 0},
    {0},
};

const struct cli_command cli_integration_commands[] = {
    {"list", "", "Lists the integrations with their switches", org_options, NULL, run_list},
    {"allow", "INTEGRATION", "Lets every organisation of this installation use it", NULL, NULL, run_allow},
    {"deny", "INTEGRATION", "Stops it in every organisation at once; nothing is deleted", NULL,
     "  goalsync integration deny github\n", run_deny},
    {"enable", "INTEGRATION", "Switches it on in an organisation", enable_options,
     "  goalsync integration enable postgresql --org Acme --accept-terms\n", run_enable},
    {"disable", "INTEGRATION", "Switches it off in an organisation: fetching stops at once", org_options, NULL,
     run_disable},
    {0},
};
