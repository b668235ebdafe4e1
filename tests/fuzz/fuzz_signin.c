/* What browsers and sign-in services send, beside tokens and keys: cookies, tokens of ours, places to return to, what a
 * service says about itself, claims about people. The first byte says which. links: goalsync_gateway */
#include "common/token.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/auth_text.h"
#include "services/gateway/settings.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)
#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(void)
{
    static char issuer[] = "https://issuer.example", client[] = "c", none[] = "", sub[] = "sub", email[] = "",
                admin[] = "roles", value[] = "admin", prefix[] = "goals.", url[] = "https://goals.example";

    gw_settings.public_url = url;
    gw_auth_settings = (struct gw_auth_settings){.issuer = issuer,
                                                 .client_id = client,
                                                 .client_secret = none,
                                                 .audience = client,
                                                 .scopes = none,
                                                 .email_claim = email,
                                                 .subject_claim = sub,
                                                 .scope_prefix = prefix,
                                                 .admin_claim = admin,
                                                 .admin_value = value,
                                                 .tenant_admins = none,
                                                 .ca_file = none,
                                                 .bootstrap_file = none};
}

static void cookie(const char *header)
{
    char value[GW_RANDOM_TEXT];

    if (gw_cookie_find(header, gw_session_cookie(), value, sizeof(value)))
        MUST(strlen(value) < sizeof(value) && strstr(header, value) && !strchr(value, ';'));
}

static void token(const char *text, size_t len)
{
    if (gs_token_intact(text, len))
        MUST(len == GS_TOKEN_LEN && memcmp(text, GS_TOKEN_PREFIX, strlen(GS_TOKEN_PREFIX)) == 0);
    (void)gw_is_random_text(text);
}

static void place(const char *text)
{
    if (!gw_return_to_valid(text))
        return;
    MUST(text[0] == '/' && text[1] != '/' && !strchr(text, '\\'));
    for (const char *s = text; *s; s++)
        MUST(*s > 0x20 && *s < 0x7f);
}

static void service(const char *text, size_t len)
{
    struct gw_issuer issuer;
    struct gs_err err = {.text = ""};

    if (gw_issuer_parse(text, len, &issuer, &err) == GS_OK)
        MUST(strncmp(issuer.jwks, "https://", 8) == 0);
    else
        MUST(err.text[0]);
}

static void claims(const char *text, size_t len)
{
    struct gs_json *j = gs_json_new(INPUT_MAX, 16);
    struct gw_identity who;
    struct gs_err err = {.text = ""};

    if (gs_json_parse(j, text, len, &err) == GS_OK) {
        if (gw_identity_of(j, &who, &err) == GS_OK)
            MUST(who.subject && *who.subject);
        else
            MUST(err.rc == GS_DENIED && err.text[0]);
        MUST((gw_scopes_of(j) & ~(unsigned)GW_SCOPES_SESSION) == 0);
    }
    gs_json_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0 || size > INPUT_MAX)
        return 0;
    if (!gw_auth_settings.issuer)
        start();
    text = malloc(size);
    MUST(text);
    memcpy(text, data + 1, size - 1);
    text[--size] = '\0';
    switch (data[0]) {
    case 'c':
        cookie(text);
        break;
    case 't':
        token(text, size);
        break;
    case 'r':
        place(text);
        break;
    case 'i':
        service(text, size);
        break;
    default:
        claims(text, size);
    }
    free(text);
    return 0;
}
