// drive.js WEB CAPTURE EMPTY FOLDER: has a browser use the pages at WEB as
// people do, while events are posted to CAPTURE, and looks at each page in every
// look; EMPTY are the pages of a serve without events. What was downloaded is
// left in FOLDER, and pictures in $ARBALEST_SCREENSHOTS if that is set. Pages are
// found by roles and names, as those find them who do not see them.
'use strict'
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [web, capture, empty, folder] = process.argv.slice(2)
const pictures = process.env.ARBALEST_SCREENSHOTS
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const desktop = { viewport: { width: 1440, height: 900 } }
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
// Structure is the same in both colours, so that dark is asked for its colours only.
const colours = ['color-contrast', 'link-in-text-block']
const looks = [
  { name: 'desktop-light', ...desktop, colorScheme: 'light' },
  { name: 'desktop-dark', ...desktop, colorScheme: 'dark', rules: colours },
  { name: 'phone-light', ...phone, colorScheme: 'light' },
  { name: 'phone-dark', ...phone, colorScheme: 'dark', rules: colours },
]
const statement = "SELECT date_trunc('hour', event_time) AS hour, count(*) AS orders, sum(amount) AS amount FROM order_placed GROUP BY 1 ORDER BY 1"
const faults = []
const pages = [] // that the story came by: name and path

// open opens a tab of which every error is a fault.
async function open(browser, { name, rules, ...look }, base) {
  const context = await browser.newContext({ baseURL: base, reducedMotion: 'reduce', ...look })
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: base })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  watch(page, name)
  return page
}

function watch(page, look) {
  const fault = (what) => faults.push(`${new URL(page.url()).pathname} (${look}): ${what}`)
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type()) && !m.text().startsWith('Failed to load')) fault(`console: ${m.text()} (${m.location().url}:${m.location().lineNumber})`)
  })
  page.on('pageerror', (err) => fault(`script: ${err.stack}`))
  page.on('response', (r) => {
    const { pathname } = new URL(r.url())
    if (r.status() >= 400 && !r.request().isNavigationRequest() && pathname !== '/sql/run') fault(`${r.status()} of ${r.url()}`)
  })
}

async function step(name, page, work) {
  const begun = Date.now()
  try {
    await work()
  } catch (err) {
    if (pictures) await page.screenshot({ path: path.join(pictures, `failed-${name.replace(/\W+/g, '-')}.png`), fullPage: true }).catch(() => {})
    throw new Error(`${name}, at ${page.url()}: ${err.stack}\nThe page says:\n${(await page.locator('body').innerText().catch(() => '')).slice(0, 3000)}`)
  }
  console.log(`${name}: ${Date.now() - begun} ms`)
}

// check wants nothing serious from axe, and no scrolling to the side.
async function check(page, name, rules) {
  await page.evaluate(axe)
  const found = await page.evaluate((only) => window.axe.run(only ? { runOnly: only, resultTypes: ['violations'] } : { resultTypes: ['violations'] }), rules)
  for (const v of found.violations) {
    if (!['serious', 'critical'].includes(v.impact)) continue
    for (const node of v.nodes) faults.push(`${name}: ${v.id} (${v.impact}): ${node.html.slice(0, 200)}: ${(node.failureSummary || '').replace(/\s+/g, ' ')}`)
  }
  const [wide, width] = await page.evaluate(() => [document.scrollingElement.scrollWidth, window.innerWidth])
  const view = page.viewportSize().width
  if (wide > view || width > view) {
    const which = await page.evaluate((view) => [...document.querySelectorAll('main *, header *')].filter((e) => e.getBoundingClientRect().right > view + 1 && !e.closest('.scroll, nav')).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)), view)
    faults.push(`${name}: it is ${Math.max(wide, width)} wide, and the screen ${view}: ${which.join(' | ')}`)
  }
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true, animations: 'disabled' })
}

// settle waits until a page has drawn what it draws.
async function settle(page, charts) {
  await page.waitForLoadState('load')
  for (let i = 0; charts && i < 100; i++) {
    if (await page.evaluate(painted) >= charts) return
    await page.waitForTimeout(50)
  }
  if (charts) throw new Error(`of ${charts} charts ${await page.evaluate(painted)} are drawn`)
}

// painted counts, in the page, the canvases that have something on them.
function painted() {
  return [...document.querySelectorAll('canvas')].filter((c) => c.width && c.height && c.offsetParent && new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some((p) => p)).length
}

