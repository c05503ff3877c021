// The guard of memory. DuckDB's memory limit bounds its buffers only: texts,
// lists, aggregates' maps, plans and the like are taken from its allocator
// (jemalloc, linked in) and from C++'s new, without a limit. Here all that is
// taken for a guest comes from one stretch of address space, an arena of
// jemalloc's, which cannot grow beyond a bound: so however it is taken, guests
// have no more than that, and one who asks for more gets DuckDB's error of no
// memory. What loads take comes from elsewhere and is never refused: a COMMIT
// that fails would close the database. For the same reason loads have more buffers
// than DuckDB's limit while there are guests, who may have taken all of that.
//
// Who works for a guest is known exactly: the thread that calls us, while it is
// in one of guest_…'s calls, and the threads of DuckDB's pool, while they run a
// task of a guest's connection. DuckDB makes a TaskNotifier around each task;
// its two functions are replaced by ours below (the linker takes the first
// definition). TestGuard… fail if another version of DuckDB does otherwise.
#include "guard.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <new>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

struct guest {
	duckdb_connection connection;
	const void *context; // DuckDB's ClientContext of it
	std::atomic<bool> full;
	guest *next;
};

namespace {

std::mutex guests_lock;
guest *guests;              // all
std::atomic<int> present;   // how many
std::atomic<time_t> left;   // when one left last, in seconds since some time
thread_local guest *served; // the one that this thread works for
thread_local int depth;     // of calls and tasks for it

const useconds_t taskWait = 50; // how long guest_work sleeps: microseconds

time_t now() {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

// A visit is a call for a guest, or for none.
struct visit {
	explicit visit(guest *g) : mine(g != nullptr) {
		if (mine) {
			served = g;
			depth++;
		}
	}
	~visit() {
		if (mine && --depth == 0) {
			served = nullptr;
		}
	}
	bool mine;
};

// What a thread does aside is not for its guest.
struct aside {
	aside() : was(served) { served = nullptr; }
	~aside() { served = was; }
	guest *was;
};

// attempt calls DuckDB. Its C functions do not catch everything.
template <class F> int64_t attempt(guest *g, F call) {
	visit v(g);
	try {
		return (int64_t)call();
	} catch (...) {
		return -1;
	}
}

} // namespace

guest *guest_enter(duckdb_connection connection) {
	void *wrapper = nullptr;
	duckdb_connection_get_client_context(connection, &wrapper);
	guest *g = new guest();
	g->connection = connection;
	g->context = *(void **)wrapper; // it holds a reference to the context, and nothing else
	duckdb_destroy_client_context(&wrapper);
	std::lock_guard<std::mutex> lock(guests_lock);
	g->next = guests;
	guests = g;
	present++;
	return g;
}

void guest_leave(guest *g) {
	{
		std::lock_guard<std::mutex> lock(guests_lock);
		for (guest **p = &guests; *p != nullptr; p = &(*p)->next) {
			if (*p == g) {
				*p = g->next;
				left = now();
				present--;
				break;
			}
		}
	}
	delete g;
}

bool guest_full(const guest *g) { return g->full.load(); }

int64_t guest_extract(guest *g, duckdb_connection connection, const char *sql, void **extracted) {
	return attempt(g, [&] { return duckdb_extract_statements(connection, sql, extracted); });
}

int guest_prepare_extracted(guest *g, duckdb_connection connection, void *extracted, void **statement) {
	return (int)attempt(g, [&] { return duckdb_prepare_extracted_statement(connection, extracted, 0, statement); });
}

int guest_prepare(guest *g, duckdb_connection connection, const char *sql, void **statement) {
	return (int)attempt(g, [&] { return duckdb_prepare(connection, sql, statement); });
}

int guest_pending(guest *g, void *statement, void **pending) {
	return (int)attempt(g, [&] { return duckdb_pending_prepared_streaming(statement, pending); });
}

int guest_work(guest *g, void *pending) {
	return (int)attempt(g, [&] {
		for (;;) {
			switch (duckdb_pending_execute_task(pending)) {
			case DUCKDB_PENDING_RESULT_READY:
				return 0;
			case DUCKDB_PENDING_ERROR:
				return 1;
			case DUCKDB_PENDING_NO_TASKS_AVAILABLE:
				usleep(taskWait);
				break;
			case DUCKDB_PENDING_RESULT_NOT_READY:
				break;
			}
		}
	});
}

int guest_execute(guest *g, void *pending, duckdb_result *result) {
	return (int)attempt(g, [&] { return duckdb_execute_pending(pending, result); });
}

int guest_fetch(guest *g, const duckdb_result *result, void **chunk) {
	return (int)attempt(g, [&] { *chunk = duckdb_fetch_chunk(*result); return 0; });
}

#ifdef __linux__

// jemalloc's functions, as DuckDB names them, and what they take: man 3
// jemalloc, of 5.x.
extern "C" {
void *duckdb_je_mallocx(size_t size, int flags);
size_t duckdb_je_nallocx(size_t size, int flags);
void *duckdb_je_rallocx(void *p, size_t size, int flags);
void duckdb_je_dallocx(void *p, int flags);
int duckdb_je_mallctl(const char *name, void *old, size_t *old_size, void *value, size_t size);
size_t duckdb_je_malloc_usable_size(const void *p);
void *__real_duckdb_je_malloc(size_t size);
void *__real_duckdb_je_realloc(void *p, size_t size);
void __real_duckdb_je_free(void *p);

typedef struct extent_hooks extent_hooks;
struct extent_hooks {
	void *(*alloc)(extent_hooks *, void *at, size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena);
	bool (*dalloc)(extent_hooks *, void *, size_t, bool, unsigned);
	void (*destroy)(extent_hooks *, void *, size_t, bool, unsigned);
	bool (*commit)(extent_hooks *, void *, size_t, size_t, size_t, unsigned);
	bool (*decommit)(extent_hooks *, void *, size_t, size_t, size_t, unsigned);
	bool (*purge_lazy)(extent_hooks *, void *, size_t, size_t, size_t, unsigned);
	bool (*purge_forced)(extent_hooks *, void *, size_t, size_t, size_t, unsigned);
	bool (*split)(extent_hooks *, void *, size_t, size_t, size_t, bool, unsigned);
	bool (*merge)(extent_hooks *, void *, size_t, void *, size_t, bool, unsigned);
};
}

namespace {

// A stretch is address space, of which an arena is made. What is in use of it only
// ever grows, as jemalloc keeps what it was given and uses it again.
struct stretch : extent_hooks {
	char *begin;
	std::atomic<size_t> used, bound;
	unsigned arena;
	int flags; // of mallocx: the arena, and no thread's cache, which is the thread's whomever it works for

