package redshifttest

import (
	"fmt"
	"slices"
	"strings"
)

// A refusal is an error that Redshift answers with. Where its text is not
// documented it is ours.
type refusal struct {
	code, message, detail string
}

func (r *refusal) Error() string { return r.message }

func syntaxError(near string) error {
	return &refusal{code: "42601", message: fmt.Sprintf(`syntax error at or near "%s"`, near)}
}

func unsupported(what string) error {
	return &refusal{code: "0A000", message: what + " is not supported"}
}

// statements are the words that a statement may begin with (Developer Guide,
// "SQL commands"), as far as the emulator knows them.
var statements = strings.Fields(`abort alter analyze begin close comment commit copy create declare delete drop end
	explain fetch grant insert lock merge reset revoke rollback select set show start truncate update vacuum with`)

// functions are those of PostgreSQL that Redshift has not (Developer Guide,
// "Unsupported PostgreSQL functions"; generate_series runs on the leader node
// only), and those of its types that it has not.
var functions = strings.Fields(`string_agg array_agg every xml_agg xmlagg corr generate_series generate_subscripts
	clock_timestamp transaction_timestamp justify_days justify_hours justify_interval pg_sleep div setseed width_bucket
	bit_length overlay convert_from convert_to encode format quote_nullable regexp_matches regexp_split_to_array
	regexp_split_to_table current_query nextval currval setval unnest array_length array_position cardinality
	json_agg jsonb_agg json_build_object jsonb_build_object json_object_agg jsonb_object_agg to_json to_jsonb row_to_json
	json_each jsonb_each json_each_text jsonb_each_text json_object_keys jsonb_object_keys jsonb_set jsonb_typeof json_typeof
	json_array_elements jsonb_array_elements json_array_elements_text jsonb_array_elements_text
	gen_random_uuid txid_current pg_current_xact_id to_regclass num_nulls num_nonnulls to_tsvector xpath`)

// types are those of PostgreSQL that Redshift has not ("Unsupported PostgreSQL
// data types").
var types = strings.Fields(`json jsonb bytea uuid serial serial2 serial4 serial8 bigserial smallserial money xml inet cidr
	macaddr hstore tsvector tsquery bit varbit point line box path polygon circle int4range int8range numrange tsrange
	tstzrange daterange jsonpath pg_lsn citext`)

// phrases are sequences of words that Redshift does not know in any statement.
var phrases = [][]string{
	{"on", "conflict"}, {"distinct", "on"}, {"distinct", "from"}, {"returning"}, {"for", "update"}, {"for", "share"},
	{"filter", "("}, {"lateral"}, {"array", "["}, {"(", "values"}, {"tablesample"}, {"with", "ordinality"},
	{"materialized", "("}, {"on", "commit"}, {"intersect", "all"}, {"except", "all"}, {"fetch", "first"},
	{"add", "column", "if"}, {"using", "gin"}, {"partition", "of"}, {"inherits"}, {"-", ">"}, {"at", "local"},
}

// check refuses what Redshift does not understand.
func (s statement) check() error {
	first := s.word(0)
	switch {
	case first == "savepoint" || first == "release" || s.is(0, "rollback", "to"):
		return unsupported("SAVEPOINT")
	case !slices.Contains(statements, first):
		return syntaxError(s[0].raw)
	case first == "create":
		for _, what := range []string{"index", "sequence", "trigger", "type", "domain", "extension", "rule", "operator", "aggregate", "event"} {
			if s.is(1, what) || s.is(1, "unique", what) || s.is(1, "or", "replace") && s.is(3, what) {
				return unsupported("CREATE " + strings.ToUpper(what))
			}
		}
	}
	for i := range s {
		for _, p := range phrases {
			if s.is(i, p...) {
				return syntaxError(s[i].raw)
			}
		}
		if err := s.checkCall(i); err != nil {
			return err
		}
	}
	return s.checkWith()
}

