// Sends N calls of Segment's API to HOST with @segment/analytics-node:
// node segment.js HOST N. The test knows what they are.
'use strict'
const { Analytics } = require('@segment/analytics-node')

const [host, n] = [process.argv[2], Number(process.argv[3])]
const analytics = new Analytics({ writeKey: process.env.WRITE_KEY || 'none', host, flushAt: 40, maxRetries: 15 })
let failed = 0
analytics.on('error', (e) => { failed++; console.error(e.code, e.reason) })

async function main() {
  for (let i = 0; i < n; i++) {
    const call = { userId: `user-${i % 100}`, messageId: `m-${String(i).padStart(5, '0')}`, timestamp: new Date(Date.UTC(2026, 0, 15) + i * 7919) }
    const properties = { n: i, title: `é "${i}"` }
    switch (i % 7) {
      case 0: analytics.track({ ...call, event: 'Order Completed', properties }); break
      case 1: analytics.track({ ...call, event: 'song.played', properties }); break
      case 2: analytics.identify({ ...call, traits: properties }); break
      case 3: analytics.page({ ...call, name: 'Home', properties }); break
      case 4: analytics.screen({ ...call, name: 'Home', properties }); break
      case 5: analytics.group({ ...call, groupId: 'g1', traits: properties }); break
      case 6: analytics.alias({ ...call, previousId: `before-${i}` }); break
    }
    if (i % 200 === 199) await new Promise((r) => setTimeout(r, 5))
  }
  await analytics.closeAndFlush({ timeout: 240000 })
  process.exit(failed ? 1 : 0)
}
main()
