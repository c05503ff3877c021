// The part of DuckDB's C API (duckdb.h, stable since 1.2) that scan.c, guard.cc
// and stream.go call.
// It is declared here because cgo cannot name the header's directory, which is
// in another module. duckdb.h of v0.10506.0 has the same declarations.
#ifndef ARBALEST_DUCKDB_CAPI_H
#define ARBALEST_DUCKDB_CAPI_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t idx_t;
typedef void *duckdb_connection;
typedef void *duckdb_table_function;
typedef void *duckdb_logical_type;
typedef void *duckdb_bind_info;
typedef void *duckdb_init_info;
typedef void *duckdb_function_info;
typedef void *duckdb_data_chunk;
typedef void *duckdb_vector;
typedef void *duckdb_value;
typedef int duckdb_type;
typedef int duckdb_state;
typedef void (*duckdb_delete_callback_t)(void *data);
typedef void (*duckdb_table_function_bind_t)(duckdb_bind_info info);
typedef void (*duckdb_table_function_init_t)(duckdb_init_info info);
typedef void (*duckdb_table_function_t)(duckdb_function_info info, duckdb_data_chunk output);

enum {
	DUCKDB_TYPE_BOOLEAN = 1,
	DUCKDB_TYPE_SMALLINT = 3,
	DUCKDB_TYPE_INTEGER = 4,
	DUCKDB_TYPE_BIGINT = 5,
	DUCKDB_TYPE_UBIGINT = 9,
	DUCKDB_TYPE_FLOAT = 10,
	DUCKDB_TYPE_DOUBLE = 11,
	DUCKDB_TYPE_TIMESTAMP = 12,
	DUCKDB_TYPE_DATE = 13,
	DUCKDB_TYPE_VARCHAR = 17,
	DUCKDB_TYPE_TIMESTAMP_TZ = 31,
};

// A string of at most 12 bytes is in place; a longer one has its first four
// bytes in place and points to all of them.
typedef struct {
	uint32_t length;
	union {
		char inlined[12];
		struct {
			char prefix[4];
			const char *ptr;
		} __attribute__((packed)) pointer;
	} value;
} duckdb_string_t;

enum { DUCKDB_STRING_INLINED = 12 };

// A result; all is DuckDB's own.
typedef struct {
	idx_t deprecated[3];
	void *columns;
	char *message;
	void *internal_data;
} duckdb_result;

// duckdb.h calls it deprecated, and names nothing in its place.
duckdb_state duckdb_pending_prepared_streaming(void *prepared_statement, void **pending_result);

idx_t duckdb_extract_statements(duckdb_connection connection, const char *query, void **extracted);
duckdb_state duckdb_prepare_extracted_statement(duckdb_connection connection, void *extracted, idx_t index, void **prepared_statement);
duckdb_state duckdb_prepare(duckdb_connection connection, const char *query, void **prepared_statement);
typedef enum { DUCKDB_PENDING_RESULT_READY = 0, DUCKDB_PENDING_RESULT_NOT_READY = 1, DUCKDB_PENDING_ERROR = 2, DUCKDB_PENDING_NO_TASKS_AVAILABLE = 3 } duckdb_pending_state;
duckdb_pending_state duckdb_pending_execute_task(void *pending_result);
duckdb_state duckdb_execute_pending(void *pending_result, duckdb_result *result);
duckdb_data_chunk duckdb_fetch_chunk(duckdb_result result);
void duckdb_interrupt(duckdb_connection connection);
void duckdb_connection_get_client_context(duckdb_connection connection, void **client_context);
void duckdb_destroy_client_context(void **client_context);

duckdb_table_function duckdb_create_table_function(void);
void duckdb_destroy_table_function(duckdb_table_function *function);
void duckdb_table_function_set_name(duckdb_table_function function, const char *name);
void duckdb_table_function_add_parameter(duckdb_table_function function, duckdb_logical_type type);
void duckdb_table_function_set_extra_info(duckdb_table_function function, void *info, duckdb_delete_callback_t destroy);
void duckdb_table_function_set_bind(duckdb_table_function function, duckdb_table_function_bind_t bind);
void duckdb_table_function_set_init(duckdb_table_function function, duckdb_table_function_init_t init);
void duckdb_table_function_set_local_init(duckdb_table_function function, duckdb_table_function_init_t init);
void duckdb_table_function_set_function(duckdb_table_function function, duckdb_table_function_t run);
void duckdb_table_function_supports_projection_pushdown(duckdb_table_function function, bool pushdown);
duckdb_state duckdb_register_table_function(duckdb_connection connection, duckdb_table_function function);

void *duckdb_bind_get_extra_info(duckdb_bind_info info);
duckdb_value duckdb_bind_get_parameter(duckdb_bind_info info, idx_t index);
void duckdb_bind_add_result_column(duckdb_bind_info info, const char *name, duckdb_logical_type type);
void duckdb_bind_set_bind_data(duckdb_bind_info info, void *data, duckdb_delete_callback_t destroy);
void duckdb_bind_set_cardinality(duckdb_bind_info info, idx_t rows, bool is_exact);
void duckdb_bind_set_error(duckdb_bind_info info, const char *error);

void *duckdb_init_get_bind_data(duckdb_init_info info);
void duckdb_init_set_init_data(duckdb_init_info info, void *data, duckdb_delete_callback_t destroy);
idx_t duckdb_init_get_column_count(duckdb_init_info info);
idx_t duckdb_init_get_column_index(duckdb_init_info info, idx_t index);
void duckdb_init_set_max_threads(duckdb_init_info info, idx_t threads);
void duckdb_init_set_error(duckdb_init_info info, const char *error);

void *duckdb_function_get_local_init_data(duckdb_function_info info);
void *duckdb_function_get_init_data(duckdb_function_info info);

duckdb_logical_type duckdb_create_logical_type(duckdb_type type);
duckdb_logical_type duckdb_create_decimal_type(uint8_t width, uint8_t scale);
void duckdb_logical_type_set_alias(duckdb_logical_type type, const char *alias);
void duckdb_destroy_logical_type(duckdb_logical_type *type);
uint64_t duckdb_get_uint64(duckdb_value value);
void duckdb_destroy_value(duckdb_value *value);

idx_t duckdb_vector_size(void);
duckdb_vector duckdb_data_chunk_get_vector(duckdb_data_chunk chunk, idx_t column);
void duckdb_data_chunk_set_size(duckdb_data_chunk chunk, idx_t rows);
void *duckdb_vector_get_data(duckdb_vector vector);
void duckdb_vector_ensure_validity_writable(duckdb_vector vector);
uint64_t *duckdb_vector_get_validity(duckdb_vector vector);

#ifdef __cplusplus
}
#endif
#endif
