// Sends N CloudEvents to URL with the package cloudevents, half of them in binary
// mode: node cloudevents.js URL N. Its transport tells neither status nor
// retries, so that is done here, by the answer.
'use strict'
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = require('cloudevents')

const [url, n] = [process.argv[2], Number(process.argv[3])]
const emitters = [Mode.BINARY, Mode.STRUCTURED].map((mode) => emitterFor(httpTransport(url), { binding: HTTP, mode }))

async function send(i) {
  const event = new CloudEvent({
    id: `e-${String(i).padStart(5, '0')}`, source: `/shop/${i % 3}`, type: ['com.example.order.completed', 'com.example.song/played'][i % 2],
    time: new Date(Date.UTC(2026, 0, 15) + i * 7919).toISOString(), subject: `user-${i % 100}`, traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    datacontenttype: 'application/json', data: { n: i, title: `é "${i}"` },
  })
  for (let attempt = 0; attempt < 30; attempt++) {
    try {
      const answer = JSON.parse((await emitters[(i >> 1) % 2](event)).body)
      if (answer.accepted === 1) return
      if (answer.retry === false) throw new Error(JSON.stringify(answer))
    } catch (e) {
      if (e.message.startsWith('{')) { console.error(e.message); process.exit(1) }
    }
    await new Promise((r) => setTimeout(r, 10))
  }
  console.error(`event ${i} could not be sent`)
  process.exit(1)
}

let next = 0
async function worker() { while (next < n) await send(next++) }
Promise.all(Array.from({ length: 32 }, worker)).then(() => process.exit(0))