function keep(page, name, charts = 0) {
  const url = new URL(page.url())
  pages.push({ name, path: url.pathname + url.search + url.hash, charts })
}

const nav = (page, name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click()
const main = (page) => page.getByRole('main')
const region = (page, name) => page.getByRole('region', { name, exact: true })
const title = (page, name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
const says = (where, text) => where.getByText(text).first().waitFor()

async function post(body) {
  const r = await fetch(`${capture}/v1/events`, { method: 'POST', body: JSON.stringify(body) })
  assert.ok(r.ok, await r.text())
}

async function story(page) {
  await step('Flow shows events as they come', page, async () => {
    await page.goto('/')
    await title(page, 'Flow')
    const link = main(page).getByRole('link', { name: 'live.posted' })
    assert.equal(await link.count(), 0)
    for (let i = 0; i < 3; i++) await post(Array.from({ length: 40 }, (_, n) => ({ event: n % 4 ? 'live.posted' : 'order.placed', data: { amount: n, channel: 'web' } })))
    await link.waitFor()
    await settle(page, 3)
    keep(page, 'flow', 3)
  })
  await step('Events tell of properties', page, async () => {
    await nav(page, 'Events')
    await title(page, 'Events')
    await main(page).getByRole('link', { name: 'order.placed' }).waitFor()
    keep(page, 'events')
    await main(page).getByRole('link', { name: 'user.verified' }).first().click()
    await title(page, 'user.verified')
    await says(region(page, 'Properties'), 'workflow')
    await says(region(page, 'Where events differ from the definition'), 'browser')
    keep(page, 'event-defined')
    await page.goBack()
    await main(page).getByRole('link', { name: 'order.placed' }).first().click()
    await title(page, 'order.placed')
    await says(region(page, 'Properties'), 'customer.city')
    await says(region(page, 'Properties'), 'Zürich')
    await says(main(page), '"name":"order.placed"')
    keep(page, 'event')
  })
  await step('Tables lead to the offending line', page, async () => {
    await nav(page, 'Tables')
    await title(page, 'Tables')
    keep(page, 'tables')
    await main(page).getByRole('link', { name: 'user_verified' }).click()
    await title(page, 'user_verified')
    const wrong = region(page, 'Load errors')
    await says(wrong, 'far too long')
    keep(page, 'table')
    await wrong.getByRole('link', { name: /line/i }).first().click()
    await says(region(page, 'The line as it is stored'), 'far too long')
    keep(page, 'line')
  })
  await step('Rejected events are replayed', page, async () => {
    await nav(page, 'Rejected')
    await title(page, 'Rejected')
    await region(page, 'Rejected events by reason').waitFor()
    keep(page, 'rejected')
    await page.getByRole('combobox', { name: 'Reason' }).selectOption('event_too_large')
    await page.getByRole('button', { name: 'Show' }).click()
    await region(page, 'Rejected events').getByRole('link', { name: /look/i }).first().click()
    await title(page, 'order.placed')
    await says(region(page, 'The body'), 'lengthy')
    keep(page, 'kept')
    await page.getByRole('button', { name: /would a replay/ }).click()
    await says(page.getByRole('status'), /1 of 1 would be replayed/)
    await check(page, 'replay-tried-desktop-light')
    await page.getByRole('button', { name: /^Replay/ }).click()
    await says(page.getByRole('status'), /1 of 1 (was|were) replayed: 1 events? accepted, 1 new rows? in SQL/)
    await check(page, 'replayed-desktop-light')
    await page.goto('/rejected?reason=bad_name')
    await page.getByRole('button', { name: /^Replay/ }).click()
    await says(region(page, 'What was left, by reason'), 'bad_name')
    await check(page, 'replay-left-desktop-light')
    await nav(page, 'Rejected')
    await says(region(page, 'Rejected events'), 'bad_name')
    assert.equal(await region(page, 'Rejected events').getByText('event_too_large').count(), 0, 'what was replayed is still listed')
  })
  await step('Models have lineage and tests', page, async () => {
    await nav(page, 'Models')
    await title(page, 'Models')
    await region(page, 'Lineage').getByRole('link', { name: /busy/ }).waitFor()
    keep(page, 'models')
    await region(page, 'Models').getByRole('link', { name: 'hourly' }).click()
    await title(page, 'hourly')
    await page.getByRole('button', { name: 'Run the tests' }).click()
    await says(region(page, 'Tests'), 'holds')
    keep(page, 'model')
  })
  await step('Runs have their steps', page, async () => {
    await nav(page, 'Runs')
    await title(page, 'Runs')
    keep(page, 'runs')
    await region(page, 'Runs of pipelines').getByRole('link').first().click()
    await title(page, 'summary')
    await says(region(page, 'Steps'), 'done')
    keep(page, 'run')
  })
  await step('Store counts', page, async () => {
    await nav(page, 'Store')
    await title(page, 'Store')
    const partitions = region(page, 'Partitions, by event')
    for (let i = 0; i < 50 && !(await partitions.count()); i++) {
      await page.waitForTimeout(100)
      await page.reload()
    }
    await says(partitions, 'order.placed')
    keep(page, 'store')
  })
  await step('Store and warehouse are compared', page, async () => {
    await nav(page, 'Verify')
    await title(page, 'Verify')
    await says(main(page), 'None was made yet')
    await check(page, 'verify-never-desktop-light')
    await page.getByRole('textbox', { name: 'Sample' }).fill('100%')
    await page.getByRole('checkbox', { name: /value/ }).check()
    await verified(page, 'Store and warehouse agree')
    await says(region(page, 'By event'), 'user_verified')
    await check(page, 'verify-agrees-desktop-light')
    await verified(page, 'Store and warehouse differ')
    await says(region(page, 'Findings'), '000007.ndjson.zst') // which lists of the store have
    keep(page, 'verify')
  })
  await sql(page)
}

// verified presses the button, and looks until it says what came of it.
async function verified(page, text) {
  await page.getByRole('button', { name: 'Verify' }).click()
  for (let i = 0; i < 100 && (await page.getByRole('link', { name: 'Look again' }).count()); i++) {
    await page.waitForTimeout(100)
    await page.getByRole('link', { name: 'Look again' }).click()
  }
  await page.getByRole('heading', { name: text }).waitFor()
}

async function sql(page) {
  await step('SQL runs and draws', page, async () => {
    await nav(page, 'SQL')
    await title(page, 'SQL')
    await says(page.getByRole('complementary'), 'order_placed')
    await write(page, 'SELECT nothing FROM order_placed')
    await page.getByRole('button', { name: 'Run' }).click()
    await says(page.getByRole('alert'), 'nothing')
    await check(page, 'sql-fault-desktop-light')
    await write(page, statement)
    await page.keyboard.press('Control+Enter')
    await rows(page)
    await settle(page, 1)
  })
  await step('CSV is downloaded', page, async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download CSV' }).click()])
    assert.match(download.suggestedFilename(), /\.csv$/)
    await download.saveAs(path.join(folder, 'download.csv'))
    fs.writeFileSync(path.join(folder, 'statement.sql'), statement)
  })
  await step('A link is shared', page, async () => {
    await page.getByRole('button', { name: 'Copy link' }).click()
    await page.waitForFunction(() => navigator.clipboard.readText().then((text) => text.includes('/sql')))
    const link = await page.evaluate(() => navigator.clipboard.readText())
    const other = await page.context().newPage()
    watch(other, 'shared')
    await other.goto(link)
    await says(main(other), /order_placed/)
    if (!(await region(other, 'Rows').isVisible())) await other.getByRole('button', { name: 'Run' }).click()
    await rows(other)
    await settle(other, 1)
    keep(other, 'sql')
    await other.close()
  })
  await step('A query is saved', page, async () => {
    await page.getByText('Save', { exact: true }).first().click()
    await page.getByRole('textbox', { name: 'Name of the file' }).fill('orders-by-hour')
    await page.getByRole('textbox', { name: 'Title' }).fill('Orders by hour')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByRole('complementary').getByRole('link', { name: 'Orders by hour' }).click()
    await title(page, 'Orders by hour')
    keep(page, 'sql-saved')
    await page.goto('/sql/charts')
    await title(page, 'Saved queries')
    await settle(page, 1)
    keep(page, 'sql-charts', 1)
  })
}

// write replaces the editor's statement. Typed over a selection the browser would
// keep its style, in an attribute that the page's policy refuses.
async function write(page, text) {
  const editor = page.getByRole('textbox', { name: 'Statement' })
  await editor.click()
  await page.keyboard.press('Control+A')
  await page.keyboard.press('Delete')
  await page.keyboard.insertText(text)
}

async function rows(page) {
  const table = region(page, 'Rows').getByRole('table')
  await table.getByRole('columnheader', { name: /amount/ }).waitFor()
  assert.ok(await table.getByRole('row').count() > 20)
}

// keyboard wants what can be done on a page in reach of Tab, in this order, and
// seen when it is. Escape leaves the editor.
async function keyboard(page, at, names) {
  await step(`Keys reach what ${at} does`, page, async () => {
    await page.goto(at)
    await page.waitForLoadState('networkidle')
    const reached = []
    for (let i = 0; i < 120 && names.length; i++) {
      await page.keyboard.press(reached.at(-1) === 'Statement' ? 'Escape' : 'Tab')
      let { name, seen } = await page.evaluate(focused)
      for (let wait = 0; wait < 20 && !seen; wait++) { // the editor shows it a moment later
        await page.waitForTimeout(50)
        seen = (await page.evaluate(focused)).seen
      }
      reached.push(name)
      if (!seen) faults.push(`${at}: nothing shows that ${name} has the focus`)
      if (typeof names[0] === 'string' ? name === names[0] : names[0].test(name)) names.shift()
    }
    assert.equal(names.length, 0, `Tab did not reach ${names[0]}: ${reached.join(', ')}`)
  })
}

// focused is, in the page, the name of what has the focus, and whether that is
// seen.
function focused() {
  const e = document.activeElement
  const named = (e.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent || '').join(' ')
  const name = e.getAttribute('aria-label') || named.trim() || e.labels?.[0]?.textContent || e.textContent || e.value
  const seen = [e, e.parentElement, e.parentElement?.parentElement].some((n) => n && getComputedStyle(n).outlineStyle !== 'none')
  return { name: name.trim().replace(/\s+/g, ' ').slice(0, 40), seen: seen || e === document.body }
}

async function survey(browser, look) {
  const page = await open(browser, look, web)
  await step(`All pages in ${look.name}`, page, async () => {
    for (const { name, path: at, charts } of pages) {
      await page.goto(at)
      if (name === 'sql') {
        if (!(await region(page, 'Rows').isVisible())) await page.getByRole('button', { name: 'Run' }).click()
        await rows(page)
      }
      await settle(page, name === 'sql' ? 1 : charts)
      await check(page, `${name}-${look.name}`, look.rules)
    }
    const missing = await page.goto('/no-such-page')
    assert.equal(missing.status(), 404)
    await check(page, `missing-${look.name}`, look.rules)
  })
  await page.context().close()
}

// Empty pages say how to fill them.
async function nothing(browser, look) {
  const page = await open(browser, look, empty)
  await step(`Empty pages in ${look.name}`, page, async () => {
    await page.goto('/')
    const links = await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allInnerTexts()
    assert.deepEqual(links, ['Flow', 'Events', 'Tables', 'Rejected', 'Models', 'Runs', 'Store', 'Verify', 'SQL'])
    for (const name of links) {
      await nav(page, name)
      await title(page, name)
      await says(main(page), /curl -d/)
      await check(page, `empty-${name.toLowerCase()}-${look.name}`, look.rules)
    }
  })
  await page.context().close()
}

async function all() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
  try {
    const page = await open(browser, looks[0], web)
    await story(page)
    await keyboard(page, '/', ['Skip to the page', 'Flow', 'Events', 'SQL', 'order.placed'])
    await keyboard(page, '/rejected', ['Skip to the page', /^Reason/, 'Show', /would a replay/, /^Replay/, /^Look at/])
    await keyboard(page, '/verify', ['Skip to the page', 'Sample', /value/, 'Verify'])
    await keyboard(page, '/models/hourly', ['Skip to the page', /rows, in SQL/, 'Run the tests'])
    await keyboard(page, '/sql', ['Skip to the page', 'Statement', 'Run', 'Download CSV', 'Save', 'Orders by hour'])
    await page.goto('/')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'MAIN', 'the first link skips to the page')
    await page.context().close()
    for (const pair of [looks.slice(0, 2), looks.slice(2)]) await Promise.all(pair.map((look) => survey(browser, look)))
    await Promise.all([looks[0], looks[3]].map((look) => nothing(browser, look)))
  } finally {
    await browser.close()
  }
  if (faults.length) throw new Error(`${faults.length} faults:\n${[...new Set(faults)].join('\n')}`)
}
all().catch((err) => { console.error(err.message); process.exitCode = 1 })
