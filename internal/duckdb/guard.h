// The guard of memory: what strangers' SQL may take in all, whatever DuckDB
// takes it for. guard.cc has the code and says how, guard.go the Go side.
#ifndef ARBALEST_GUARD_H
#define ARBALEST_GUARD_H

#include "duckdb_capi.h"

#ifdef __cplusplus
extern "C" {
#endif

// A guest is a connection while a stranger's SQL runs on it.
typedef struct guest guest;

// guard_grow lets guests have so many more bytes in all. It returns false where
// there is no guard.
bool guard_grow(int64_t bytes);

// guard_room lets all but guests have so many bytes of buffers more than DuckDB's
// limit. It returns false where there is no guard.
bool guard_room(int64_t bytes);

// guard_purge gives memory that guests have freed back to the system.
void guard_purge(void);

// guest_enter makes a connection a guest's; guest_leave ends that, once nothing
// runs on it. guest_full says whether a guest was refused memory.
guest *guest_enter(void *connection);
void guest_leave(guest *g);
bool guest_full(const guest *g);

// What DuckDB's functions of these names do, for a guest, or for others if g is
// null. They return -1 if there was no memory; guest_extract else the number
// of statements, the others a duckdb_state.
int64_t guest_extract(guest *g, void *connection, const char *sql, void **extracted);
int guest_prepare_extracted(guest *g, void *connection, void *extracted, void **statement);
int guest_prepare(guest *g, void *connection, const char *sql, void **statement);
int guest_pending(guest *g, void *statement, void **pending);
int guest_execute(guest *g, void *pending, duckdb_result *result);
int guest_fetch(guest *g, const duckdb_result *result, void **chunk);

// guest_work runs a pending statement up to where guest_execute has its result.
// DuckDB's own loop, in guest_execute, spins while other threads run the last tasks:
// of a load a fifteenth of its time. This one sleeps.
int guest_work(guest *g, void *pending);

#ifdef __cplusplus
}
#endif
#endif
