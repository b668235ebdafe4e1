/* What the issuer says about itself, and its keys. A thread of its own fetches both, before they grow old and when a
 * token names a key that is not known; workers read what is there, and few of them ever wait. */
#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "services/gateway/auth_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DESCRIPTION "/.well-known/openid-configuration"
#define SECOND_US   INT64_C(1000000)

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wanting, done;
    pthread_t thread;
    bool running, stopping, fetching, wanted;

    bool known; /* about and keys are what the issuer said at fetched_us */
    struct gw_issuer about;
    struct gw_keys *keys;
    int64_t fetched_us, tried_us;
    unsigned rounds; /* attempts that ended */
    bool failing;
    struct gs_err why;

    int waiters, refetches;
    int64_t refilled_us;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const struct gs_log_ctx log_ctx = {.topic = "auth"};

/* ---- the description (OpenID Connect Discovery) ---- */

static void json_freep(struct gs_json **j)
{
    gs_json_free(*j);
}

static enum gs_rc read_url(struct gs_json *j, const char *name, bool needed, char dst[GW_ISSUER_URL_MAX],
                           struct gs_err *err)
{
    const char *url = gw_claim_text(j, name);
    enum gs_rc rc;

    if (!url && needed)
        return gs_fail(err, GS_REJECT, "the issuer's description has no %s", name);
    if (!url)
        return GS_OK;
    rc = gw_fetch_check_url(name, url, err);
    if (rc == GS_OK)
        memcpy(dst, url, strlen(url) + 1);
    return rc;
}

enum gs_rc gw_issuer_parse(const char *text, size_t len, struct gw_issuer *ret, struct gs_err *err)
{
    GS_AUTO(json_freep) struct gs_json *j = gs_json_new(GW_ISSUER_ANSWER_MAX, 32);
    struct gw_issuer about = {0};
    struct gs_err why;
    enum gs_rc rc;

    if (gs_json_parse(j, text, len, &why) != GS_OK)
        return gs_fail(err, GS_REJECT, "the issuer's description: %s", why.text);
    if (!gs_str_eq(gw_claim_text(j, "issuer"), gw_auth_settings.issuer))
        return gs_fail(
            err, GS_REJECT,
            "the issuer's description is of another issuer; GOALSYNC_OIDC_ISSUER must be what it calls itself, "
            "to the letter");
    rc = read_url(j, "jwks_uri", true, about.jwks, err);
    if (rc == GS_OK)
        rc = read_url(j, "authorization_endpoint", *gw_auth_settings.client_id != '\0', about.authorization, err);
    if (rc == GS_OK)
        rc = read_url(j, "token_endpoint", *gw_auth_settings.client_id != '\0', about.token, err);
    if (rc == GS_OK)
        rc = read_url(j, "userinfo_endpoint", false, about.userinfo, err);
    if (rc == GS_OK)
        rc = read_url(j, "end_session_endpoint", false, about.end_session, err);
    if (rc != GS_OK)
        return rc;
    about.says_iss = gw_claim_true(j, "authorization_response_iss_parameter_supported");
    about.takes_post = gw_claim_has(j, "token_endpoint_auth_methods_supported", "client_secret_post") &&
                       !gw_claim_has(j, "token_endpoint_auth_methods_supported", "client_secret_basic");
    *ret = about;
    return GS_OK;
}

static enum gs_rc get(const char *what, const char *url, struct gs_buf *body, struct gs_err *err)
{
    struct gw_fetch f = {.url = url};
    long status = 0;
    enum gs_rc rc = gw_fetch(&f, body, &status, err);

    if (rc == GS_OK && status != 200)
        return gs_fail(err, GS_RETRY, "the issuer answered %ld when asked for its %s", status, what);
    return rc;
}

/* Waits for the network. */
static enum gs_rc fetch_all(struct gw_issuer *about, struct gw_keys **keys, struct gs_err *err)
{
    struct gs_buf url, body;
    size_t len = strlen(gw_auth_settings.issuer);
    enum gs_rc rc;

