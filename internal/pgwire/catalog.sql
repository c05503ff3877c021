CREATE MACRO version() AS 'PostgreSQL {version} on DuckDB, compiled by Go, 64-bit';
CREATE MACRO current_database() AS 'arbalest';
CREATE MACRO current_schemas(implicit) AS CASE WHEN implicit THEN ['pg_catalog', 'main'] ELSE ['main'] END;
CREATE MACRO pg_is_in_recovery() AS false;
CREATE MACRO txid_current() AS 1::BIGINT;
CREATE MACRO set_config(name, value, local) AS value;
CREATE MACRO pg_encoding_to_char(x) AS 'UTF8';
CREATE MACRO pg_char_to_encoding(x) AS 6;
CREATE MACRO pg_get_userbyid(x) AS 'arbalest';
CREATE MACRO format_type(o, m) AS CASE WHEN o IS NULL THEN NULL WHEN o::BIGINT = 1700 AND m >= 4 THEN 'numeric(' || ((m - 4) >> 16) || ',' || ((m - 4) & 65535) || ')' ELSE pg.main.pg_name_of(o) END;
CREATE MACRO pg_get_expr(e, r) AS e, (e, r, p) AS e;
CREATE MACRO pg_get_constraintdef(o) AS NULL::VARCHAR, (o, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_indexdef(o) AS NULL::VARCHAR, (o, c, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_viewdef(o) AS (SELECT sql FROM duckdb_views() WHERE view_oid = o::BIGINT), (o, p) AS (SELECT sql FROM duckdb_views() WHERE view_oid = o::BIGINT);
CREATE MACRO pg_get_ruledef(o) AS NULL::VARCHAR, (o, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_triggerdef(o) AS NULL::VARCHAR, (o, p) AS NULL::VARCHAR;
CREATE MACRO pg_get_partkeydef(o) AS NULL::VARCHAR;
CREATE MACRO pg_get_statisticsobjdef_columns(o) AS NULL::VARCHAR;
CREATE MACRO pg_get_serial_sequence(t, c) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_result(o) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_arguments(o) AS NULL::VARCHAR;
CREATE MACRO pg_get_function_identity_arguments(o) AS NULL::VARCHAR;
CREATE MACRO pg_get_functiondef(o) AS NULL::VARCHAR;
CREATE MACRO pg_relation_is_publishable(o) AS false;
CREATE MACRO pg_relation_size(o) AS 0::BIGINT, (o, f) AS 0::BIGINT;
CREATE MACRO pg_table_size(o) AS 0::BIGINT;
CREATE MACRO pg_total_relation_size(o) AS 0::BIGINT;
CREATE MACRO pg_indexes_size(o) AS 0::BIGINT;
CREATE MACRO pg_database_size(o) AS 0::BIGINT;
CREATE MACRO pg_tablespace_size(o) AS 0::BIGINT;
CREATE MACRO obj_description(o) AS NULL::VARCHAR, (o, c) AS NULL::VARCHAR;
CREATE MACRO shobj_description(o, c) AS NULL::VARCHAR;
CREATE MACRO col_description(o, n) AS NULL::VARCHAR;
CREATE MACRO pg_type_is_visible(o) AS true;
CREATE MACRO pg_function_is_visible(o) AS true;
CREATE MACRO pg_get_keywords() AS TABLE SELECT keyword_name AS word, 'U' AS catcode, keyword_category AS catdesc FROM duckdb_keywords();
CREATE MACRO has_table_privilege(t, p) AS lower(p) LIKE '%select%', (u, t, p) AS lower(p) LIKE '%select%';
CREATE MACRO has_column_privilege(t, c, p) AS lower(p) LIKE '%select%', (u, t, c, p) AS lower(p) LIKE '%select%';
CREATE MACRO has_any_column_privilege(t, p) AS lower(p) LIKE '%select%', (u, t, p) AS lower(p) LIKE '%select%';
CREATE MACRO has_schema_privilege(s, p) AS lower(p) LIKE '%usage%', (u, s, p) AS lower(p) LIKE '%usage%';
CREATE MACRO has_database_privilege(d, p) AS lower(p) LIKE '%connect%', (u, d, p) AS lower(p) LIKE '%connect%';
CREATE MACRO has_sequence_privilege(s, p) AS false, (u, s, p) AS false;
CREATE MACRO has_function_privilege(s, p) AS true, (u, s, p) AS true;
CREATE MACRO pg_has_role(r, p) AS true, (u, r, p) AS true;
CREATE MACRO quote_ident(s) AS CASE WHEN regexp_full_match(s, '[a-z_][a-z0-9_$]*') THEN s ELSE '"' || replace(s, '"', '""') || '"' END;
CREATE MACRO quote_literal(s) AS '''' || replace(s::VARCHAR, '''', '''''') || '''';
CREATE MACRO array_lower(a, d) AS CASE WHEN len(a) > 0 THEN 1 END;
CREATE MACRO array_upper(a, d) AS CASE WHEN len(a) > 0 THEN len(a) END;
CREATE MACRO array_remove(a, x) AS list_filter(a, lambda v: v IS DISTINCT FROM x);
CREATE MACRO pg_tablespace_location(o) AS '';
CREATE MACRO _pg_series(a, b) AS unnest(generate_series(a::BIGINT, b::BIGINT));
CREATE MACRO _pg_expandarray(a) AS unnest(list_transform(a, lambda x, i: {'x': x, 'n': i}));
CREATE VIEW pg_namespace AS
  SELECT oid::UINTEGER AS oid, schema_name AS nspname, 10::UINTEGER AS nspowner, NULL::VARCHAR[] AS nspacl FROM duckdb_schemas() WHERE database_name = 'warehouse'
  UNION ALL SELECT 11::UINTEGER, 'pg_catalog', 10::UINTEGER, NULL UNION ALL SELECT 12::UINTEGER, 'information_schema', 10::UINTEGER, NULL;
CREATE VIEW pg_class AS
  SELECT r.oid::UINTEGER AS oid, r.name AS relname, r.schema_oid::UINTEGER AS relnamespace, 0::UINTEGER AS reltype, 0::UINTEGER AS reloftype, 10::UINTEGER AS relowner,
    (CASE WHEN r.kind = 'r' THEN 2 ELSE 0 END)::UINTEGER AS relam, r.oid::UINTEGER AS relfilenode, 0::UINTEGER AS reltablespace, 0 AS relpages, r.tuples::FLOAT AS reltuples,
    0 AS relallvisible, 0::UINTEGER AS reltoastrelid, false AS relhasindex, false AS relisshared, 'p' AS relpersistence, r.kind AS relkind, r.columns::SMALLINT AS relnatts,
    0::SMALLINT AS relchecks, false AS relhasoids, false AS relhasrules, false AS relhastriggers, false AS relhassubclass, false AS relrowsecurity, false AS relforcerowsecurity,
    true AS relispopulated, 'd' AS relreplident, false AS relispartition, 0::UINTEGER AS relrewrite, 0::BIGINT AS relfrozenxid, 0::BIGINT AS relminmxid,
    ['arbalest=r/arbalest'] AS relacl, NULL::VARCHAR[] AS reloptions, NULL::VARCHAR AS relpartbound
  FROM (SELECT table_oid AS oid, table_name AS name, schema_oid, 'r' AS kind, estimated_size AS tuples, column_count AS columns FROM duckdb_tables() WHERE database_name = 'warehouse' AND NOT internal
    UNION ALL SELECT view_oid, view_name, schema_oid, 'v', 0, column_count FROM duckdb_views() WHERE database_name = 'warehouse' AND NOT internal) r;
CREATE VIEW pg_attribute AS
  SELECT table_oid::UINTEGER AS attrelid, column_name AS attname, pg.main.pg_oid_of(data_type) AS atttypid, -1 AS attstattarget, -1::SMALLINT AS attlen,
    column_index::SMALLINT AS attnum, 0 AS attndims, -1 AS attcacheoff,
    CASE WHEN regexp_matches(data_type, '^DECIMAL\([0-9,]*\)$') THEN ((numeric_precision << 16) | numeric_scale) + 4 ELSE -1 END::INTEGER AS atttypmod,
    false AS attbyval, 'x' AS attstorage, '' AS attcompression, 'i' AS attalign, NOT is_nullable AS attnotnull, false AS atthasdef, false AS atthasmissing, '' AS attidentity, '' AS attgenerated,
    false AS attisdropped, true AS attislocal, 0 AS attinhcount, 0::UINTEGER AS attcollation, NULL::VARCHAR[] AS attacl, NULL::VARCHAR[] AS attoptions, NULL::VARCHAR[] AS attfdwoptions
  FROM duckdb_columns() WHERE database_name = 'warehouse' AND NOT internal;
CREATE VIEW pg_type AS
  SELECT oid::UINTEGER AS oid, typname, 11::UINTEGER AS typnamespace, 10::UINTEGER AS typowner, typlen::SMALLINT AS typlen, typlen > 0 AND typlen <= 8 AS typbyval, 'b' AS typtype, typcategory,
    false AS typispreferred, true AS typisdefined, ',' AS typdelim, 0::UINTEGER AS typrelid, typelem::UINTEGER AS typelem, typarray::UINTEGER AS typarray,
    typname || 'in' AS typinput, typname || 'out' AS typoutput, typname || 'recv' AS typreceive, typname || 'send' AS typsend, '-' AS typmodin, '-' AS typmodout, '-' AS typanalyze,
    'i' AS typalign, 'x' AS typstorage, false AS typnotnull, 0::UINTEGER AS typbasetype, -1 AS typtypmod, 0 AS typndims, 0::UINTEGER AS typcollation, NULL::VARCHAR AS typdefault, NULL::VARCHAR[] AS typacl
  FROM pg.main.pg_types;
CREATE VIEW pg_database AS
  SELECT 1::UINTEGER AS oid, 'arbalest' AS datname, 10::UINTEGER AS datdba, 6 AS encoding, 'C' AS datcollate, 'C' AS datctype, false AS datistemplate, true AS datallowconn, -1 AS datconnlimit,
    0::UINTEGER AS datlastsysoid, 0::BIGINT AS datfrozenxid, 0::UINTEGER AS dattablespace, NULL::VARCHAR[] AS datacl;
CREATE VIEW pg_roles AS
  SELECT 10::UINTEGER AS oid, 'arbalest' AS rolname, false AS rolsuper, true AS rolinherit, false AS rolcreaterole, false AS rolcreatedb, true AS rolcanlogin, false AS rolreplication,
    -1 AS rolconnlimit, NULL::VARCHAR AS rolpassword, NULL::TIMESTAMPTZ AS rolvaliduntil, false AS rolbypassrls, NULL::VARCHAR[] AS rolconfig;
CREATE VIEW pg_authid AS SELECT * FROM pg.main.pg_roles;
CREATE VIEW pg_user AS SELECT rolname AS usename, oid AS usesysid, false AS usecreatedb, false AS usesuper, false AS userepl, false AS usebypassrls, NULL::VARCHAR AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig FROM pg.main.pg_roles;
CREATE VIEW pg_shadow AS SELECT * FROM pg.main.pg_user;
CREATE VIEW pg_group AS SELECT NULL::VARCHAR AS groname, NULL::UINTEGER AS grosysid, NULL::UINTEGER[] AS grolist WHERE false;
CREATE VIEW pg_am AS SELECT 2::UINTEGER AS oid, 'heap' AS amname, '-' AS amhandler, 't' AS amtype;
CREATE VIEW pg_collation AS SELECT 100::UINTEGER AS oid, 'default' AS collname, 11::UINTEGER AS collnamespace, 10::UINTEGER AS collowner, 'd' AS collprovider, true AS collisdeterministic, -1 AS collencoding, '' AS collcollate, '' AS collctype, NULL::VARCHAR AS collversion;
CREATE VIEW pg_tablespace AS SELECT 1663::UINTEGER AS oid, 'pg_default' AS spcname, 10::UINTEGER AS spcowner, NULL::VARCHAR[] AS spcacl, NULL::VARCHAR[] AS spcoptions;
CREATE VIEW pg_settings AS SELECT name, value AS setting, NULL::VARCHAR AS unit, 'Arbalest' AS category, description AS short_desc, 'user' AS context, 'string' AS vartype, 'default' AS source FROM (VALUES
  ('server_version', '{version}', 'version'), ('server_encoding', 'UTF8', 'encoding'), ('max_index_keys', '32', 'columns of an index'), ('TimeZone', 'UTC', 'time zone'), ('DateStyle', 'ISO, MDY', 'form of dates'),
  ('standard_conforming_strings', 'on', 'backslashes in strings are characters'), ('lc_collate', 'C', 'order of texts'), ('lc_ctype', 'C', 'classes of characters')) t(name, value, description);
CREATE VIEW pg_timezone_names AS SELECT name, abbrev, utc_offset, is_dst FROM pg_timezone_names();
CREATE VIEW pg_tables AS SELECT schema_name AS schemaname, table_name AS tablename, 'arbalest' AS tableowner, NULL::VARCHAR AS tablespace, false AS hasindexes, false AS hasrules, false AS hastriggers, false AS rowsecurity FROM duckdb_tables() WHERE database_name = 'warehouse' AND NOT internal;
CREATE VIEW pg_views AS SELECT schema_name AS schemaname, view_name AS viewname, 'arbalest' AS viewowner, sql AS definition FROM duckdb_views() WHERE database_name = 'warehouse' AND NOT internal;
CREATE VIEW pg_stat_user_tables AS SELECT table_oid::UINTEGER AS relid, schema_name AS schemaname, table_name AS relname, estimated_size AS n_live_tup, 0::BIGINT AS n_dead_tup FROM duckdb_tables() WHERE database_name = 'warehouse' AND NOT internal;
CREATE MACRO pg_table_is_visible(o) AS o::BIGINT IN (SELECT c.oid FROM pg.main.pg_class c JOIN pg.main.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'main');
CREATE MACRO to_regclass(s) AS (SELECT c.oid FROM pg.main.pg_class c JOIN pg.main.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname = replace(regexp_replace(s::VARCHAR, '^("[^"]*"|[^."]*)\.', ''), '"', '') AND n.nspname = CASE WHEN s::VARCHAR LIKE '%.%' THEN replace(replace(regexp_extract(s::VARCHAR, '^("[^"]*"|[^."]*)\.', 1), '"', ''), 'public', 'main') ELSE 'main' END LIMIT 1);
CREATE MACRO to_regtype(s) AS (SELECT oid FROM pg.main.pg_type WHERE typname = s::VARCHAR OR pg.main.pg_name_of(oid) = lower(s::VARCHAR) LIMIT 1);
CREATE MACRO to_regnamespace(s) AS (SELECT oid FROM pg.main.pg_namespace WHERE nspname = s::VARCHAR);
CREATE MACRO to_regrole(s) AS 10::UINTEGER;
CREATE MACRO to_regproc(s) AS NULL::UINTEGER;
CREATE MACRO to_regprocedure(s) AS NULL::UINTEGER;
CREATE MACRO regclass_name(o) AS coalesce((SELECT relname FROM pg.main.pg_class WHERE oid = try_cast(o AS BIGINT)), o::VARCHAR);
CREATE MACRO regtype_name(o) AS coalesce(pg.main.pg_name_of(try_cast(o AS BIGINT)), o::VARCHAR);
CREATE MACRO regnamespace_name(o) AS coalesce((SELECT nspname FROM pg.main.pg_namespace WHERE oid = try_cast(o AS BIGINT)), o::VARCHAR);
CREATE MACRO regrole_name(o) AS 'arbalest';
CREATE MACRO regproc_name(o) AS o::VARCHAR;
CREATE MACRO regprocedure_name(o) AS o::VARCHAR;
CREATE VIEW info.schemata AS SELECT 'arbalest' AS catalog_name, nspname AS schema_name, 'arbalest' AS schema_owner, NULL::VARCHAR AS default_character_set_catalog, NULL::VARCHAR AS default_character_set_schema, NULL::VARCHAR AS default_character_set_name, NULL::VARCHAR AS sql_path FROM pg.main.pg_namespace;
CREATE VIEW info.tables AS
  SELECT 'arbalest' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type, NULL::VARCHAR AS self_referencing_column_name,
    NULL::VARCHAR AS reference_generation, NULL::VARCHAR AS user_defined_type_catalog, NULL::VARCHAR AS user_defined_type_schema, NULL::VARCHAR AS user_defined_type_name, 'NO' AS is_insertable_into, 'NO' AS is_typed, NULL::VARCHAR AS commit_action
  FROM pg.main.pg_class c JOIN pg.main.pg_namespace n ON n.oid = c.relnamespace;
CREATE VIEW info.views AS SELECT 'arbalest' AS table_catalog, schemaname AS table_schema, viewname AS table_name, definition AS view_definition, 'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into FROM pg.main.pg_views;
CREATE VIEW info.columns AS
  SELECT 'arbalest' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name, a.attnum::INTEGER AS ordinal_position, NULL::VARCHAR AS column_default, CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
    CASE WHEN t.typcategory = 'A' THEN 'ARRAY' ELSE pg.main.pg_name_of(a.atttypid) END AS data_type, NULL::INTEGER AS character_maximum_length, NULL::INTEGER AS character_octet_length,
    CASE WHEN a.atttypid = 1700 AND a.atttypmod >= 4 THEN (a.atttypmod - 4) >> 16 WHEN a.atttypid = 21 THEN 16 WHEN a.atttypid = 23 THEN 32 WHEN a.atttypid = 20 THEN 64 WHEN a.atttypid = 700 THEN 24 WHEN a.atttypid = 701 THEN 53 END::INTEGER AS numeric_precision,
    CASE WHEN a.atttypid IN (700, 701) THEN 2 WHEN a.atttypid IN (20, 21, 23) THEN 2 WHEN a.atttypid = 1700 THEN 10 END::INTEGER AS numeric_precision_radix,
    CASE WHEN a.atttypid = 1700 AND a.atttypmod >= 4 THEN (a.atttypmod - 4) & 65535 WHEN a.atttypid IN (20, 21, 23) THEN 0 END::INTEGER AS numeric_scale,
    CASE WHEN a.atttypid = 1082 THEN 0 WHEN t.typcategory IN ('D', 'T') THEN 6 END::INTEGER AS datetime_precision, NULL::VARCHAR AS interval_type, NULL::INTEGER AS interval_precision,
    NULL::VARCHAR AS character_set_catalog, NULL::VARCHAR AS character_set_schema, NULL::VARCHAR AS character_set_name, NULL::VARCHAR AS collation_catalog, NULL::VARCHAR AS collation_schema, NULL::VARCHAR AS collation_name,
    NULL::VARCHAR AS domain_catalog, NULL::VARCHAR AS domain_schema, NULL::VARCHAR AS domain_name, 'arbalest' AS udt_catalog, 'pg_catalog' AS udt_schema, t.typname AS udt_name,
    NULL::VARCHAR AS scope_catalog, NULL::VARCHAR AS scope_schema, NULL::VARCHAR AS scope_name, NULL::INTEGER AS maximum_cardinality, a.attnum::VARCHAR AS dtd_identifier, 'NO' AS is_self_referencing,
    'NO' AS is_identity, NULL::VARCHAR AS identity_generation, NULL::VARCHAR AS identity_start, NULL::VARCHAR AS identity_increment, NULL::VARCHAR AS identity_maximum, NULL::VARCHAR AS identity_minimum, 'NO' AS identity_cycle,
    'NEVER' AS is_generated, NULL::VARCHAR AS generation_expression, 'NO' AS is_updatable
  FROM pg.main.pg_attribute a JOIN pg.main.pg_class c ON c.oid = a.attrelid JOIN pg.main.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg.main.pg_type t ON t.oid = a.atttypid
