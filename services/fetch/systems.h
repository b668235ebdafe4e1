/* The systems whose integration people know to exist, whether a connector of theirs is built in or not yet. */
#ifndef FETCH_SYSTEMS_H
#define FETCH_SYSTEMS_H

#include "common/vault.h"

enum fetch_sharing { FETCH_SHARE_CHOICE, FETCH_SHARE_NEVER, FETCH_SHARE_ALWAYS };

struct fetch_system {
    const char *name; /* of the connector's folder */
    const char *label;
    const char *terms_url; /* of who owns it; a built-in connector's own comes first */
    enum gs_category category;
    bool chat;                  /* carries conversations, both ways; otherwise numbers come in, and nothing goes out */
    enum fetch_sharing sharing; /* of its connections, while an organisation has no rule of its own */
};

extern const struct fetch_system fetch_systems[]; /* by label; ended by a null name */
const struct fetch_system *fetch_systems_find(const char *name);

#endif
