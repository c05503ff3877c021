#include "scan.h"
#include "duckdb_capi.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct scan_registry {
	pthread_mutex_t lock;
	scan_source *first;
};

// One run of a scan: the projected columns, and the next row that no thread
// has claimed.
typedef struct {
	const scan_source *source;
	atomic_int_fast64_t next;
	idx_t count;
	idx_t column[];
} scan_run;

// One thread's claim: the rows from next to end, from chunk on.
typedef struct {
	int64_t next, end;
	int32_t chunk;
} scan_claim;

static void scan_free_registry(void *data) {
	scan_registry *registry = data;
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

static duckdb_logical_type scan_type(const scan_column *column) {
	duckdb_logical_type type;
	switch (column->kind) {
	case SCAN_BOOLEAN:
		return duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
	case SCAN_SMALLINT:
		return duckdb_create_logical_type(DUCKDB_TYPE_SMALLINT);
	case SCAN_INTEGER:
		return duckdb_create_logical_type(DUCKDB_TYPE_INTEGER);
	case SCAN_BIGINT:
	case SCAN_ROW:
		return duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
	case SCAN_DECIMAL:
		return duckdb_create_decimal_type((uint8_t)column->precision, (uint8_t)column->scale);
	case SCAN_REAL:
		return duckdb_create_logical_type(DUCKDB_TYPE_FLOAT);
	case SCAN_DOUBLE:
		return duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE);
	case SCAN_DATE:
		return duckdb_create_logical_type(DUCKDB_TYPE_DATE);
	case SCAN_TIMESTAMP:
		return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP);
	case SCAN_TIMESTAMPTZ:
		return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
	case SCAN_JSON:
		// DuckDB's JSON is VARCHAR with this alias: the text goes in as it is.
		type = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
		duckdb_logical_type_set_alias(type, "JSON");
		return type;
	}
	return duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
}

static const scan_source *scan_find(scan_registry *registry, uint64_t token) {
	pthread_mutex_lock(&registry->lock);
	const scan_source *s = registry->first;
	while (s != NULL && s->token != token) {
		s = s->next;
	}
	pthread_mutex_unlock(&registry->lock);
	return s;
}

static void scan_bind(duckdb_bind_info info) {
	duckdb_value value = duckdb_bind_get_parameter(info, 0);
	uint64_t token = duckdb_get_uint64(value);
	duckdb_destroy_value(&value);
	const scan_source *source = scan_find(duckdb_bind_get_extra_info(info), token);
	if (source == NULL) {
		duckdb_bind_set_error(info, "no such batch: it is for the loader's own use");
		return;
	}
	for (int32_t i = 0; i < source->columns; i++) {
		duckdb_logical_type type = scan_type(&source->column[i]);
		duckdb_bind_add_result_column(info, source->column[i].name, type);
		duckdb_destroy_logical_type(&type);
	}
	duckdb_bind_set_cardinality(info, (idx_t)source->rows, true);
	duckdb_bind_set_bind_data(info, (void *)source, NULL);
}

static void scan_init(duckdb_init_info info) {
	const scan_source *source = duckdb_init_get_bind_data(info);
	idx_t count = duckdb_init_get_column_count(info);
	scan_run *run = malloc(sizeof *run + count * sizeof run->column[0]);
	if (run == NULL) {
		duckdb_init_set_error(info, "out of memory");
		return;
	}
	run->source = source;
	atomic_init(&run->next, 0);
	run->count = count;
	for (idx_t i = 0; i < count; i++) {
		run->column[i] = duckdb_init_get_column_index(info, i);
	}
	duckdb_init_set_init_data(info, run, free);
	duckdb_init_set_max_threads(info, (idx_t)(source->rows / SCAN_UNIT + 1));
}

static void scan_local_init(duckdb_init_info info) {
	scan_claim *claim = calloc(1, sizeof *claim);
	if (claim == NULL) {
		duckdb_init_set_error(info, "out of memory");
		return;
	}
	duckdb_init_set_init_data(info, claim, free);
}

