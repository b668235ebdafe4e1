/* Looking up connectors by name; compiled into each catalogue library beside its generated table. */
#include "services/fetch/catalogue.h"

#include <string.h>

const struct fetch_entry *fetch_catalogue_find(const char *name)
{
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        if (!strcmp(e->name, name))
            return e;
    }
    return NULL;
}
