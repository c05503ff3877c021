import java.math.BigDecimal;
import java.nio.file.*;
import java.sql.*;
import java.util.*;

/** Jdbc HOST:PORT TYPES.SQL: prints the row of that statement, a value each line, and checks what else the client does. */
public class Jdbc {
    static void want(String what, Object got, Object expected) {
        if (!expected.equals(got)) {
            System.err.println(what + ": " + got + ", want " + expected);
            System.exit(1);
        }
    }

    static String quote(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            b.append(c < ' ' || c > '~' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return b.append('"').toString();
    }

    static String text(ResultSet r, int i) throws SQLException {
        Object o = r.getObject(i);
        if (o instanceof byte[]) {
            return "\\x" + HexFormat.of().formatHex((byte[]) o);
        }
        if (!(o instanceof java.sql.Array)) {
            return r.getString(i);
        }
        List<String> parts = new ArrayList<>();
        for (Object v : (Object[]) ((java.sql.Array) o).getArray()) {
            parts.add(v instanceof String ? quote((String) v) : String.valueOf(v));
        }
        return parts.toString();
    }

    static List<String> column(ResultSet r, String name) throws SQLException {
        List<String> out = new ArrayList<>();
        while (r.next()) {
            out.add(r.getString(name));
        }
        return out;
    }

    /** Asks the catalog what Metabase does when it synchronizes: tables, their columns' types, keys between them, rights. */
    static void bi(Connection c) throws SQLException {
        Statement s = c.createStatement();
        s.execute("SET SESSION TIMEZONE TO 'UTC'");
        want("zone", column(s.executeQuery("show timezone"), "TimeZone"), List.of("UTC"));
        want("kinds", column(s.executeQuery("SELECT c.relname AS name FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid"
            + " LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass"
            + " LEFT JOIN pg_stat_user_tables AS u ON n.nspname = u.schemaname AND c.relname = u.relname"
            + " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'f', 'm') AND n.nspname IN ('main')"), "name"), List.of("user_created"));
        want("types", column(s.executeQuery("SELECT CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name) ELSE format('\"%s\".\"%s\"', c.udt_schema, c.udt_name) END AS type"
            + " FROM information_schema.columns c WHERE c.table_schema !~ '^information_schema|pg_' AND c.table_schema IN ('main') AND c.column_name IN ('email_address', 'event_time', 'plan_seats')"
            + " AND col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS text), CAST(c.table_name AS text)) AS regclass) AS oid), c.ordinal_position) IS NULL ORDER BY c.column_name"), "type"),
            List.of("text", "timestamp", "int8"));
        want("keys", column(s.executeQuery("SELECT a.attname AS name FROM pg_constraint c JOIN pg_class t ON c.conrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid"
            + " WHERE c.contype = 'f'::char AND a.attnum = ANY(c.conkey)"), "name"), List.of());
        want("selectable", column(s.executeQuery("SELECT t.tablename AS name FROM pg_catalog.pg_tables t WHERE t.schemaname = 'main' AND has_schema_privilege(current_user, t.schemaname, 'usage')"
            + " AND has_any_column_privilege(current_user, '\"' || replace(t.schemaname, '\"', '\"\"') || '\".\"' || t.tablename || '\"', 'select')"), "name"), List.of("user_created"));
        want("week", column(s.executeQuery("SELECT count(*) AS n FROM main.user_created WHERE event_time >= date_trunc('week', NOW() + INTERVAL '-1 week') AND event_time < date_trunc('day', NOW() + INTERVAL '2 day')"), "n"), List.of("2"));
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + args[0] + "/arbalest", sql = Files.readString(Path.of(args[1]));
        for (String more : new String[] {"?user=arbalest", "?user=arbalest&prepareThreshold=-1"}) { // text, and binary
            try (Connection c = DriverManager.getConnection(url + more)) {
                ResultSet r = c.prepareStatement(sql).executeQuery();
                r.next();
                for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                    String v = text(r, i);
                    System.out.println(r.getMetaData().getColumnLabel(i) + "\t" + quote(v == null ? "\\N" : v));
                }
            }
        }
        try (Connection c = DriverManager.getConnection(url + "?user=arbalest")) {
            DatabaseMetaData d = c.getMetaData();
            want("tables", column(d.getTables(null, "main", "%", new String[] {"TABLE"}), "TABLE_NAME"), List.of("user_created"));
            want("views", column(d.getTables(null, "arbalest", "books", new String[] {"VIEW"}), "TABLE_NAME"), List.of("books"));
            want("columns", column(d.getColumns(null, null, "user_created", "plan_seats"), "TYPE_NAME"), List.of("int8"));
            want("schemas", column(d.getSchemas(), "TABLE_SCHEM").contains("main"), true);
            want("catalogs", column(d.getCatalogs(), "TABLE_CAT"), List.of("arbalest"));
            for (ResultSet none : new ResultSet[] {d.getPrimaryKeys(null, null, "user_created"), d.getIndexInfo(null, null, "user_created", false, false),
                    d.getImportedKeys(null, null, "user_created"), d.getExportedKeys(null, null, "user_created"), d.getProcedures(null, null, "%"), d.getFunctions(null, null, "%")}) {
                want("none", none.next(), false);
            }
            want("types", column(d.getTypeInfo(), "TYPE_NAME").contains("timestamptz"), true);
            bi(c);
            want("rights", column(d.getTablePrivileges(null, "main", "user_created"), "PRIVILEGE"), List.of("SELECT"));
            PreparedStatement p = c.prepareStatement("SELECT email_address FROM user_created WHERE plan_seats = ? AND plan_price = ? AND event_time < ?");
            for (int i = 0; i < 8; i++) {
                p.setLong(1, 4);
                p.setBigDecimal(2, new BigDecimal("9.5"));
                p.setTimestamp(3, Timestamp.valueOf("2030-01-01 00:00:00"));
                want("prepared", column(p.executeQuery(), "email_address"), List.of("joe@doe.com"));
            }
            c.setAutoCommit(false);
            Statement s = c.createStatement();
            s.setFetchSize(10);
            ResultSet r = s.executeQuery("SELECT i FROM range(35) r(i) ORDER BY i");
            for (int i = 0; i < 35; i++) {
                want("row", r.next() && r.getInt(1) == i, true);
                c.createStatement().executeQuery("SELECT 1").next(); // another result meanwhile
            }
            want("end", r.next(), false);
            c.commit();
            try {
                s.setQueryTimeout(1);
                s.executeQuery("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7");
                want("timeout", "none", "57014");
            } catch (SQLException e) {
                want("timeout", e.getSQLState(), "57014");
            }
        }
    }
}
