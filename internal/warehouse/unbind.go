package warehouse

import "strings"

// Unbind returns the statements that drop the views of models that stand on a
// table or view: PostgreSQL would else neither drop it nor change a column's
// type. A view that no model made is left, and so keeps those. The next pass over
// the models makes the views again. Other databases find a view's tables when it
// is read.
func (d Dialect) Unbind(schema, table string) []string {
	if d.Name != "postgres" {
		return nil
	}
	const block = `DO $unbind$
DECLARE v record;
BEGIN
	IF to_regclass('arbalest.models') IS NULL OR to_regclass({table}) IS NULL THEN
		RETURN;
	END IF;
	FOR v IN
		WITH RECURSIVE above(id, depth) AS (
			SELECT to_regclass({table})::oid, 0
			UNION
			SELECT r.ev_class, a.depth + 1 FROM above a JOIN pg_depend p ON p.refclassid = 'pg_class'::regclass AND p.refobjid = a.id
			JOIN pg_rewrite r ON p.classid = 'pg_rewrite'::regclass AND r.oid = p.objid WHERE r.ev_class <> a.id)
		SELECT n.nspname, c.relname FROM (SELECT id, max(depth) AS depth FROM above WHERE depth > 0 GROUP BY id) a
		JOIN pg_class c ON c.oid = a.id AND c.relkind = 'v' JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN arbalest.models m ON m.name = c.relname WHERE n.nspname = 'public' ORDER BY a.depth DESC
	LOOP
		EXECUTE format('DROP VIEW %I.%I', v.nspname, v.relname);
	END LOOP;
END $unbind$`
	return []string{strings.ReplaceAll(block, "{table}", Literal(Qualified(schema, table)))}
}