// checkCall refuses functions and casts.
func (s statement) checkCall(i int) error {
	w := s.word(i)
	switch {
	case s.is(i-1, ".") || s.is(i-1, "table") || s.is(i-1, "into") || s.is(i-1, "exists"):
		return nil // the name of a relation
	case s.is(i+1, "(") && (slices.Contains(functions, w) || strings.Contains(w, "advisory")):
		return &refusal{code: "42883", message: fmt.Sprintf("function %s is not supported", w)}
	case w == "::" || w == "as" && i > 0:
		if t := s.word(i + 1); slices.Contains(types, t) && (w == "::" || s.is(i+2, ")")) {
			return &refusal{code: "42704", message: fmt.Sprintf(`type "%s" does not exist`, t)}
		}
	case w == "any" && s.is(i+1, "(") && i+2 < len(s) && (s[i+2].kind == parameter || s[i+2].kind == text):
		return unsupported("an array")
	case w == "[" && s.is(i+1, "]"):
		return unsupported("an array")
	}
	return nil
}

// checkWith refuses WITH in front of anything but a SELECT.
func (s statement) checkWith() error {
	if s.word(0) != "with" {
		return nil
	}
	for i := 1; i < len(s); i++ {
		switch s.word(i) {
		case "(":
			i = s.close(i)
		case "select":
			return nil
		case "insert", "update", "delete", "merge":
			return syntaxError(s[i].raw)
		}
	}
	return nil
}

// bindable says whether a statement may have parameters (Developer Guide,
// "PREPARE").
func (s statement) bindable() error {
	switch s.word(0) {
	case "select", "with", "insert", "update", "delete":
		return nil
	}
	for _, t := range s {
		if t.kind == parameter {
			return syntaxError(t.raw)
		}
	}
	return nil
}

// reserved are the words that name nothing without quotes (Developer Guide,
// "Reserved words").
var reserved = strings.Fields(strings.ToLower(`AES128 AES256 ALL ALLOWOVERWRITE ANALYSE ANALYZE AND ANY ARRAY AS ASC AUTHORIZATION AZ64 BACKUP BETWEEN
	BINARY BLANKSASNULL BOTH BYTEDICT BZIP2 CASE CAST CHECK COLLATE COLUMN CONNECT CONSTRAINT CREATE CREDENTIALS CROSS CURRENT_DATE CURRENT_TIME
	CURRENT_TIMESTAMP CURRENT_USER CURRENT_USER_ID DEFAULT DEFERRABLE DEFLATE DEFRAG DELTA DELTA32K DESC DISABLE DISTINCT DO ELSE EMPTYASNULL ENABLE
	ENCODE ENCRYPT ENCRYPTION END EXCEPT EXPLICIT FALSE FOR FOREIGN FREEZE FROM FULL GLOBALDICT256 GLOBALDICT64K GRANT GROUP GZIP HAVING IDENTITY
	IGNORE ILIKE IN INITIALLY INNER INTERSECT INTERVAL INTO IS ISNULL JOIN LANGUAGE LEADING LEFT LIKE LIMIT LOCALTIME LOCALTIMESTAMP LUN LUNS LZO LZOP
	MINUS MOSTLY16 MOSTLY32 MOSTLY8 NATURAL NEW NOT NOTNULL NULL NULLS OFF OFFLINE OFFSET OID OLD ON ONLY OPEN OR ORDER OUTER OVERLAPS PARALLEL
	PARTITION PERCENT PERMISSIONS PIVOT PLACING PRIMARY RAW READRATIO RECOVER REFERENCES REJECTLOG RESORT RESPECT RESTORE RIGHT SELECT SESSION_USER
	SIMILAR SNAPSHOT SOME SYSDATE SYSTEM START TABLE TAG TDES TEXT255 TEXT32K THEN TIMESTAMP TO TOP TRAILING TRUE TRUNCATECOLUMNS UNION UNIQUE UNNEST
	UNPIVOT USER USING VERBOSE WALLET WHEN WHERE WITH WITHOUT`))

// systemColumns name no column (Developer Guide, "Unsupported PostgreSQL
// features").
var systemColumns = []string{"oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