	bool make(char *at);
	void reserve(size_t size);
	void *take(size_t size) { return duckdb_je_mallocx(size > 0 ? size : 1, flags); }
};

// The main stretch is what guests have; its bound moves with the warehouses that
// open. The spare one is for what cannot be refused: the blocks that DuckDB takes
// while it makes an error, tells of it, and cleans up. Both are in all.
stretch spare, regular;
char *all;
size_t length;
std::once_flag made;

const size_t spare_bytes = 32 << 20;

// A guest that is beyond its bound still gets modest blocks of the spare stretch,
// and is interrupted; when that is used up it gets small ones.
const size_t modest = 1 << 20, small = 64 << 10;

bool inside(const void *p) { return (size_t)((const char *)p - all) < length; }

void *extend(extent_hooks *hooks, void *at, size_t size, size_t alignment, bool *zero, bool *commit, unsigned) {
	if (at != nullptr) {
		return nullptr; // jemalloc asks elsewhere, then
	}
	stretch *s = static_cast<stretch *>(hooks);
	size_t from = s->used.load(), begin;
	do {
		begin = (from + alignment - 1) & ~(alignment - 1);
		if (size > s->bound.load() || begin > s->bound.load() - size) {
			return nullptr;
		}
	} while (!s->used.compare_exchange_weak(from, begin + size));
	if (mprotect(s->begin + begin, size, PROT_READ | PROT_WRITE) != 0) {
		return nullptr;
	}
	*zero = *commit = true; // never touched before
	return s->begin + begin;
}

bool keep(extent_hooks *, void *, size_t, bool, unsigned) { return true; }
bool purge(extent_hooks *, void *at, size_t, size_t offset, size_t size, unsigned) {
	return madvise((char *)at + offset, size, MADV_DONTNEED) != 0;
}
bool part(extent_hooks *, void *, size_t, size_t, size_t, bool, unsigned) { return false; }
bool join(extent_hooks *, void *, size_t, void *, size_t, bool, unsigned) { return false; }

bool stretch::make(char *at) {
	begin = at;
	bound = spare_bytes;
	extent_hooks *h = this;
	*h = {extend, keep, nullptr, nullptr, nullptr, nullptr, purge, part, join};
	// What the arena keeps of its pieces is taken elsewhere: without memory for it, it
	// loses the pieces.
	struct {
		extent_hooks *hooks;
		bool own_too;
	} config = {h, false};
	size_t n = sizeof arena;
	if (duckdb_je_mallctl("experimental.arenas_create_ext", &arena, &n, &config, sizeof config) != 0) {
		return false;
	}
	flags = (int)((arena + 1) << 20) | 1 << 8; // MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE
	return true;
}

// pad is what jemalloc adds to a large block.
const size_t pad = 64 << 10;

// reserve takes a piece of about that size, and gives it back. What an arena gets
// piece by piece it never joins: of small blocks it asks for pieces that double with
// time, and there would be none for a large block when those are free again. Nothing
// is in memory by it.
void stretch::reserve(size_t size) {
	size_t most = size;
	while (duckdb_je_nallocx(size, flags) > most) {
		size -= size / 16;
	}
	if (void *p = take(size)) {
		duckdb_je_dallocx(p, flags);
	}
}

bool redirect();

// make reserves address space, of which nothing is in memory yet, and makes the
// arenas in it.
void make() {
	size_t size = (size_t)1 << 40;
	void *p = MAP_FAILED;
	for (; size >= (size_t)1 << 30 && p == MAP_FAILED; size >>= 1) {
		p = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	}
	if (p == MAP_FAILED) {
		return;
	}
	// Extents must be aligned to 2 MiB at most.
	size_t skip = -(size_t)p & ((2 << 20) - 1);
	all = (char *)p + skip;
	if (redirect() && spare.make(all) && regular.make(all + spare_bytes)) {
		length = (size << 1) - skip;
	}
}

// in_flight says whether an exception is being thrown or handled.
bool in_flight() { return std::uncaught_exceptions() > 0 || std::current_exception() != nullptr; }

// press looks for memory for a guest that is beyond the bound. If it returns null
// and ok is true there is some elsewhere.
void *press(size_t size, bool *ok) {
	// What was let go of lately is in pieces, until it goes back to the system.
	if (!served->full.load()) {
		guard_purge();
		if (void *p = regular.take(size)) {
			return p;
		}
	}
	served->full = true;
	bool must = size <= small || in_flight();
	*ok = must;
	if (size > modest && !must) {
		return nullptr;
	}
	duckdb_interrupt(served->connection);
	return spare.take(size);
}

// EvictBlocks is what DuckDB's buffers go through before they grow by extra bytes:
// it adds those to what is in use, and makes room until that is below the limit.
// It is BufferPool's, and virtual. What it returns comes back in memory, of which
// it is enough to know that.
struct eviction {
	~eviction() {}
	char unknown[64];
};
typedef eviction evict_blocks(void *pool, uint8_t tag, idx_t extra, idx_t limit, void *buffer);
extern "C" evict_blocks evict_really __asm__("_ZN6duckdb10BufferPool11EvictBlocksENS_9MemoryTagEmmPNS_10unique_ptrINS_10FileBufferESt14default_deleteIS3_ELb1EEE");
extern "C" void *buffer_pool_table[] __asm__("_ZTVN6duckdb10BufferPoolE");

std::atomic<idx_t> asked; // by guests, whether they get it or not
struct asking {
	explicit asking(idx_t n) : extra(n) { asked += extra; }
	~asking() { asked -= extra; }
	idx_t extra;
};

// lasting is how long loads have more buffers after a guest left, in seconds: a
// load that has begun to use them may need them to its end.
const time_t lasting = 60;

std::atomic<int64_t> room; // that loads of wide tables have besides

// counted is how many bytes a pool has just counted for what DuckDB takes next on
// this thread (BufferAllocator, whose MemoryTag is counted_tag). It counts before
// it takes, and would count for ever what it is refused.
struct counting {
	void *pool;
	size_t bytes;
};
thread_local counting counted;
const uint8_t counted_tag = 10;
extern "C" void uncount(void *pool, uint8_t tag, int64_t bytes) __asm__("_ZN6duckdb10BufferPool16UpdateUsedMemoryENS_9MemoryTagEl");

// evict is EvictBlocks for guests; and for loads, which what guests are being
// refused does not count against, and which have a third more beside guests, or
// 128 MiB, and what guard_room says.
eviction evict(void *pool, uint8_t tag, idx_t extra, idx_t limit, void *buffer) {
	if (served != nullptr) {
		asking a(extra);
		eviction e = evict_really(pool, tag, extra, limit, buffer);
		counted = {pool, tag == counted_tag ? extra : 0}; // now: what is evicted takes memory too
		return e;
	}
	idx_t third = limit / 3, most = 128 << 20;
	bool alone = present.load() == 0 && (left.load() == 0 || now() - left.load() > lasting);
	idx_t beside = alone ? 0 : third < most ? third : most;
	return evict_really(pool, tag, extra, limit + asked.load() + beside + (idx_t)room.load(), buffer);
}

// redirect has BufferPool's table of virtual functions name evict instead of
// EvictBlocks.
bool redirect() {
	for (void **slot = buffer_pool_table + 2; slot < buffer_pool_table + 20; slot++) {
		if (*slot != (void *)evict_really) {
			continue;
		}
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		void *start = (void *)((size_t)slot & ~(page - 1));
		if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) {
			return false;
		}
		__atomic_store_n(slot, (void *)evict, __ATOMIC_RELEASE);
		return true; // what else is on the page may have been writable, and stays so
	}
	return false;
}

} // namespace

