# python.py psycopg2|sqlalchemy|odbc HOST PORT TYPES.SQL: prints the row of that
# statement, a value each line, and checks what else the client does.
import datetime, io, json, sys

client, host, port, types = sys.argv[1:5]
sql = open(types, encoding='utf-8').read()


def text(v):
    if v is None:
        return r'\N'
    if isinstance(v, (memoryview, bytes, bytearray)):
        return '\\x' + bytes(v).hex()
    if isinstance(v, datetime.timedelta):
        return '%d days %02d:%02d:%02d' % (v.days, v.seconds // 3600, v.seconds // 60 % 60, v.seconds % 60)
    if isinstance(v, (list, dict)):
        return json.dumps(v)
    return str(v)


def show(names, row):
    for name, value in zip(names, row):
        print(name, json.dumps(text(value)), sep='\t')


def want(what, got, expected):
    if got != expected:
        sys.exit('%s: %r, want %r' % (what, got, expected))


if client == 'psycopg2':
    import psycopg2
    c = psycopg2.connect(host=host, port=port, user='arbalest', dbname='arbalest')
    cur = c.cursor()
    cur.execute(sql)
    show([d[0] for d in cur.description], cur.fetchone())
    cur.execute('SELECT email_address FROM user_created WHERE email_address = %s AND plan_seats = ANY(%s)', ('jane@doe.com', [3, 4]))
    want('parameters', cur.fetchall(), [('jane@doe.com',)])
    with c.cursor('named') as n:
        n.itersize = 2
        n.execute('SELECT i FROM range(7) r(i)')
        want('named cursor', [r[0] for r in n], list(range(7)))
    out = io.StringIO()
    cur.copy_expert('COPY (SELECT email_address, NULL FROM user_created ORDER BY 1) TO STDOUT CSV HEADER', out)
    want('copy', out.getvalue().splitlines()[1:], ['jane@doe.com,', 'joe@doe.com,'])
    try:
        cur.execute('DROP TABLE user_created')
        sys.exit('it could write')
    except psycopg2.errors.ReadOnlySqlTransaction:
        c.rollback()
elif client == 'sqlalchemy':
    import sqlalchemy as sa
    e = sa.create_engine('postgresql+psycopg2://arbalest@%s:%s/arbalest' % (host, port))
    with e.connect() as c:
        r = c.execute(sa.text(sql.replace(':', '\\:')))
        show(r.keys(), r.fetchone())
        i = sa.inspect(c)
        want('schemas', 'main' in i.get_schema_names() and 'arbalest' in i.get_schema_names(), True)
        want('tables', i.get_table_names(), ['user_created'])
        want('views', 'books' in i.get_view_names('arbalest'), True)
        columns = {x['name']: str(x['type']) for x in i.get_columns('user_created')}
        want('columns', (columns['email_address'], columns['event_time'], columns['plan_seats']), ('TEXT', 'TIMESTAMP', 'BIGINT'))
        want('keys', (i.get_pk_constraint('user_created')['constrained_columns'], i.get_foreign_keys('user_created'), i.get_indexes('user_created')), ([], [], []))
        t = sa.Table('user_created', sa.MetaData(), autoload_with=c)
        want('select', c.execute(sa.select(t.c.email_address).where(t.c.plan_seats == 4)).fetchall(), [('joe@doe.com',)])
    # as Superset goes about it: a schema at connection, comments and constraints, time grains between times that are given as text
    e = sa.create_engine('postgresql+psycopg2://arbalest@%s:%s/arbalest' % (host, port), connect_args={'options': '-csearch_path=main'})
    with e.connect() as c:
        i = sa.inspect(c)
        want('comment', i.get_table_comment('user_created', 'main'), {'text': None})
        want('constraints', (i.get_unique_constraints('user_created', 'main'), i.get_check_constraints('user_created', 'main')), ([], []))
        at = "TO_TIMESTAMP('%s-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')"
        for grain in ('second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'):
            q = "SELECT DATE_TRUNC('%s', event_time) AS __timestamp, COUNT(*) AS count FROM main.user_created WHERE event_time >= %s AND event_time < %s GROUP BY DATE_TRUNC('%s', event_time) ORDER BY count DESC LIMIT 10000"
            rows = c.exec_driver_sql(q % (grain, at % 2020, at % 2035, grain)).fetchall()
            want(grain, (sum(n for _, n in rows), type(rows[0][0])), (2, datetime.datetime))
else:
    import pyodbc
    for more in ('', 'UseDeclareFetch=1;Fetch=100;'):
        c = pyodbc.connect('Driver=PostgreSQL Unicode;Server=%s;Port=%s;Database=arbalest;Uid=arbalest;BoolsAsChar=0;%s' % (host, port, more))
        cur = c.cursor()
        cur.execute(sql)
        row = cur.fetchone()
        if more:
            show([d[0] for d in cur.description], row)
        want('tables', [r[2] for r in cur.tables(schema='main')], ['user_created'])
        want('columns', {r[3]: r[5] for r in cur.columns(table='user_created')}['plan_seats'], 'int8')
        want('keys', (cur.primaryKeys('user_created').fetchall(), cur.foreignKeys('user_created').fetchall(), cur.statistics('user_created').fetchall()), ([], [], []))
        want('parameters', [r[0] for r in cur.execute('SELECT email_address FROM user_created WHERE plan_seats = ?', 4).fetchall()], ['joe@doe.com'])
        want('many', len(cur.execute('SELECT i FROM range(1000) r(i)').fetchall()), 1000)
        c.close()
