// @ts-check
// A lending system that deposits a loan contract when it is signed, is told when it is
// published, and keeps receipt and certificate. It needs Node.js 20 or newer and nothing else.
//
//   MUNIMENT_SERVER=https://depository.example MUNIMENT_API_KEY=mnt_… \
//   node lending.mjs --contract LC-2026-0117 --document contract.pdf --hook https://loans.example/hooks --listen 8090 --out FOLDER
//
// What matters in it for a system of your own:
//
//   1. One contract, one Idempotency-Key, kept with the loan before the first attempt. However
//      often a request is repeated, there is one deposit.
//   2. An answer that does not come is no answer: repeat it with the same key. `retry` in a
//      problem says whether repeating can help, `Retry-After` when.
//   3. A webhook only wakes you. Check its signature, and fetch what you want to believe.
//   4. Keep the receipt. It is verified by anyone, offline, without this depository.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

/** @typedef {import('./api.d.ts').components['schemas']} Schemas */

const server = required('MUNIMENT_SERVER');
const key = required('MUNIMENT_API_KEY');

/** @param {string} name */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** @param {number} ms */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * One request, repeated until it succeeds or repeating cannot help. The body is made anew
 * for each attempt.
 * @param {string} method
 * @param {string} path
 * @param {{ headers?: Record<string, string>, body?: () => BodyInit }} [request]
 * @returns {Promise<Response>}
 */
async function call(method, path, { headers = {}, body } = {}) {
  for (let attempt = 0; ; attempt++) {
    let wait = Math.min(2 ** attempt, 60) * 1000;
    try {
      const answer = await fetch(new URL(path, server), {
        method,
        headers: { ...headers, Authorization: `Bearer ${key}` },
        body: body?.(),
        signal: AbortSignal.timeout(120_000),
      });
      if (answer.ok) return answer;
      const text = await answer.text();
      /** @type {Partial<Schemas['Problem']>} */
      let problem = {};
      if (answer.headers.get('Content-Type')?.startsWith('application/problem+json')) problem = JSON.parse(text);
      // What is no problem document came from something in between: a proxy, say.
      if (!(problem.retry ?? answer.status >= 500)) {
        throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${problem.type ?? ''} ${problem.detail ?? text}`), { final: true });
      }
      const after = Number(answer.headers.get('Retry-After'));
      if (after > 0) wait = after * 1000;
      console.error(`${path}: ${answer.status} ${problem.type ?? ''}; again in ${wait / 1000} s`);
    } catch (error) {
      if (/** @type {{ final?: boolean }} */ (error).final || attempt >= 20) throw error;
      console.error(`${path}: ${error}; again in ${wait / 1000} s`);
    }
    await sleep(wait);
  }
}

/**
 * Deposits a contract on its signing.
 * @param {string} contract its number, which is the key of the operation too
 * @param {string} path of the signed document
 */
async function deposit(contract, path) {
  const document = await readFile(path);
  const answer = await call('POST', '/v1/deposits', {
    headers: { 'Idempotency-Key': `contract ${contract} signed` },
    body: () => {
      const form = new FormData(); // the record first, then the document
      form.append('record', new Blob([JSON.stringify({ 'contract.number': contract, 'provenance.system': 'lending example' })], { type: 'application/json' }));
      form.append('document', new Blob([document], { type: 'application/pdf' }), basename(path));
      return form;
    },
  });
  return /** @type {Schemas['Deposit']} */ (await answer.json());
}

/**
 * Whether a call was signed with the webhook's secret, and lately (Standard Webhooks 1.0).
 * @param {string} secret
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {Buffer} body as it came, byte for byte
 */
function signed(secret, headers, body) {
  const id = String(headers['webhook-id']);
  const sent = String(headers['webhook-timestamp']);
  if (!(Math.abs(Date.now() / 1000 - Number(sent)) < 300)) return false;
  const mac = createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
  const want = Buffer.from('v1,' + mac.update(`${id}.${sent}.`).update(body).digest('base64'));
  return String(headers['webhook-signature']).split(' ').some((given) => {
    const got = Buffer.from(given);
    return got.length === want.length && timingSafeEqual(got, want);
  });
}

/**
 * Listens for calls, and resolves with the first good one about a contract.
 * @param {number} port
 * @param {() => string} secret
 * @param {string} contract
 */
function told(port, secret, contract) {
  const seen = new Set(); // a call may come more than once
  return new Promise((resolve) => {
    const http = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      if (!signed(secret(), request.headers, body)) {
        response.writeHead(401).end();
        return;
      }
      response.writeHead(204).end(); // taken; the work comes after
      const id = request.headers['webhook-id'];
      if (seen.has(id)) return;
      seen.add(id);
      const message = /** @type {Schemas['WebhookMessage']} */ (JSON.parse(body.toString()));
      if (message.type === 'deposit.published' && message.data.contract === contract) {
        http.close();
        resolve(message);
      }
    });
    http.listen(port);
  });
}

const { values } = parseArgs({
  options: { contract: { type: 'string' }, document: { type: 'string' }, hook: { type: 'string' }, listen: { type: 'string' }, out: { type: 'string' } },
});
const { contract = '', document = '', hook = '', listen = '8090', out = '.' } = values;

let secret = '';
const published = told(Number(listen), () => secret, contract);
const made = await call('POST', '/v1/webhooks', {
  headers: { 'Content-Type': 'application/json' },
  body: () => JSON.stringify(/** @type {Schemas['WebhookRequest']} */ ({ url: hook, kinds: ['deposit'], contracts: [contract] })),
});
const webhook = /** @type {Schemas['Webhook']} */ (await made.json());
secret = webhook.secret ?? '';

const deposited = await deposit(contract, document);
console.log(`deposited ${deposited.id} at index ${deposited.index}`);
const message = await published;
console.log(`published: ${message.data.id}, place ${message.data.case_seq} in its case`);

await mkdir(out, { recursive: true });
for (const [name, path] of [
  [`${contract}.tlog-proof`, `/v1/deposits/${message.data.id}/receipt`],
  [`${contract}.pdf`, `/v1/deposits/${message.data.id}/certificate`],
]) {
  const file = join(out, name);
  await writeFile(file, Buffer.from(await (await call('GET', path)).arrayBuffer()));
  console.log(`kept ${file}`);
}
await call('DELETE', `/v1/webhooks/${webhook.id}`);
