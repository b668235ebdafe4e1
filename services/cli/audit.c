/* goalsync audit: reads the audit, and proves that its chain is whole. */
#include "services/cli/db.h"
#include "services/cli/groups.h"
#include "services/cli/out.h"

#include "common/clock.h"
#include "common/str.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* ---- list ---- */

enum { LIST_DEFAULT = 100, LIST_MAX = 100000 };

static const char list_sql[] =
    "SELECT c.seq, a.at, o.name AS organisation, a.actor, a.action, a.target, a.detail FROM audit a "
    "LEFT JOIN audit_chain c ON c.audit_id = a.id LEFT JOIN organisation o ON o.id = a.org_id "
    "WHERE ($1::bigint IS NULL OR a.org_id = $1) AND ($2::text IS NULL OR starts_with(a.action, $2)) "
    "AND ($3::text IS NULL OR a.actor = $3) AND ($4::text IS NULL OR a.target = $4) "
    "AND ($5::timestamptz IS NULL OR a.at >= $5) AND ($6::timestamptz IS NULL OR a.at < $6) "
    "ORDER BY a.at DESC, a.id DESC LIMIT $7";

static enum cli_exit check_time(struct cli *c, const char *name)
{
    const char *text = cli_opt(c, name);
    int64_t us;

    if (!text || gs_time_parse(text, &us))
        return CLI_OK;
    return cli_fail(c, CLI_USAGE, "--%s is \"%s\"; it must be an instant such as 2026-11-23T16:00:00Z", name, text);
}

static enum cli_exit run_list(struct cli *c)
{
    char limit[CLI_ID_TEXT];
    int64_t n;
    enum cli_exit rc = cli_opt_int(c, "limit", (struct cli_range){LIST_DEFAULT, 1, LIST_MAX}, &n);

    if (rc == CLI_OK)
        rc = check_time(c, "from");
    if (rc == CLI_OK)
        rc = check_time(c, "to");
    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK && cli_has(c, "org"))
        rc = cli_org(c);
    if (rc != CLI_OK)
        return rc;
    snprintf(limit, sizeof(limit), "%lld", (long long)n);
    CLI_AUTO_RESULT r = cli_query(c, list_sql,
                                  CLI_WITH(cli_has(c, "org") ? c->org : NULL, cli_opt(c, "action"), cli_opt(c, "actor"),
                                           cli_opt(c, "target"), cli_opt(c, "from"), cli_opt(c, "to"), limit));
    return r ? cli_print_rows(c, "audit", r, "There is nothing of that in the audit.") : c->code;
}

/* ---- verify ---- */

enum { HASH_BYTES = 32, HASH_TEXT = 2 * HASH_BYTES + 1 };

struct chain {
    int64_t seq;                    /* of the link before; 0: none */
    unsigned char hash[HASH_BYTES]; /* its hash */
    char hash_text[HASH_TEXT];
    int64_t expect_seq; /* 0: none is expected */
    char expect[HASH_TEXT];
    bool met;
};

/* "12:ab34...", as this command printed it before. */
static enum cli_exit read_expect(struct cli *c, struct chain *chain)
{
    const char *text = cli_opt(c, "expect"), *colon = text ? strchr(text, ':') : NULL;
    char seq[CLI_ID_TEXT];

    if (!text)
        return CLI_OK;
    if (colon && (size_t)(colon - text) < sizeof(seq) && strlen(colon + 1) == HASH_TEXT - 1 &&
        strspn(colon + 1, "0123456789abcdef") == HASH_TEXT - 1) {
        snprintf(seq, sizeof(seq), "%.*s", (int)(colon - text), text);
        snprintf(chain->expect, sizeof(chain->expect), "%s", colon + 1);
        if (gs_parse_int(seq, 0, INT64_MAX, &chain->expect_seq))
            return CLI_OK;
    }
    return cli_fail(c, CLI_USAGE,
                    "--expect is \"%s\"; it must be the number and hash that this command printed earlier, as "
                    "NUMBER:HASH",
                    text);
}

/* What audit_append() hashed, made anew here and not by a function of the database that could have been replaced. */
static const char batch_sql[] =
    "SELECT c.seq, c.audit_id, encode(c.hash, 'hex') AS hash, a.id IS NULL AS gone, jsonb_build_array(a.id, "
    "(extract(epoch FROM a.at) * 1000000)::bigint, a.org_id, a.actor, a.action, a.target, a.detail)::text AS said "
    "FROM audit_chain c LEFT JOIN audit a ON a.id = c.audit_id WHERE c.seq > $1 ORDER BY c.seq LIMIT 5000";

static void extend(struct chain *chain, const char *said)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) && EVP_DigestUpdate(md, chain->hash, HASH_BYTES) &&
              EVP_DigestUpdate(md, said, strlen(said)) && EVP_DigestFinal_ex(md, chain->hash, NULL);

    EVP_MD_CTX_free(md);
    if (!ok)
        memset(chain->hash, 0, HASH_BYTES); /* matches nothing that is stored */
    gs_hex_encode(chain->hash, HASH_BYTES, chain->hash_text);
}

static enum cli_exit check_link(struct cli *c, struct chain *chain, const PGresult *r, int row)
{
    long long seq = cli_get_int(r, row, "seq"), id = cli_get_int(r, row, "audit_id");

