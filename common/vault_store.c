/* Finds, opens and makes data keys in the database. */
#include "common/vault_store.h"

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <string.h>

#define DATA_KEY_NAME "dk"

static inline void clearp(PGresult **r)
{
    PQclear(*r);
}
#define AUTO_RESULT GS_AUTO(clearp) PGresult *

static PGresult *ask(const struct gs_vault_db *db, const char *sql, const char *a, const char *b)
{
    return db->query(db->arg, sql, 2, (const char *const[]){a, b});
}

static char *bytea_text(const void *data, size_t len)
{
    char *text = gs_alloc(2 * len + 3);

    memcpy(text, "\\x", 2);
    gs_hex_encode(data, len, text + 2);
    return text;
}

static enum gs_rc make_key(const struct gs_vault_db *db, const struct gs_keyring *ring, const char *org,
                           const char *category, struct gs_data_key *ret, struct gs_err *err)
{
    unsigned char sealed[GS_KEY_BYTES + GS_SEAL_OVERHEAD];
    char name[GS_KEY_ID_MAX + 1];
    size_t len;

    /* Two steps: the row's id is part of what is sealed. */
    AUTO_RESULT row = ask(db, "INSERT INTO data_key (org_id, category) VALUES ($1, $2) RETURNING id", org, category);
    if (!row)
        return GS_RETRY;
    snprintf(name, sizeof name, DATA_KEY_NAME "%s", PQgetvalue(row, 0, 0));
    if (gs_data_key_new(name, ret, err) != GS_OK || gs_data_key_seal(ring, ret, sealed, &len, err) != GS_OK)
        return GS_FATAL;
    GS_AUTO(gs_freep) char *text = bytea_text(sealed, len);
    AUTO_RESULT kept = ask(db, "UPDATE data_key SET sealed = $2 WHERE id = $1", PQgetvalue(row, 0, 0), text);
    return kept ? GS_OK : GS_RETRY;
}

static enum gs_rc open_key(const struct gs_keyring *ring, const PGresult *row, struct gs_data_key *ret,
                           struct gs_err *err)
{
    char name[GS_KEY_ID_MAX + 1];
    struct gs_err why;
    size_t len;
    enum gs_rc rc;
    unsigned char *sealed = PQunescapeBytea((const unsigned char *)PQgetvalue(row, 0, 1), &len);

    snprintf(name, sizeof name, DATA_KEY_NAME "%s", PQgetvalue(row, 0, 0));
    rc = gs_data_key_open(ring, name, sealed, len, ret, &why);
    PQfreemem(sealed);
    return rc == GS_OK ? GS_OK
                       : gs_fail(err, GS_REJECT, "the organisation's data key cannot be opened: %.300s", why.text);
}

enum gs_rc gs_data_key_load(const struct gs_vault_db *db, const struct gs_keyring *ring, const char *org,
                            enum gs_category category, struct gs_data_key *ret, struct gs_err *err)
{
    const char *name = gs_category_name(category);

    /* Two first secrets at once must not make two keys. */
    AUTO_RESULT lock =
        ask(db, "SELECT pg_advisory_xact_lock(hashtextextended('data_key:' || $2::text, $1::bigint))", org, name);
    if (!lock)
        return GS_RETRY;
    AUTO_RESULT row = ask(db,
                          "SELECT id, sealed FROM data_key WHERE org_id = $1 AND category = $2 AND sealed IS NOT NULL "
                          "ORDER BY id DESC LIMIT 1",
                          org, name);
    if (!row)
        return GS_RETRY;
    return PQntuples(row) ? open_key(ring, row, ret, err) : make_key(db, ring, org, name, ret, err);
}

char *gs_secret_seal_text(const struct gs_data_key *d, const char *place, const void *src, size_t len,
                          struct gs_err *err)
{
    GS_AUTO(gs_freep) unsigned char *sealed = gs_alloc(len + GS_SEAL_OVERHEAD);
    size_t sealed_len;

    return gs_secret_seal(d, place, src, len, sealed, &sealed_len, err) == GS_OK ? bytea_text(sealed, sealed_len)
                                                                                 : NULL;
}
