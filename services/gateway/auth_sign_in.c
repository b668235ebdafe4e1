/* Browsers that come back from the sign-in service: the code they bring is exchanged for an ID token, the token is
 * judged, and a session is made. It waits for the network, so threads of its own do it. */
#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pg.h"
#include "common/str.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"
#include "services/gateway/settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_MAX     16384
#define STATEMENT_MS 10000
#define CALLBACK     "/auth/callback"
#define ANSWER_DEPTH 32

struct gw_sign_in {
    atomic_int refs; /* the call's, and ours while it is queued or worked on */
    struct gw_sign_in *next;
    struct gw_call *call;
    char *code, *verifier, *nonce, *return_to, *old_session;
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t some;
    struct gw_sign_in *first, *last;
    int n;
    bool running, stopping;
    pthread_t threads[GW_SIGN_IN_THREADS];
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};

struct gw_sign_in *gw_sign_in_new(const char *code, const char *verifier, const char *nonce, const char *return_to,
                                  const char *old_session)
{
    struct gw_sign_in *s = gs_alloc(sizeof(*s));

    atomic_init(&s->refs, 1);
    s->code = gs_strdup(code);
    s->verifier = gs_strdup(verifier);
    s->nonce = gs_strdup(nonce);
    s->return_to = gs_strdup(return_to);
    s->old_session = gs_strdup(old_session ? old_session : "");
    return s;
}

void gw_sign_in_free(void *sign_in)
{
    struct gw_sign_in *s = sign_in;

    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    gs_free_secret(s->code, strlen(s->code));
    gs_free_secret(s->verifier, strlen(s->verifier));
    gs_free_secret(s->old_session, strlen(s->old_session));
    free(s->nonce);
    free(s->return_to);
    free(s);
}

void gw_public_url(struct gs_buf *b)
{
    size_t len = strlen(gw_settings.public_url);

    while (len > 0 && gw_settings.public_url[len - 1] == '/')
        len--;
    gs_buf_append(b, gw_settings.public_url, len);
}

void gw_redirect_uri(struct gs_buf *b)
{
    gw_public_url(b);
    gs_buf_puts(b, CALLBACK);
}

/* ---- the exchange (RFC 6749 section 4.1.3, RFC 7636) ---- */

struct answer {
    struct gs_json *json;
    const char *id_token, *access_token; /* borrowed; the latter may be null */
};

static void answer_done(struct answer *a)
{
    gs_json_free(a->json);
}

static void buf_wipe(struct gs_buf *b)
{
    if (b->len > 0)
        gs_wipe(b->data, b->len);
    gs_buf_done(b);
}

static void put_form(struct gs_buf *form, const struct gw_sign_in *s, bool client_in_body)
{
    GS_AUTO(gs_buf_done) struct gs_buf uri;

    gs_buf_init(&uri, GW_ISSUER_URL_MAX);
    gw_redirect_uri(&uri);
    gw_form_add(form, "grant_type", "authorization_code");
    gw_form_add(form, "code", s->code);
    gw_form_add(form, "redirect_uri", gs_buf_str(&uri));
    gw_form_add(form, "code_verifier", s->verifier);
    if (client_in_body)
        gw_form_add(form, "client_id", gw_auth_settings.client_id);
    if (client_in_body && *gw_auth_settings.client_secret)
        gw_form_add(form, "client_secret", gw_auth_settings.client_secret);
}

/* The issuer's own word for what is wrong ("invalid_grant"), not its prose. */
static enum gs_rc refused(long status, struct gs_json *j, struct gs_err *err)
{
    const char *error = gw_claim_text(j, "error");
    char clean[64];

    if (status >= 500 || !error)
        return gs_fail(err, GS_RETRY, "the sign-in service answered %ld to the code it gave", status);
    return gs_fail(err, strcmp(error, "invalid_client") == 0 ? GS_FATAL : GS_DENIED,
                   "the sign-in service refused the code it gave: %s",
                   gs_str_clean(clean, sizeof(clean), error, strlen(error)));
}