    if (seq != chain->seq + 1)
        return cli_fail(c, CLI_ATTENTION, "number %lld of the audit is missing: after %lld comes %lld",
                        (long long)chain->seq + 1, (long long)chain->seq, seq);
    if (cli_get_bool(r, row, "gone"))
        return cli_fail(c, CLI_ATTENTION, "row %lld of the audit, number %lld, is gone", id, seq);
    extend(chain, cli_get(r, row, "said"));
    chain->seq = seq;
    if (!gs_str_eq(chain->hash_text, cli_get(r, row, "hash")))
        return cli_fail(c, CLI_ATTENTION,
                        "row %lld of the audit, number %lld, was changed, or its hash was: the row with what is before "
                        "it gives another hash than the chain holds",
                        id, seq);
    if (seq == chain->expect_seq) {
        chain->met = gs_str_eq(chain->hash_text, chain->expect);
        if (!chain->met)
            return cli_fail(c, CLI_ATTENTION,
                            "number %lld of the audit has another hash than expected: it, or something before it, was "
                            "changed and the chain made anew",
                            seq);
    }
    return CLI_OK;
}

static enum cli_exit walk(struct cli *c, struct chain *chain)
{
    for (;;) {
        char after[CLI_ID_TEXT];

        snprintf(after, sizeof(after), "%lld", (long long)chain->seq);
        CLI_AUTO_RESULT r = cli_query(c, batch_sql, CLI_WITH(after));
        if (!r || PQntuples(r) == 0)
            return c->code;
        for (int i = 0; i < PQntuples(r); i++)
            if (check_link(c, chain, r, i) != CLI_OK)
                return c->code;
    }
}

static enum cli_exit check_outside(struct cli *c)
{
    CLI_AUTO_RESULT r = cli_query(
        c,
        "SELECT a.id FROM audit a LEFT JOIN audit_chain c ON c.audit_id = a.id WHERE c.seq IS NULL ORDER BY 1 LIMIT 1",
        CLI_NO_PARAMS);

    if (r && PQntuples(r) > 0)
        return cli_fail(c, CLI_ATTENTION, "row %s of the audit stands outside the chain: it was put there past it",
                        PQgetvalue(r, 0, 0));
    return c->code;
}

static enum cli_exit check_all(struct cli *c, struct chain *chain)
{
    enum cli_exit rc = walk(c, chain);

    if (rc == CLI_OK && chain->seq < chain->expect_seq)
        return cli_fail(c, CLI_ATTENTION, "the audit ends at number %lld, and had %lld once: its end was taken away",
                        (long long)chain->seq, (long long)chain->expect_seq);
    return rc == CLI_OK ? check_outside(c) : rc;
}

static enum cli_exit run_verify(struct cli *c)
{
    struct chain chain = {0};
    enum cli_exit rc = read_expect(c, &chain);

    memset(chain.hash_text, '0', HASH_TEXT - 1);
    if (rc == CLI_OK)
        rc = cli_db_open(c);
    if (rc == CLI_OK)
        rc = cli_begin(c);
    /* One picture of both tables, however long the walk takes and whatever is added meanwhile. */
    if (rc == CLI_OK)
        rc = cli_exec(c, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", CLI_NO_PARAMS);
    if (rc == CLI_OK)
        rc = cli_exec(c, "SET LOCAL statement_timeout = 0", CLI_NO_PARAMS);
    if (rc == CLI_OK)
        rc = check_all(c, &chain);
    if (rc == CLI_OK)
        rc = cli_commit(c);
    if (rc != CLI_OK)
        return rc;
    if (c->json)
        printf("{\"rows\":%lld,\"head\":\"%lld:%s\"}\n", (long long)chain.seq, (long long)chain.seq, chain.hash_text);
    else
        printf("The audit is whole: %lld rows. Keep this elsewhere; later, --expect proves that nothing up to here was "
               "changed:\n  %lld:%s\n",
               (long long)chain.seq, (long long)chain.seq, chain.hash_text);
    return CLI_OK;
}

static const struct cli_option list_options[] = {
    {"org", "ORG", "of this organisation only", 0},
    {"action", "PREFIX", "whose action begins so: connection, connection.created", 0},
    {"actor", "ACTOR", "by whom: person:ID, operator:NAME, service:NAME", 0},
    {"target", "TARGET", "about what: connection:ID", 0},
    {"from", "TIME", "not before: 2026-11-23T16:00:00Z", 0},
    {"to", "TIME", "before", 0},
    {"limit", "N", "how many, the newest first; default 100", 0},
    {0},
};

static const struct cli_option verify_options[] = {
    {"expect", "NUMBER:HASH", "what this command printed earlier: it must still be part of the chain", 0},
    {0},
};

const struct cli_command cli_audit_commands[] = {
    {"list", "", "Shows who did what, the newest first", list_options,
     "  goalsync audit list --action connection --from 2026-11-01T00:00:00Z\n", run_list},
    {"verify", "", "Checks every row against the chain; exit code 6 names the first that is broken", verify_options,
     "  goalsync audit verify --expect 1201:5be0...\n", run_verify},
    {0},
};