    while (len > 0 && gw_auth_settings.issuer[len - 1] == '/')
        len--;
    gs_buf_init(&url, GW_ISSUER_URL_MAX);
    gs_buf_init(&body, GW_ISSUER_ANSWER_MAX);
    gs_buf_append(&url, gw_auth_settings.issuer, len);
    gs_buf_puts(&url, DESCRIPTION);
    rc = get("description", gs_buf_str(&url), &body, err);
    if (rc == GS_OK)
        rc = gw_issuer_parse(gs_buf_str(&body), body.len, about, err);
    if (rc == GS_OK)
        rc = get("keys", about->jwks, &body, err);
    if (rc == GS_OK)
        rc = gw_keys_parse(gs_buf_str(&body), body.len, keys, err);
    gs_buf_done(&url);
    gs_buf_done(&body);
    return rc;
}

/* ---- the thread ---- */

static void wait_until(pthread_cond_t *cond, int64_t mono_us)
{
    struct timespec at = {.tv_sec = mono_us / SECOND_US, .tv_nsec = mono_us % SECOND_US * 1000};

    pthread_cond_timedwait(cond, &state.mutex, &at);
}

static void tell(enum gs_rc rc, const struct gs_err *err)
{
    char clean[sizeof(err->text)];

    if (rc == GS_OK && (state.failing || !state.known))
        gs_log_info(&log_ctx, "the sign-in service answers", "issuer=\"%s\"", gw_auth_settings.issuer);
    if (rc != GS_OK && !state.failing)
        gs_log_warn(&log_ctx, "the sign-in service does not answer as it should", "issuer=\"%s\" error=\"%s\"",
                    gw_auth_settings.issuer, gs_str_clean(clean, sizeof(clean), err->text, strlen(err->text)));
}

static void fetch_once(void)
{
    struct gw_issuer about;
    struct gw_keys *keys = NULL;
    struct gs_err err = {0};
    enum gs_rc rc;

    state.wanted = false;
    state.fetching = true;
    pthread_mutex_unlock(&state.mutex);
    rc = fetch_all(&about, &keys, &err);
    pthread_mutex_lock(&state.mutex);
    state.fetching = false;
    state.tried_us = gs_mono_us();
    state.rounds++;
    if (!state.stopping)
        tell(rc, &err);
    state.failing = rc != GS_OK;
    if (rc == GS_OK) {
        gw_keys_unref(state.keys);
        state.keys = keys;
        state.about = about;
        state.known = true;
        state.fetched_us = state.tried_us;
    } else {
        state.why = err;
    }
    pthread_cond_broadcast(&state.done);
}

/* Runs on: the issuer's thread. */
static void *run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&state.mutex);
    while (!state.stopping) {
        int64_t due = state.tried_us + (state.failing ? GW_ISSUER_RETRY_S : GW_ISSUER_REFRESH_S) * SECOND_US;

        if (state.wanted || state.rounds == 0 || gs_mono_us() >= due)
            fetch_once();
        else
            wait_until(&state.wanting, due);
    }
    pthread_mutex_unlock(&state.mutex);
    return NULL;
}

void gw_issuer_start(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&state.wanting, &attr);
    pthread_cond_init(&state.done, &attr);
    pthread_condattr_destroy(&attr);
    state.refetches = GW_ISSUER_REFETCHES;
    state.refilled_us = gs_mono_us();
    if (pthread_create(&state.thread, NULL, run, NULL) != 0)
        abort();
    state.running = true;
}

void gw_issuer_stop(void)
{
    if (!state.running)
        return;
    pthread_mutex_lock(&state.mutex);
    state.stopping = true;
    pthread_cond_broadcast(&state.wanting);
    pthread_cond_broadcast(&state.done);
    pthread_mutex_unlock(&state.mutex);
    pthread_join(state.thread, NULL);
    state.running = false;
    state.keys = gw_keys_unref(state.keys);
}

/* ---- for workers ---- */

static bool usable(void)
{
    return state.known && gs_mono_us() - state.fetched_us < GW_ISSUER_STALE_S * SECOND_US;
}

