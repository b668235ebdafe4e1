/* Cleanup by scope: GS_AUTO(gs_buf_donep) struct gs_buf b; frees on every exit; gs_take() hands over. */
#ifndef GS_AUTO_H
#define GS_AUTO_H

#define GS_AUTO(fn) __attribute__((cleanup(fn)))

/* Defines `static inline void name##p(type **p)` that calls `fn` on a non-null pointer. */
#define GS_AUTO_DEFINE(type, name, fn)                                                                                 \
    static inline void name##p(type **p)                                                                               \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            fn(*p);                                                                                                    \
    }

/* Returns *pp and leaves null behind, so that the cleanup has nothing to free. */
#define gs_take(pp)                                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(*(pp)) gs_taken_ = *(pp);                                                                           \
        *(pp) = (__typeof__(*(pp)))0;                                                                                  \
        gs_taken_;                                                                                                     \
    })

#endif
