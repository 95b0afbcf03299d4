// Reads a CAR file with the libraries of JavaScript, hashes and decodes every block again, prints its CIDs, and writes what
// it has decoded to another CAR file: `car.mjs FROM TO`.

import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { CarBlockIterator, CarWriter } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'

const [from, to] = process.argv.slice(2)

function same (one, other) {
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) === 0
}

function check (condition, message) {
  if (!condition) {
    throw new Error(message)
  }
}

const blocks = await CarBlockIterator.fromIterable(createReadStream(from))
const roots = await blocks.getRoots()
console.log('roots', roots.join(' '))
const { writer, out } = CarWriter.create(roots)
const written = pipeline(Readable.from(out), createWriteStream(to))
let previous = null
for await (const { cid, bytes } of blocks) {
  check(cid.version === 1 && cid.code === dagCbor.code, `${cid} is no dag-cbor`)
  check(cid.multihash.code === 0x12, `${cid} is not of SHA-256`)
  const digest = createHash('sha256').update(bytes).digest()
  check(same(digest, cid.multihash.digest), `${cid} is not the hash of its block`)
  const value = dagCbor.decode(bytes)
  const encoded = dagCbor.encode(value)
  check(same(encoded, bytes), `${cid} is not canonical`)
  if (value.payload !== undefined && value.aggregate_id !== undefined) {
    previous = value.payload
  } else if (previous !== null) {
    check(previous.equals(cid), `${cid} is not the payload of the envelope before it`)
    previous = null
  }
  console.log('block', cid.toString(), bytes.length)
  await writer.put({ cid, bytes: encoded })
}
await writer.close()
await written