/* Waits for the end of an attempt: the one under way, or one that begins now. False: too many wait, or it takes too
 * long. */
static bool wait_round(void)
{
    int64_t until = gs_mono_us() + GW_ISSUER_WAIT_MS * 1000;
    unsigned before = state.rounds;

    if (state.waiters == GW_ISSUER_WAITERS || state.stopping)
        return false;
    state.waiters++;
    if (!state.fetching) {
        state.wanted = true;
        pthread_cond_signal(&state.wanting);
    }
    while (state.rounds == before && !state.stopping && gs_mono_us() < until)
        wait_until(&state.done, until);
    state.waiters--;
    return state.rounds != before;
}

static enum gs_rc unreachable(struct gs_err *err)
{
    return gs_fail(err, GS_RETRY, "%s",
                   state.failing ? state.why.text : "the sign-in service has not answered yet; try again in a moment");
}

/* With the mutex held. A failure that just was is not asked for again. */
static enum gs_rc need(struct gs_err *err)
{
    if (!usable() && !(state.failing && gs_mono_us() < state.tried_us + GW_ISSUER_RETRY_S * SECOND_US))
        (void)wait_round();
    return usable() ? GS_OK : unreachable(err);
}

enum gs_rc gw_issuer_get(struct gw_issuer *ret, struct gs_err *err)
{
    enum gs_rc rc;

    pthread_mutex_lock(&state.mutex);
    rc = need(err);
    if (rc == GS_OK)
        *ret = state.about;
    pthread_mutex_unlock(&state.mutex);
    return rc;
}

/* Tokens with made-up key ids must not turn into a stream of requests to the issuer. */
static bool take_refetch(void)
{
    int64_t now = gs_mono_us();

    while (state.refetches < GW_ISSUER_REFETCHES && now - state.refilled_us >= GW_ISSUER_RETRY_S * SECOND_US) {
        state.refetches++;
        state.refilled_us += GW_ISSUER_RETRY_S * SECOND_US;
    }
    if (state.refetches == GW_ISSUER_REFETCHES)
        state.refilled_us = now;
    if (state.refetches == 0)
        return false;
    state.refetches--;
    return true;
}

/* One caller's search for a key. */
struct search {
    unsigned rounds; /* as of the keys it looked at last */
    bool began;      /* it looked already */
    bool asked;      /* an attempt was begun for it */
};

/* With the mutex held. Whoever finds newer keys than it looked at takes them; whoever comes while they are fetched
 * waits along; only who begins an attempt takes from the allowance, and nobody begins two. */
static enum gs_rc renew(struct search *look, struct gs_err *err)
{
    if (look->rounds != state.rounds && !state.failing)
        return GS_OK;
    if (!state.fetching && !state.wanted) {
        if (look->asked || !take_refetch())
            return gs_fail(err, GS_DENIED, "the token is signed with a key that its issuer does not show");
        look->asked = true;
    }
    return wait_round() && !state.failing ? GS_OK : unreachable(err);
}

static enum gs_rc get_keys(struct search *look, struct gw_keys **ret, struct gs_err *err)
{
    enum gs_rc rc;

    pthread_mutex_lock(&state.mutex);
    rc = need(err);
    if (rc == GS_OK && look->began)
        rc = renew(look, err);
    if (rc == GS_OK) {
        *ret = gw_keys_ref(state.keys);
        look->rounds = state.rounds;
        look->began = true;
    }
    pthread_mutex_unlock(&state.mutex);
    return rc;
}

enum gs_rc gw_issuer_verify(const struct gw_jwt *t, struct gs_err *err)
{
    struct search look = {0};
    enum gs_rc rc = GS_GONE;

    for (int i = 0; rc == GS_GONE && i < GW_ISSUER_LOOKS; i++) {
        GS_AUTO(gw_keys_unrefp) struct gw_keys *keys = NULL;

        rc = get_keys(&look, &keys, err);
        if (rc == GS_OK)
            rc = gw_jwt_verify(t, keys, err);
    }
    if (rc == GS_GONE)
        err->rc = rc = GS_DENIED;
    return rc;
}