static void fill_boolean(bool *out, const scan_column *column, const uint8_t *bits, idx_t from, idx_t n) {
	if (bits == NULL) {
		memset(out, column->fill, n);
		return;
	}
	for (idx_t i = 0; i < n; i++) {
		out[i] = bits[(from + i) >> 3] >> ((from + i) & 7) & 1;
	}
}

// fill_decimal narrows 128 bits to what DuckDB keeps for the precision; the
// value fits, or is behind a cleared validity bit.
static void fill_decimal(char *out, idx_t at, const scan_column *column, const uint64_t *words, idx_t n) {
	if (column->precision <= 4) {
		for (idx_t i = 0; i < n; i++) {
			((int16_t *)out)[at + i] = (int16_t)words[2 * i];
		}
	} else if (column->precision <= 9) {
		for (idx_t i = 0; i < n; i++) {
			((int32_t *)out)[at + i] = (int32_t)words[2 * i];
		}
	} else if (column->precision <= 18) {
		for (idx_t i = 0; i < n; i++) {
			((int64_t *)out)[at + i] = (int64_t)words[2 * i];
		}
	} else {
		memcpy(out + at * 16, words, n * 16);
	}
}

// fill_strings makes strings that point into the chunk's data, which stays
// where it is until the statement is done.
static void fill_strings(duckdb_string_t *out, const int32_t *offsets, const char *data, idx_t n) {
	for (idx_t i = 0; i < n; i++) {
		uint32_t length = (uint32_t)(offsets[i + 1] - offsets[i]);
		const char *text = data + offsets[i];
		out[i].length = length;
		if (length <= sizeof out[i].value.inlined) {
			memset(out[i].value.inlined, 0, sizeof out[i].value.inlined);
			if (length > 0) {
				memcpy(out[i].value.inlined, text, length);
			}
		} else {
			memcpy(out[i].value.pointer.prefix, text, sizeof out[i].value.pointer.prefix);
			out[i].value.pointer.ptr = text;
		}
	}
}

// fill_valid clears the bits of rows that are null; a vector starts with none.
static void fill_valid(duckdb_vector vector, idx_t at, const uint8_t *valid, idx_t from, idx_t n) {
	if (valid == NULL) {
		return;
	}
	duckdb_vector_ensure_validity_writable(vector);
	uint64_t *out = duckdb_vector_get_validity(vector);
	for (idx_t i = 0; i < n; i++, from++, at++) {
		uint64_t null = ~(valid[from >> 3] >> (from & 7)) & 1;
		out[at >> 6] &= ~(null << (at & 63));
	}
}

// fill writes rows from on, n of them, of one chunk's vector to rows at on.
static void fill(duckdb_vector vector, idx_t at, const scan_column *column, const scan_vector *v, const scan_chunk *chunk, idx_t from, idx_t n) {
	char *out = duckdb_vector_get_data(vector);
	const char *values = v->values;
	switch (column->kind) {
	case SCAN_ROW:
		for (idx_t i = 0; i < n; i++) {
			((int64_t *)out)[at + i] = chunk->first + (int64_t)(from + i);
		}
		return;
	case SCAN_BOOLEAN:
		fill_boolean((bool *)out + at, column, v->values, from, n);
		break;
	case SCAN_SMALLINT:
		memcpy(out + at * 2, values + from * 2, n * 2);
		break;
	case SCAN_INTEGER:
	case SCAN_REAL:
	case SCAN_DATE:
		memcpy(out + at * 4, values + from * 4, n * 4);
		break;
	case SCAN_BIGINT:
	case SCAN_DOUBLE:
	case SCAN_TIMESTAMP:
	case SCAN_TIMESTAMPTZ:
		memcpy(out + at * 8, values + from * 8, n * 8);
		break;
	case SCAN_DECIMAL:
		fill_decimal(out, at, column, (const uint64_t *)(values + from * 16), n);
		break;
	default:
		fill_strings((duckdb_string_t *)out + at, (const int32_t *)v->values + from, v->data, n);
	}
	fill_valid(vector, at, v->valid, from, n);
}