static enum gs_rc read_answer(long status, const struct gs_buf *body, struct answer *a, struct gs_err *err)
{
    struct gs_err why;

    a->json = gs_json_new(GW_ISSUER_ANSWER_MAX, ANSWER_DEPTH);
    if (gs_json_parse(a->json, gs_buf_str(body), body->len, &why) != GS_OK)
        return gs_fail(err, GS_RETRY, "the sign-in service answered %ld to the code it gave, and not in JSON", status);
    if (status != 200)
        return refused(status, a->json, err);
    a->id_token = gw_claim_text(a->json, "id_token");
    a->access_token = gw_claim_text(a->json, "access_token");
    if (!a->id_token)
        return gs_fail(err, GS_DENIED, "the sign-in service gave no ID token; does GOALSYNC_OIDC_SCOPES have openid?");
    return GS_OK;
}

static enum gs_rc exchange_by(const struct gw_sign_in *s, const char *url, bool basic, struct answer *a,
                              struct gs_err *err)
{
    GS_AUTO(buf_wipe) struct gs_buf form, body, user, password;
    struct gw_fetch f = {.url = url};
    long status = 0;
    enum gs_rc rc;

    gs_buf_init(&form, FORM_MAX);
    gs_buf_init(&body, GW_ISSUER_ANSWER_MAX);
    gs_buf_init(&user, FORM_MAX);
    gs_buf_init(&password, FORM_MAX);
    put_form(&form, s, !basic);
    if (form.overflow)
        return gs_fail(err, GS_REJECT, "the code is longer than codes are");
    f.form = gs_buf_str(&form);
    if (basic) { /* RFC 6749 section 2.3.1: each is encoded as in a form first */
        gw_percent_encode(&user, gw_auth_settings.client_id);
        gw_percent_encode(&password, gw_auth_settings.client_secret);
        f.user = gs_buf_str(&user);
        f.password = gs_buf_str(&password);
    }
    rc = gw_fetch(&f, &body, &status, err);
    return rc == GS_OK ? read_answer(status, &body, a, err) : rc;
}

/* A service may take each client's secret in one way only and say so nowhere; a client that it does not know has not
 * used up the code. */
static enum gs_rc exchange(const struct gw_sign_in *s, const struct gw_issuer *issuer, struct answer *a,
                           struct gs_err *err)
{
    bool basic = *gw_auth_settings.client_secret && !issuer->takes_post;
    enum gs_rc rc = exchange_by(s, issuer->token, basic, a, err);

    if (rc != GS_FATAL || !basic)
        return rc;
    a->json = gs_json_free(a->json);
    return exchange_by(s, issuer->token, false, a, err);
}

/* ---- who it is ---- */

static enum gs_rc judge(const struct gw_sign_in *s, const char *id_token, struct gw_jwt **ret, struct gs_err *err)
{
    const struct gw_jwt_expect expect = {.issuer = gw_auth_settings.issuer,
                                         .audience = gw_auth_settings.client_id,
                                         .nonce = s->nonce,
                                         .now_s = gs_now_us() / 1000000};
    enum gs_rc rc = gw_jwt_parse(id_token, strlen(id_token), ret, err);

    if (rc == GS_OK)
        rc = gw_jwt_judge(*ret, &expect, err);
    return rc == GS_OK ? gw_issuer_verify(*ret, err) : rc;
}

/* Claims about a person may come from the userinfo endpoint only (OpenID Connect Core, section 5.4). It is asked when
 * the ID token does not tell the address; a failure leaves the sign-in without one. */
static enum gs_rc ask_userinfo(const struct gw_issuer *issuer, const struct answer *a, struct gs_json *id_claims,
                               struct gs_json *ret)
{
    GS_AUTO(buf_wipe) struct gs_buf body;
    struct gw_fetch f = {.url = issuer->userinfo, .bearer = a->access_token};
    struct gs_err err;
    long status = 0;

