// pg.js HOST PORT TYPES.SQL: prints the row of that statement twice, a value
// each line, as text and as pg parses it, and checks what else the client does.
'use strict'
const assert = require('node:assert/strict')
const fs = require('node:fs')
const pg = require('pg')
const Cursor = require('pg-cursor')

const [host, port, file] = process.argv.slice(2)
const sql = fs.readFileSync(file, 'utf8')
const settings = { host, port: Number(port), user: 'arbalest', database: 'arbalest' }
const times = [pg.types.builtins.DATE, pg.types.builtins.TIMESTAMP, pg.types.builtins.TIMESTAMPTZ]
const slow = 'SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7'

function text(value) {
  if (value === null) return '\\N'
  if (Buffer.isBuffer(value)) return '\\x' + value.toString('hex')
  if (value.toPostgres && 'hours' in value) { // an interval
    const two = (n) => String(n || 0).padStart(2, '0')
    return `${value.days} days ${two(value.hours)}:${two(value.minutes)}:${two(value.seconds)}`
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function show({ fields, rows: [row] }) {
  for (const { name } of fields) console.log(`${name}\t${JSON.stringify(text(row[name]))}`)
}

async function main() {
  const client = new pg.Client(settings)
  await client.connect()
  show(await client.query({ text: sql, types: { getTypeParser: () => String } }))
  // JavaScript's Date has no microseconds, and the zone of the machine
  const parse = (id, format) => (times.includes(id) ? String : pg.types.getTypeParser(id, format))
  show(await client.query({ text: sql, types: { getTypeParser: parse } }))

  const { rows: [r] } = await client.query(sql)
  assert.equal(r.stamptz.toISOString(), '2015-08-18T05:38:40.000Z')
  assert.equal(r.boolean, true)
  assert.equal(r.int, 2147483647)
  assert.equal(r.big, '-9223372036854775807', 'a bigint is a string')
  assert.deepEqual(r.json, { a: 1.5, b: [] })
  assert.deepEqual(r.ints, [1, null, 3])
  assert.deepEqual(r.texts, ['a', null, 'b"c', '', 'null'])

  const binary = (await client.query({ text: sql, binary: true })).rows[0]
  for (const name of ['boolean', 'Text', 'odd', 'blank', 'nothing', 'tiny', 'small', 'int', 'big', 'single', 'double', 'infinite']) {
    assert.deepEqual(binary[name], r[name], name)
  }
  assert.equal(binary.stamptz.getTime(), r.stamptz.getTime())

  const values = ['joe@doe.com', 4, '9.5', true, new Date('2030-01-01T00:00:00Z'), [3, 4], { a: 1 }, null]
  const asked = 'SELECT email_address, $4::boolean AS yes, $7::json AS object, $8::text AS nothing FROM user_created WHERE email_address = $1 AND plan_seats = $2 AND plan_price = $3 AND event_time < $5 AND plan_seats = ANY($6::int[])'
  const answer = [{ email_address: 'joe@doe.com', yes: true, object: { a: 1 }, nothing: null }]
  assert.deepEqual((await client.query(asked, values)).rows, answer)
  for (let i = 0; i < 8; i++) { // prepared once
    assert.deepEqual((await client.query({ name: 'asked', text: asked, values })).rows, answer)
  }
  assert.deepEqual((await client.query('SELECT 1 AS a; SELECT 2 AS b')).map((one) => one.rows[0]), [{ a: 1 }, { b: 2 }])
  await assert.rejects(client.query('DROP TABLE user_created'), { code: '25006' })
  await assert.rejects(client.query('SELECT nothing FROM user_created'), { code: '42703' })

  const cursor = client.query(new Cursor('SELECT i::INTEGER AS i FROM range($1::bigint) r(i) ORDER BY 1', [2500]))
  const read = []
  for (let rows; (rows = await cursor.read(100)).length;) read.push(...rows.map((row) => row.i))
  assert.deepEqual(read, Array.from({ length: 2500 }, (_, i) => i))
  const early = client.query(new Cursor('SELECT i FROM range(1000000) r(i)'))
  assert.equal((await early.read(7)).length, 7)
  await early.close()
  assert.equal((await client.query('SELECT 1 AS n')).rows[0].n, 1, 'after a cursor that was closed early')

  const other = new pg.Client(settings)
  const query = new pg.Query(slow)
  const ended = new Promise((resolve) => { query.on('error', resolve); query.on('end', resolve) })
  client.query(query)
  await new Promise((resolve) => setTimeout(resolve, 200))
  other.cancel(client, query)
  assert.equal((await ended)?.code, '57014', 'cancel')
  assert.equal((await client.query('SELECT 1 AS n')).rows[0].n, 1, 'after a cancel')
  await client.end()

  const hasty = new pg.Client({ ...settings, statement_timeout: 300 })
  await hasty.connect()
  await assert.rejects(hasty.query(slow), { code: '57014' })
  await hasty.end()

  const pool = new pg.Pool({ connectionString: `postgres://arbalest@${host}:${port}/arbalest`, max: 4 })
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => pool.query('SELECT $1::int + 1 AS n', [i])))
  assert.deepEqual(many.map((one) => one.rows[0].n), Array.from({ length: 40 }, (_, i) => i + 1))
  await pool.end()
}
main().catch((err) => { console.error(err); process.exit(1) })