bool guard_grow(int64_t bytes) {
	static std::mutex lock;
	static int64_t total = 0;
	static bool reserved = false;
	std::call_once(made, make);
	std::lock_guard<std::mutex> locked(lock);
	total += bytes;
	size_t most = length > 0 ? length - spare_bytes : 0;
	size_t bound = (size_t)total + pad;
	regular.bound = bound < most ? bound : most;
	if (!reserved && length > 0) {
		reserved = true; // once: a piece stays, whoever closes
		regular.reserve((size_t)total);
	}
	return length > 0;
}

bool guard_room(int64_t bytes) {
	std::call_once(made, make);
	room += bytes;
	return length > 0;
}

void guard_purge(void) {
	for (unsigned arena : {regular.arena, spare.arena}) {
		char name[40];
		snprintf(name, sizeof name, "arena.%u.purge", arena);
		if (length > 0) {
			duckdb_je_mallctl(name, nullptr, nullptr, nullptr, 0);
		}
	}
}

extern "C" {

void *__wrap_duckdb_je_malloc(size_t size) {
	if (served == nullptr || length == 0) {
		return __real_duckdb_je_malloc(size);
	}
	counting c = counted;
	counted = {};
	void *p = regular.take(size);
	bool ok = false;
	if (p == nullptr) {
		p = press(size, &ok);
	}
	if (p == nullptr && ok) {
		p = __real_duckdb_je_malloc(size);
	}
	if (p == nullptr && c.bytes == size) {
		uncount(c.pool, counted_tag, -(int64_t)size);
	}
	return p;
}

void __wrap_duckdb_je_free(void *p) {
	if (inside(p)) {
		duckdb_je_dallocx(p, regular.flags);
	} else {
		__real_duckdb_je_free(p);
	}
}

void *__wrap_duckdb_je_realloc(void *p, size_t size) {
	if (p == nullptr || size == 0) {
		return p == nullptr ? __wrap_duckdb_je_malloc(size) : __real_duckdb_je_realloc(p, size);
	}
	if (served == nullptr || length == 0) {
		return __real_duckdb_je_realloc(p, size);
	}
	void *moved = duckdb_je_rallocx(p, size, regular.flags);
	if (moved == nullptr && (moved = __wrap_duckdb_je_malloc(size)) != nullptr) {
		size_t had = duckdb_je_malloc_usable_size(p);
		memcpy(moved, p, had < size ? had : size);
		__wrap_duckdb_je_free(p);
	}
	return moved;
}

// These two are called where buffers are let go of, by destructors, which must
// not throw: what they take, the lists of what could be evicted, is not the
// guest's.
void __real__ZN6duckdb10BufferPool10PurgeQueueERKNS_11BlockHandleE(void *pool, const void *handle);
void __wrap__ZN6duckdb10BufferPool10PurgeQueueERKNS_11BlockHandleE(void *pool, const void *handle) {
	aside a;
	__real__ZN6duckdb10BufferPool10PurgeQueueERKNS_11BlockHandleE(pool, handle);
}

bool __real__ZN6duckdb10BufferPool18AddToEvictionQueueERSt11unique_lockISt5mutexERNS_10shared_ptrINS_11BlockHandleELb1EEE(void *pool, void *lock, void *handle);
bool __wrap__ZN6duckdb10BufferPool18AddToEvictionQueueERSt11unique_lockISt5mutexERNS_10shared_ptrINS_11BlockHandleELb1EEE(void *pool, void *lock, void *handle) {
	aside a;
	return __real__ZN6duckdb10BufferPool18AddToEvictionQueueERSt11unique_lockISt5mutexERNS_10shared_ptrINS_11BlockHandleELb1EEE(pool, lock, handle);
}

// TaskNotifier's constructor and destructor. Theirs also tell states that
// extensions may have registered, of which there are none here.
void task_start(const void **self, const void *context) __asm__("_ZN6duckdb12TaskNotifierC1ENS_12optional_ptrINS_13ClientContextELb1EEE");
void task_start(const void **self, const void *context) {
	*self = context;
	if (served == nullptr) {
		std::lock_guard<std::mutex> lock(guests_lock);
		for (guest *g = guests; g != nullptr; g = g->next) {
			if (g->context == context) {
				served = g;
				break;
			}
		}
	}
	depth += served != nullptr;
}

void task_stop(const void **self) __asm__("_ZN6duckdb12TaskNotifierD1Ev");
void task_stop(const void **) {
	if (served != nullptr && --depth == 0) {
		served = nullptr;
	}
}

} // extern "C"

// All of C++'s new and delete come here, those of its library too.
void *operator new(size_t size) {
	if (served != nullptr && length > 0) {
		void *p = regular.take(size);
		bool ok = false;
		if (p == nullptr) {
			p = press(size, &ok);
		}
		if (p != nullptr) {
			return p;
		}
		if (!ok) {
			throw std::bad_alloc();
		}
	}
	void *p = malloc(size > 0 ? size : 1);
	if (p == nullptr) {
		throw std::bad_alloc();
	}
	return p;
}

void operator delete(void *p) noexcept {
	if (inside(p)) {
		duckdb_je_dallocx(p, regular.flags);
	} else {
		free(p);
	}
}

void operator delete(void *p, size_t) noexcept { operator delete(p); }

#else

bool guard_grow(int64_t) { return false; }
bool guard_room(int64_t) { return false; }
void guard_purge(void) {}

#endif