    gs_buf_init(&body, GW_ISSUER_ANSWER_MAX);
    if (!*issuer->userinfo || !a->access_token || gw_fetch(&f, &body, &status, &err) != GS_OK || status != 200 ||
        gs_json_parse(ret, gs_buf_str(&body), body.len, &err) != GS_OK)
        return GS_GONE;
    /* An answer about somebody else is no answer (section 5.3.4). */
    return gs_str_eq(gw_claim_text(ret, "sub"), gw_claim_text(id_claims, "sub")) ? GS_OK : GS_GONE;
}

static void json_freep(struct gs_json **j)
{
    gs_json_free(*j);
}

/* What the ID token says comes first. */
static void complete(struct gw_identity *who, struct gs_json *more)
{
    struct gw_identity other;
    struct gs_err err;

    if (gw_claim_type(more, gw_auth_settings.subject_claim) == GS_JSON_MISSING ||
        gw_identity_of(more, &other, &err) != GS_OK)
        return;
    who->name = who->name ? who->name : other.name;
    who->email = who->email ? who->email : other.email;
    who->tenant_admin |= other.tenant_admin;
}

/* ---- the session ---- */

static const char session_sql[] =
    "WITH old AS (DELETE FROM session WHERE id_hash = $5::bytea), "
    "made AS (INSERT INTO session (id_hash, account_id, idle, expires_at) "
    "VALUES ($1::bytea, $2::bigint, make_interval(secs => $3::bigint), now() + make_interval(secs => $4::bigint))) "
    "INSERT INTO audit (actor, action, target) "
    "SELECT 'account:' || public_id, 'account.signed_in', 'account:' || public_id FROM account WHERE id = $2::bigint";

static void hash_text(const char *value, char dst[GW_BYTEA_TEXT])
{
    unsigned char hash[32];

    gw_sha256(value, hash);
    gw_bytea(hash, dst);
}

static enum gs_rc database_failed(struct gs_db *db, struct gs_err *err)
{
    const struct gs_log_ctx ctx = {.topic = "auth"};

    gs_log_warn(&ctx, "a session cannot be stored", "state=%s error=\"%s\"", gs_db_error(db)->state,
                gs_db_error(db)->text);
    return gs_fail(err, GS_RETRY, "the session cannot be stored");
}

static enum gs_rc make_session(struct gs_db *db, const struct gw_identity *who, const char *old_session,
                               const char *value, struct gs_err *err)
{
    char hash[GW_BYTEA_TEXT], old[GW_BYTEA_TEXT], id[GS_INT_TEXT], idle[GS_INT_TEXT], max[GS_INT_TEXT];
    int64_t account;
    enum gs_rc rc;

    if (!gs_db_begin(db))
        return database_failed(db, err);
    rc = gw_account_of(db, who, &account, err);
    if (rc == GS_OK) {
        hash_text(value, hash);
        hash_text(old_session, old);
        gs_int_format(account, id);
        gs_int_format(gw_auth_settings.session_idle_us / 1000000, idle);
        gs_int_format(gw_auth_settings.session_max_us / 1000000, max);
        if (!gs_db_exec(db, session_sql, GS_WITH(hash, id, idle, max, *old_session ? old : NULL)) || !gs_db_commit(db))
            rc = database_failed(db, err);
    }
    if (rc != GS_OK)
        gs_db_rollback(db);
    return rc;
}

static enum gs_rc sign_in(struct gs_db *db, const struct gw_sign_in *s, const char *session, struct gs_err *err)
{
    GS_AUTO(answer_done) struct answer a = {0};
    GS_AUTO(gw_jwt_freep) struct gw_jwt *token = NULL;
    GS_AUTO(json_freep) struct gs_json *more = gs_json_new(GW_ISSUER_ANSWER_MAX, ANSWER_DEPTH);
    struct gw_issuer issuer;
    struct gw_identity who;
    enum gs_rc rc = gw_issuer_get(&issuer, err);

