// @modelcontextprotocol/client as a script tells it, with a recording of every
// JSON-RPC message that it sends and receives.
// Usage: node scripted.mjs PLAN RECORDING
//
// PLAN is JSON: {url, headers, transport, revision, steps}. A step is one of
//
//   {"do": "list"}                           all that the server has
//   {"do": "rest"}                           what else a client asks, errors too
//   {"do": "call", "tool": T, "args": {}}    a call, with progress if "progress" is true
//   {"do": "wait", "what": W}                says {"waiting": W} and waits for a line
//   {"do": "again", "tool": T, "args": {}}   a call that may fail, since the server was
//                                            started again; then the next
//   {"do": "anew", "tool": T, "args": {}}    a call by a new client
//
// RECORDING gets a line {"step", "from", "message"} for each message. The
// script ends with {"done": {}}.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const plan = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const lines = [];
let step = 'connect';
const record = (from, message) => lines.push(JSON.stringify({ step, from, message }));

// The headers are added here, as the transports send some requests without
// those of their options.
const send = (url, init = {}) => {
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(plan.headers)) headers.set(name, value);
  return fetch(url, { ...init, headers });
};

async function connect() {
  let transport;
  if (plan.transport === 'sse') {
    transport = new SSEClientTransport(new URL(plan.url), { fetch: send, eventSourceInit: { fetch: send } });
  } else {
    transport = new StreamableHTTPClientTransport(new URL(plan.url), {
      fetch: send,
      // The program is started again under the client, which takes a while.
      reconnectionOptions: {
        initialReconnectionDelay: 20,
        maxReconnectionDelay: 200,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries: 1000,
      },
    });
  }
  const sends = transport.send.bind(transport);
  transport.send = (message, options) => {
    record('client', message);
    return sends(message, options);
  };
  transport.onmessage = (message) => record('server', message);

  const versions = plan.revision.startsWith('2026')
    ? { versionNegotiation: { mode: { pin: plan.revision } } }
    : { supportedProtocolVersions: [plan.revision] };
  const client = new Client(
    { name: 'e2e-scripted', version: '1' },
    { ...versions, capabilities: { sampling: {}, elicitation: { form: {} } } },
  );
  client.setRequestHandler('sampling/createMessage', async () => ({
    model: 'e2e-model',
    role: 'assistant',
    stopReason: 'endTurn',
    content: { type: 'text', text: 'a sampled “answer” – with ümlauts' },
  }));
  client.setRequestHandler('elicitation/create', async ({ params }) => ({
    action: 'accept',
    content: Object.fromEntries((params.requestedSchema.required ?? []).map((name) => [name, `“${name}” – ümlauts`])),
  }));
  await client.connect(transport);
  return client;
}

const stdin = createInterface({ input: process.stdin });
let client = await connect();

const run = {
  async list() {
    const can = client.getServerCapabilities() ?? {};
    if (can.tools) await client.listTools();
    if (can.prompts) await client.listPrompts();
    if (can.resources) {
      await client.listResources();
      await client.listResourceTemplates();
    }
  },
  async rest() {
    const can = client.getServerCapabilities() ?? {};
    const fails = (asked) => asked.catch(() => {});
    if (!plan.revision.startsWith('2026')) await client.ping();
    await fails(client.callTool({ name: 'no such tool “ü”', arguments: {} }));
    if (can.prompts) {
      const { prompts } = await client.listPrompts();
      for (const { name, arguments: args } of prompts) {
        const given = (args ?? []).map((a) => [a.name, `“${a.name}”`]);
        await fails(client.getPrompt({ name, arguments: Object.fromEntries(given) }));
      }
      await fails(client.getPrompt({ name: 'no such prompt' }));
    }
    if (can.resources) {
      const { resources } = await client.listResources();
      for (const { uri } of resources.slice(0, 5)) await fails(client.readResource({ uri }));
      await fails(client.readResource({ uri: 'test://no/such/resource' }));
    }
    if (can.completions && can.prompts) {
      const ref = { type: 'ref/prompt', name: 'no such prompt' };
      await fails(client.complete({ ref, argument: { name: 'a', value: 'b' } }));
    }
    // An answer of some length, if there is a tool for it.
    const { tools } = await client.listTools();
    for (const { name } of tools) {
      if (/image|embedded|multiple|structured|annotated|logging$|error/.test(name) && !/toggle|trigger/.test(name)) {
        await fails(client.callTool({ name, arguments: {} }));
      }
    }
  },
  call: ({ tool, args, progress }) =>
    client.callTool({ name: tool, arguments: args ?? {} }, progress ? { onprogress() {} } : {}),
  async wait({ what }) {
    say({ waiting: what });
    await once(stdin, 'line');
  },
  async again({ tool, args }) {
    try {
      await client.callTool({ name: tool, arguments: args ?? {} }, { timeout: 5_000 });
      record('outcome', { answered: true });
    } catch (err) {
      record('outcome', { status: err.data?.status ?? err.status ?? err.code ?? err.name });
    }
    await run.anew({ tool, args });
  },
  async anew({ tool, args }) {
    await client.close().catch(() => {});
    step = 'anew';
    client = await connect();
    await client.callTool({ name: tool, arguments: args ?? {} });
  },
};

for (const s of plan.steps) {
  step = s.name ?? s.do;
  await run[s.do](s);
}
writeFileSync(process.argv[3], lines.join('\n') + '\n');
say({ done: {} });
await client.close().catch(() => {});
process.exit(0);
