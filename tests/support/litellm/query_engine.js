#!/usr/bin/env node
// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Prisma's query engine as a process, for Prisma Client Python, without a download from Prisma's servers.
//
// LiteLLM keeps its models through Prisma Client Python, which starts a `query-engine` binary that only
// binaries.prisma.sh has. The same engine, built to WebAssembly, is in the npm package @prisma/client. This
// file runs it behind the binary's HTTP interface. The engine in the package reads Prisma's JSON protocol
// and not GraphQL, which Prisma Client Python writes, so each query is put from the one into the other.

'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Pool } = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');
const { bindAdapter } = require('@prisma/driver-adapter-utils');
const { parse, Kind } = require('graphql');

const RUNTIME = path.join(path.dirname(require.resolve('@prisma/client/package.json')), 'runtime');
const OPERATION =
  /^(findUnique|findFirst|findMany|createOne|createMany|updateOne|updateMany|deleteOne|deleteMany|upsertOne|aggregate|groupBy)(\w+?)(OrThrow)?$/;
const NO_TRACE = '{}';
// Types of PostgreSQL, by number: those of names in its catalogue, which the adapter does not know, are text.
const TEXT_TYPES = new Map([
  [19, 25],
  [1003, 1009],
]);
const DEFAULT_POOL_SIZE = 10;

class NamesAsTextPool extends Pool {
  async query(...parameters) {
    const result = await super.query(...parameters);
    for (const field of result.fields) field.dataTypeID = TEXT_TYPES.get(field.dataTypeID) ?? field.dataTypeID;
    return result;
  }
}

async function startEngine() {
  const glue = require(path.join(RUNTIME, 'query_engine_bg.postgresql.js'));
  const code = fs.readFileSync(path.join(RUNTIME, 'query_engine_bg.postgresql.wasm'));
  const { instance } = await WebAssembly.instantiate(code, { './query_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  const url = new URL(process.env.DATABASE_URL);
  const max = Number(url.searchParams.get('connection_limit')) || DEFAULT_POOL_SIZE;
  url.search = '';
  const pool = new NamesAsTextPool({ connectionString: url.href, max });
  // A connection that is lost while idle is replaced by the pool; without a listener it would end the process.
  pool.on('error', (error) => console.error(`query-engine: ${error.message}`));
  const options = {
    datamodel: fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8'),
    logLevel: 'error',
    logQueries: false,
    datasourceOverrides: {},
    env: {},
    configDir: '.',
    ignoreEnvVarErrors: true,
    engineProtocol: 'json',
  };
  const engine = new glue.QueryEngine(options, (line) => console.error(line), bindAdapter(new PrismaPg(pool)));
  await engine.connect(NO_TRACE);
  return engine;
}

// One GraphQL document holds one operation: `query { result: findManyModel(where: {...}) { id name } }`.
function toJsonProtocol(document) {
  const field = parse(document, { noLocation: true }).definitions[0].selectionSet.selections[0];
  const name = field.name.value;
  const matched = OPERATION.exec(name);
  const query = { arguments: argumentsOf(field), selection: selectionOf(field) };
  if (!matched) return { name, body: { action: name, query } };
  return { name, body: { modelName: matched[2], action: matched[1] + (matched[3] ?? ''), query } };
}

function argumentsOf(field) {
  return Object.fromEntries((field.arguments ?? []).map((item) => [item.name.value, valueOf(item.value)]));
}

function selectionOf(field) {
  const inner = field.selectionSet?.selections ?? [];
  return Object.fromEntries(
    inner.map((item) => {
      const nested = item.selectionSet || item.arguments?.length;
      return [item.name.value, nested ? { arguments: argumentsOf(item), selection: selectionOf(item) } : true];
    }),
  );
}

function valueOf(node) {
  switch (node.kind) {
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((item) => [item.name.value, valueOf(item.value)]));
    case Kind.LIST:
      return node.values.map(valueOf);
    case Kind.INT: {
      const number = Number(node.value);
      return Number.isSafeInteger(number) ? number : { $type: 'BigInt', value: node.value };
    }
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    default:
      return node.value;
  }
}

// The JSON protocol marks dates, decimals and the like with their type; GraphQL's answers hold the bare value,
// and a JSON column as it is.
function untagged(value) {
  if (Array.isArray(value)) return value.map(untagged);
  if (value === null || typeof value !== 'object') return value;
  if ('$type' in value) return value.$type === 'Json' ? JSON.parse(value.value) : value.value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, untagged(inner)]));
}

function toGraphql(answer, name) {
  if (answer.errors) return { errors: answer.errors };
  return { data: { result: untagged(answer.data[name]) } };
}

async function query(engine, content, transaction) {
  if (!content.batch) {
    const { name, body } = toJsonProtocol(content.query);
    return toGraphql(JSON.parse(await engine.query(JSON.stringify(body), NO_TRACE, transaction)), name);
  }
  const items = content.batch.map((item) => toJsonProtocol(item.query));
  const body = { batch: items.map((item) => item.body), transaction: content.transaction ? {} : undefined };
  const answer = JSON.parse(await engine.query(JSON.stringify(body), NO_TRACE, transaction));
  if (!answer.batchResult) return answer;
  return { batchResult: answer.batchResult.map((one, index) => toGraphql(one, items[index].name)) };
}

async function answer(engine, request, body) {
  const transaction = /^\/transaction\/([^/]+)\/(commit|rollback)$/.exec(request.url);
  if (request.url === '/status') return { status: 'ok' };
  if (request.url === '/transaction/start') return JSON.parse(await engine.startTransaction(body, NO_TRACE));
  if (transaction?.[2] === 'commit') return JSON.parse(await engine.commitTransaction(transaction[1], NO_TRACE));
  if (transaction) return JSON.parse(await engine.rollbackTransaction(transaction[1], NO_TRACE));
  return query(engine, JSON.parse(body), request.headers['x-transaction-id']);
}

async function serve(port) {
  const engine = await startEngine();
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', async () => {
      let status = 200;
      let result;
      try {
        result = await answer(engine, request, Buffer.concat(parts).toString());
      } catch (error) {
        status = 500;
        result = { error: String(error) };
        console.error(`query-engine: ${request.url}: ${error.stack ?? error}`);
      }
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(result));
    });
  });
  // An idle connection that the client is about to use again must not be closed under it.
  server.keepAliveTimeout = 0;
  server.listen(port, 'localhost');
}

if (process.argv.includes('--version')) {
  console.log(`query-engine ${require('@prisma/engines-version').enginesVersion}`);
} else {
  serve(Number(process.argv[process.argv.indexOf('-p') + 1]));
}