    if (rc == GS_OK)
        rc = exchange(s, &issuer, &a, err);
    if (rc == GS_OK)
        rc = judge(s, a.id_token, &token, err);
    if (rc == GS_OK)
        rc = gw_identity_of(gw_jwt_claims(token), &who, err);
    if (rc != GS_OK)
        return rc;
    if (!who.email && ask_userinfo(&issuer, &a, gw_jwt_claims(token), more) == GS_OK)
        complete(&who, more);
    return make_session(db, &who, s->old_session, session, err);
}

/* ---- the threads ---- */

static int answer_problem(struct gw_call *c, const struct gs_err *err)
{
    if (err->rc == GS_RETRY)
        return gw_fail(c, 503, "sign-in-unavailable", "%s; sign in again in a moment", err->text);
    if (err->rc == GS_FATAL)
        return gw_fail(c, 500, "sign-in-misconfigured", "%s; the operator must look at the settings", err->text);
    return gw_fail(c, 403, "sign-in-refused", "%s; sign in again", err->text);
}

static void work_on(struct gs_db *db, struct gw_sign_in *s)
{
    struct gw_call *c = s->call;
    char session[GW_RANDOM_TEXT];
    GS_AUTO(gs_buf_done) struct gs_buf cookie;
    struct gs_err err = {0};
    int status;

    gw_random_text(session);
    gs_buf_init(&cookie, 1024);
    if (sign_in(db, s, session, &err) == GS_OK) {
        gw_cookie_format(&cookie, gw_session_cookie(), session, gw_auth_settings.session_max_us / 1000000);
        gw_header_set(c, "Set-Cookie", gs_buf_str(&cookie));
        gw_header_set(c, "Location", s->return_to);
        status = gw_answer_text(c, 303, "text/plain; charset=utf-8", "", 0);
    } else {
        status = answer_problem(c, &err);
    }
    gw_finish(c, status);
    gs_wipe(session, sizeof(session));
}

/* Runs on: a sign-in thread. */
static void *run(void *arg)
{
    struct gs_db *db = gs_db_new(gs_pg_url(), "goalsync-gateway", STATEMENT_MS);

    (void)arg;
    pthread_mutex_lock(&queue.mutex);
    while (!queue.stopping || queue.first) {
        struct gw_sign_in *s = queue.first;

        if (!s) {
            pthread_cond_wait(&queue.some, &queue.mutex);
            continue;
        }
        queue.first = s->next;
        queue.n--;
        pthread_mutex_unlock(&queue.mutex);
        work_on(db, s);
        gw_sign_in_free(s);
        pthread_mutex_lock(&queue.mutex);
    }
    pthread_mutex_unlock(&queue.mutex);
    gs_db_free(db);
    return NULL;
}

/* Runs on: the loop's thread. */
void gw_sign_in_start(void *sign_in, struct gw_call *c)
{
    struct gw_sign_in *s = sign_in;
    bool taken;

    pthread_mutex_lock(&queue.mutex);
    taken = queue.running && !queue.stopping && queue.n < GW_SIGN_IN_QUEUE;
    if (taken) {
        atomic_fetch_add(&s->refs, 1);
        s->call = c;
        s->next = NULL;
        if (queue.first)
            queue.last->next = s;
        else
            queue.first = s;
        queue.last = s;
        queue.n++;
        pthread_cond_signal(&queue.some);
    }
    pthread_mutex_unlock(&queue.mutex);
    if (!taken)
        gw_finish(c, gw_fail(c, 503, "busy", "Too many people are signing in at the moment; try again"));
}

void gw_sign_ins_start(void)
{
    for (int i = 0; i < GW_SIGN_IN_THREADS; i++)
        if (pthread_create(&queue.threads[i], NULL, run, NULL) != 0)
            abort();
    queue.running = true;
}

void gw_sign_ins_stop(void)
{
    if (!queue.running)
        return;
    pthread_mutex_lock(&queue.mutex);
    queue.stopping = true;
    pthread_cond_broadcast(&queue.some);
    pthread_mutex_unlock(&queue.mutex);
    for (int i = 0; i < GW_SIGN_IN_THREADS; i++)
        pthread_join(queue.threads[i], NULL);
    queue.running = false;
}