// claim_more claims the next unit of rows for a thread. Units are what DuckDB
// makes row groups of: a thread that inserts whole units leaves no partial row
// group behind, which a checkpoint would have to write again.
static void claim_more(scan_run *run, scan_claim *claim) {
	const scan_source *source = run->source;
	claim->next = atomic_fetch_add(&run->next, SCAN_UNIT);
	claim->end = claim->next + SCAN_UNIT;
	if (claim->end > source->rows) {
		claim->end = source->rows;
	}
	// Claims of a thread ascend, so its chunks do too.
	while (claim->chunk + 1 < source->chunks && source->chunk[claim->chunk + 1].first <= claim->next) {
		claim->chunk++;
	}
}

static void scan_next(duckdb_function_info info, duckdb_data_chunk output) {
	scan_run *run = duckdb_function_get_init_data(info);
	scan_claim *claim = duckdb_function_get_local_init_data(info);
	const scan_source *source = run->source;
	if (claim->next >= claim->end) {
		claim_more(run, claim);
	}
	idx_t at = 0;
	while (at < duckdb_vector_size() && claim->next < claim->end) {
		const scan_chunk *chunk = &source->chunk[claim->chunk];
		idx_t from = (idx_t)(claim->next - chunk->first);
		if (from >= (idx_t)chunk->rows) {
			claim->chunk++;
			continue;
		}
		idx_t n = duckdb_vector_size() - at;
		n = n < (idx_t)chunk->rows - from ? n : (idx_t)chunk->rows - from;
		n = n < (idx_t)(claim->end - claim->next) ? n : (idx_t)(claim->end - claim->next);
		const scan_vector *vectors = &source->vector[(int64_t)claim->chunk * source->columns];
		for (idx_t i = 0; i < run->count; i++) {
			idx_t c = run->column[i];
			if (c < (idx_t)source->columns) { // else a row id, which nothing asks for
				fill(duckdb_data_chunk_get_vector(output, i), at, &source->column[c], &vectors[c], chunk, from, n);
			}
		}
		at += n;
		claim->next += (int64_t)n;
	}
	duckdb_data_chunk_set_size(output, at);
}

scan_registry *scan_register(void *connection, const char *name) {
	scan_registry *registry = calloc(1, sizeof *registry);
	if (registry == NULL || pthread_mutex_init(&registry->lock, NULL) != 0) {
		free(registry);
		return NULL;
	}
	duckdb_table_function function = duckdb_create_table_function();
	duckdb_logical_type token = duckdb_create_logical_type(DUCKDB_TYPE_UBIGINT);
	duckdb_table_function_set_name(function, name);
	duckdb_table_function_add_parameter(function, token);
	duckdb_destroy_logical_type(&token);
	duckdb_table_function_set_extra_info(function, registry, scan_free_registry);
	duckdb_table_function_set_bind(function, scan_bind);
	duckdb_table_function_set_init(function, scan_init);
	duckdb_table_function_set_local_init(function, scan_local_init);
	duckdb_table_function_set_function(function, scan_next);
	duckdb_table_function_supports_projection_pushdown(function, true);
	duckdb_state state = duckdb_register_table_function(connection, function);
	duckdb_destroy_table_function(&function);
	// On failure the registry went with the function.
	return state == 0 ? registry : NULL;
}

void scan_add(scan_registry *registry, scan_source *source) {
	pthread_mutex_lock(&registry->lock);
	source->next = registry->first;
	registry->first = source;
	pthread_mutex_unlock(&registry->lock);
}

void scan_remove(scan_registry *registry, scan_source *source) {
	pthread_mutex_lock(&registry->lock);
	for (scan_source **p = &registry->first; *p != NULL; p = &(*p)->next) {
		if (*p == source) {
			*p = source->next;
			break;
		}
	}
	pthread_mutex_unlock(&registry->lock);
}
